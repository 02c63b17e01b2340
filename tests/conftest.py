"""Search engines and databases in processes of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sources
from opensearch import Node
from support.database import Server, fresh
from support.real import Real


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules with slow tests first: at the end, when only quick ones are left, no worker is idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of this test run."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder


@pytest.fixture(scope="session")
def tools(shared: Path) -> Path:
    """Where pex unpacks its own tools."""
    folder = shared / "pex"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def real(shared: Path) -> Iterator[Real]:
    """The real servers of this test run; the last of its processes ends them."""
    real = Real(shared / "sources")
    with sources.used(real.folder):
        yield real


@pytest.fixture(scope="session")
def node(real: Real) -> Node:
    """A real OpenSearch, which goes on for others; without one, tests are skipped."""
    real.start("opensearch")
    return Node(real.folder / "opensearch")


@pytest.fixture(scope="session")
def own_node(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One that a test may freeze and kill, if it starts it again."""
    own = Node(tmp_path_factory.mktemp("opensearch"))
    own.start()
    yield own
    own.stop()


@pytest.fixture(scope="session")
def database(real: Real) -> Server:
    """A real MariaDB or MySQL, which goes on for others; without one, tests are skipped."""
    real.start("database")
    return real.database


@pytest.fixture(params=["sqlite", pytest.param("server", marks=pytest.mark.slow)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A database that is empty: a file that is not there yet, and one of a real server."""
    if request.param == "sqlite":
        return tmp_path / "notes.db"
    return fresh(request.getfixturevalue("database").url())
