"""The shop, a real process, on a real identity API that is slow, wrong or gone."""

import asyncio
import os
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
from support.server import free_port

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent.parent / "support" / "identity.py"


@contextmanager
def identity(port: int):
    """The API as a process of its own."""
    process = subprocess.Popen([sys.executable, str(SCRIPT), str(port)], env=dict(os.environ))
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def switch(session, port: int, mode: str) -> None:
    """Wait until the API listens, and switch it."""
    for _ in range(400):
        with suppress(aiohttp.ClientError):
            async with session.post(f"http://127.0.0.1:{port}/control?mode={mode}"):
                return
        time.sleep(0.05)
    raise AssertionError("the identity API did not start")


async def status(session, url: str, **fields: str) -> tuple[int, float, dict]:
    """What comes back, how many seconds it took, and the fields."""
    began = time.monotonic()
    async with session.get(url, headers=fields) as answer:
        await answer.read()
        return answer.status, time.monotonic() - began, dict(answer.headers)


async def test_it_is_known_how_the_identity_api_is_though_nobody_asks(serving, tmp_path):
    """/-/ready is degraded when it goes and no more when it is back; no request needed it meanwhile."""
    port = free_port()
    env = {"OGROM_USERS": f"http://127.0.0.1:{port}/api", "OGROM_USERS_TOKEN": "demo-secret"}
    with serving(tmp_path / "state", **env) as shop:
        async with aiohttp.ClientSession() as session:

            async def becomes(wanted: str) -> None:
                async with asyncio.timeout(90):
                    while True:
                        async with session.get(f"{shop.url}/-/ready") as answer:
                            if wanted == (await answer.json())["status"]:
                                return
                        await asyncio.sleep(0.1)

            await becomes("degraded")  # nobody listens
            with identity(port):
                await switch(session, port, "ok")
                await becomes("ready")
                await switch(session, port, "failing")
                await becomes("degraded")
                await switch(session, port, "ok")
                await becomes("ready")


async def test_a_dead_identity_api_takes_down_what_needs_it_and_nothing_else(serving, tmp_path):
    """Slow, garbage, huge, another type, failing, gone: 503 with Retry-After, in time; then it heals."""
    port = free_port()
    env = {"OGROM_USERS": f"http://127.0.0.1:{port}/api", "OGROM_USERS_TOKEN": "demo-secret"}
    with serving(tmp_path / "state", **env) as shop:
        base = f"{shop.url}/v1/de-DE"
        anna = {"Authorization": "Bearer demo-anna"}
        async with aiohttp.ClientSession() as session:

            async def others_are_well() -> None:
                for path in ("/products", "/collages"):
                    assert 200 == (await status(session, base + path))[0]
                assert (
                    200 == (await status(session, f"{base}/collages", Authorization="Bearer x"))[0]
                )
                assert 200 == (await status(session, f"{shop.url}/-/ready"))[0]

            async def heals() -> None:
                for _ in range(200):
                    if 200 == (await status(session, f"{base}/users/bram"))[0]:
                        return
                    time.sleep(0.1)
                raise AssertionError("it did not heal")

            code, seconds, fields = await status(session, f"{base}/users/anna")  # nobody listens
            assert (503, True) == (code, seconds < 10)
            assert int(fields["Retry-After"]) >= 1
            await others_are_well()
            with identity(port):
                await switch(session, port, "ok")
                await heals()
                code, _, fields = await status(session, f"{base}/users/anna")
                assert 200 == code
                assert "public, max-age=60" == fields["Cache-Control"]
                for mode in ("slow", "garbage", "huge", "type", "failing"):
                    await switch(session, port, mode)
                    code, seconds, _ = await status(session, f"{base}/users/{mode}")
                    assert (503, True) == (code, seconds < 10), mode
                    assert 200 == (await status(session, f"{base}/users/anna"))[0]  # it is kept
                    await others_are_well()
                await switch(session, port, "ok")
                for _ in range(200):
                    code = (await status(session, f"{base}/products/none/ratings/mine", **anna))[0]
                    if code == 404:
                        break
                    time.sleep(0.1)
                assert 404 == code  # her token is known again
        shop.stop()  # by now all of the log is written
        assert "demo-secret" not in shop.log.read_text()
