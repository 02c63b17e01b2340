"""The real shop behind the local target."""

import pytest
from support.load import Load
from support.server import free_port
from support.up import release, running

pytestmark = pytest.mark.slow


async def test_the_shop_is_replaced_under_load(tmp_path, monkeypatch):
    """Requests in flight are answered by the old one, all others by the new one."""
    monkeypatch.setenv("OGROM_PRODUCTS", "60")
    monkeypatch.setenv("OGROM_STATE", str(tmp_path / "state"))
    with running(tmp_path / "t" / "production", free_port()) as up:
        await up.live("blue", release("aaaaaaa", "shop"), 1)
        with Load(up.port, ["GET /v1/en-GB/products", "GET /v1/de-DE/products?q=rot"]) as load:
            for name, other, commit in (("green", "blue", "bbbbbbb"), ("blue", "green", "ccccccc")):
                await up.target.start(name, release(commit, "shop"), 2, token=1)
                await up.until(lambda seen, name=name: seen.environments[name].healthy == 2, 60)
                await up.target.shift({name: 100}, token=1)
                await up.target.stop(other, token=1)
        assert not load.result.failed, load.result.first_failures
        assert {"aaaaaaa", "bbbbbbb", "ccccccc"} == set(load.result.by_release)
