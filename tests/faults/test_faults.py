"""Each source of the shop fails under load, one after the other, and nobody else does: shortened."""

from collections.abc import Iterator

import pytest
from faults.faults import FAULTS, GROWTH, Fault, check, do, no_secrets
from faults.world import World, a_world

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One shop for all of them: what one fault leaves behind, the next would show."""
    with a_world(tmp_path_factory.mktemp("faults")) as world:
        world.serve()
        world.megabytes_at_first = world.megabytes()
        yield world


@pytest.mark.parametrize(
    "fault", [each for each in FAULTS if each.short], ids=lambda fault: fault.name
)
async def test_nobody_else_suffers(world: World, fault: Fault) -> None:
    """Deadlines, bystanders, recovery, writes, log lines and what is said of it: see `check`."""
    outcome = await do(world, fault, fault.short, before=1, rate=30)  # others use the machine
    check(outcome)
    assert outcome.megabytes - world.megabytes_at_first < GROWTH


async def test_no_secret_was_logged(world: World) -> None:
    """After all of that."""
    await no_secrets(world)
