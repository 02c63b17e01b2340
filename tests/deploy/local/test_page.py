"""What the page is made of, from a running target; and a rollout that nobody works at any more."""

import asyncio
import json

import aiohttp
import pytest
from support.server import free_port
from support.up import release, running

from ogrom.deploy.local import _page
from ogrom.deploy.local._control import Scale

pytestmark = pytest.mark.slow


async def test_state_events_and_buttons(tmp_path):
    """State as JSON, a sample each second, and no button for strangers."""
    port = free_port()
    with running(tmp_path / "t" / "production", free_port(), page=port) as up:
        await up.live("blue", release("aaaaaaa"), 1)
        (up.folder / "history.jsonl").write_text('{"result":"live"}\n{"torn')
        (up.folder / "rollouts").mkdir()
        (up.folder / "rollouts" / "1.jsonl").write_text('{"holder":"anna"}\n')
        root = f"http://127.0.0.1:{port}"
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{root}/state") as answer:
                state = await answer.json()
            assert 100 == state["observation"]["environments"]["blue"]["share"]
            assert [{"result": "live"}] == state["history"]
            assert [{"holder": "anna"}] == state["journal"]
            async with session.get(f"{root}/state", headers={"Host": "evil.example"}) as answer:
                assert 403 == answer.status
            seen = set()
            async with asyncio.timeout(60), session.get(f"{root}/events") as answer:
                async for line in answer.content:
                    if line.startswith(b"event: "):
                        seen.add(line[7:].strip())
                    if line.startswith(b"data: "):
                        json.loads(line[6:])
                    if seen == {b"state", b"sample"}:
                        break
            async with session.post(f"{root}/rollback", json={}) as answer:
                assert 403 == answer.status
                assert "load it again" in (await answer.json())["detail"]


class _Up:
    """A supervisor that only notes what it is asked."""

    def __init__(self, folder):
        self.folder, self.scaled = folder, None
        self.settings = type("S", (), {"rollback": ("touch", str(folder / "rolled"))})()

    async def scale(self, minimum, maximum):
        self.scaled = Scale(minimum, maximum)


async def test_the_buttons_do_what_they_say(tmp_path, monkeypatch):
    """With the page's token."""
    monkeypatch.setattr(_page, "FILES", tmp_path)
    (tmp_path / "index.html").write_text("<meta content='{{ogrom-token}}'>")
    up = _Up(tmp_path)
    page = _page.Page(up)
    runner = aiohttp.web.AppRunner(page.application())
    await runner.setup()
    site = aiohttp.web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    root = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    fields = {"Ogrom-Token": page.token}
    async with aiohttp.ClientSession() as session:
        async with session.get(root) as answer:
            assert page.token in await answer.text()
        async with session.post(
            f"{root}/scale", json={"minimum": 2, "maximum": 3}, headers=fields
        ) as answer:
            assert 200 == answer.status
        async with session.post(f"{root}/scale", json={"minimum": "x"}, headers=fields) as answer:
            assert 422 == answer.status
        async with session.post(f"{root}/rollback", json={}, headers=fields) as answer:
            assert 202 == answer.status
        async with asyncio.timeout(60):
            while not (tmp_path / "rolled").exists():
                await asyncio.sleep(0.02)
        async with asyncio.timeout(60):
            while page.rolled != "rolled back":
                await asyncio.sleep(0.02)
        up.settings.rollback = ("sh", "-c", "echo Nothing was deployed before. >&2; exit 3")
        async with session.post(f"{root}/rollback", json={}, headers=fields) as answer:
            assert 202 == answer.status
        async with session.post(f"{root}/rollback", json={}, headers=fields) as answer:
            assert 409 == answer.status  # one at a time
        async with asyncio.timeout(60):
            while page.rolled == "rolling back …":
                await asyncio.sleep(0.02)
        assert "not rolled back: Nothing was deployed before." == page.rolled
    await runner.cleanup()
    assert Scale(2, 3) == up.scaled
