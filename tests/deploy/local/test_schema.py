"""A deploy brings a real MariaDB's schema forward, before any traffic, while the old release serves."""

import pytest
from support.database import fresh
from support.deployer import SETTINGS
from support.load import Load
from support.server import free_port
from support.up import Untimed, release, running

from ogrom.deploy import Deployer
from ogrom.sources import sql

pytestmark = pytest.mark.slow


async def test_steps_are_made_by_the_release_that_brings_them(
    tmp_path, monkeypatch: pytest.MonkeyPatch, database
):
    """One that is refused changes nothing that serves; one that adds goes live under load, and what
    served before serves again after a rollback.
    """
    url = fresh(database.url())
    env = {"OGROM_DB": url, "OGROM_DEMO": "1", "OGROM_PRODUCTS": "60"}
    for name, value in (env | {"OGROM_STATE": str(tmp_path / "state")}).items():
        monkeypatch.setenv(name, value)

    async def steps() -> list[int]:
        async with sql.connect(url) as db:
            return await db.all(int, "SELECT number FROM ogrom_schema ORDER BY number")

    with running(tmp_path / "targets" / "production", free_port()) as up:
        deployer = Deployer(Untimed(up.folder), tmp_path, SETTINGS)
        assert "live" == (await deployer.deploy(release("aaaaaaa", "shop"))).result
        assert [1] == await steps()
        asked = ["GET /v1/de-DE/collages", "GET /v1/de-DE/products?per_page=1"]
        with Load(up.port, asked) as load:
            refused = await deployer.deploy(release("bbbbbbb", "shop refused"))
            assert ("unchanged", [1]) == (refused.result, await steps())
            assert "no_such_table" in str(refused.entry)
            expanded = await deployer.deploy(release("ccccccc", "shop expanded"))
            assert ("live", [1, 2]) == (expanded.result, await steps())
            assert "live" == (await deployer.rollback()).result
        assert not load.result.failed, load.result.first_failures
        assert {"aaaaaaa", "ccccccc"} == set(load.result.by_release)
        assert [1, 2] == await steps()
