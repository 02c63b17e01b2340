"""No secret is shown: not in a log, nor in what health and metrics tell, nor in an answer."""

import re
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from support.server import free_port, shop_server

pytestmark = pytest.mark.slow

SECRETS = ("db-s3cret", "search-s3cret", "users-s3cret", "token-s3cret")

PATHS = (
    "/v1/de-DE/products",
    "/v1/de-DE/products/p1",
    "/v1/de-DE/products/p1/ratings",
    "/v1/de-DE/products/p1/comments",
    "/v1/de-DE/collages",
    "/v1/de-DE/users/anna",
    "/-/ready",
    "/-/metrics",
)


async def test_with_every_source_away(tmp_path: Path) -> None:
    """All four are out of reach from the start: the service is there, says what is wrong with whom, and
    their passwords, which are in their URLs, are nowhere; nor are its clients' tokens.
    """
    gone = free_port()
    env = {
        "OGROM_DB": f"mysql://shop:db-s3cret@127.0.0.1:{gone}/shop",
        "OGROM_SEARCH": f"http://shop:search-s3cret@127.0.0.1:{gone}/shop",
        "OGROM_USERS": f"http://shop:users-s3cret@127.0.0.1:{gone}/api",
        "OGROM_LOGSTASH": f"tcp://127.0.0.1:{gone}",
    }
    state = tmp_path / "state"
    said: list[str] = []
    with shop_server(state, **env) as server:
        token = {"Authorization": "Bearer token-s3cret"}
        async with aiohttp.ClientSession(headers=token) as session:
            for _ in range(6):  # until the breakers are open, and beyond
                for path in PATHS:
                    async with session.get(server.url + path) as answer:
                        said.append(await answer.text())
                        expected = 200 if path.startswith("/-/") else 503
                        assert expected == answer.status, path
                        assert expected == 200 or int(answer.headers["Retry-After"]) >= 1
                url = f"{server.url}/v1/de-DE/collages"
                async with session.post(url, json={"title": "a", "product_ids": ["p"]}) as answer:
                    said.append(await answer.text())
                    assert 503 == answer.status
            async with session.get(f"{server.url}/-/ready") as answer:
                told = await answer.json()
        assert "degraded" == told["status"]
        for source in ("sql", "search", "users", "logstash"):
            assert re.search("Unavailable|CircuitOpen|away", told["checks"][source]), source
        server.stop()
        said.append(server.log.read_text())
    spooled = [*state.rglob("*.log")]
    assert spooled  # logstash was away
    for file in spooled:
        with suppress(UnicodeDecodeError):
            said.append(file.read_text())
    assert "is away" in said[-1] + said[-2]
    for secret in SECRETS:
        assert not [each for each in said if secret in each], secret
