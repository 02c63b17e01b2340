"""Traces in production: for who has the secret, of the requests that carry it; otherwise nothing at all."""

import hmac
import json
import subprocess
import sys

import pytest
from support.server import shop_server
from support.traced import notes

from ogrom.http import Request
from ogrom.trace import Guarded

KEY = "correct-horse-battery"


def request(path="/notes/1", **fields):
    return Request(method="GET", path=path, headers={"host": "shop.example", **fields}, id="i")


async def test_only_who_has_the_secret_gets_a_trace():
    """The answer names it; to read it takes the secret again. The secret is nowhere in it."""
    guarded = Guarded(notes(), KEY)
    response = await guarded.respond(request(**{"ogrom-trace": KEY}))
    where = dict(response.headers)["Ogrom-Trace"]
    read = await guarded.respond(request(where, **{"ogrom-trace": KEY}))
    assert 200 == read.status
    trace = json.loads(read.content)
    assert "handle_ok" == trace["summary"]["end"]
    assert KEY.encode() not in read.content
    for fields in ({}, {"ogrom-trace": "wrong"}, {"ogrom-trace": ""}, {"ogrom-trace": KEY[:-1]}):
        assert 404 == (await guarded.respond(request(where, **fields))).status
        assert 404 == (await guarded.respond(request("/-/trace", **fields))).status


async def test_every_other_request_goes_to_the_service_itself():
    """No trace, no field, and the very function that answers where there are no traces."""
    service = notes()
    guarded = Guarded(service, KEY)
    for fields in ({}, {"ogrom-trace": "wrong"}, {"ogrom-trace": "wröng"}):
        asked = request(**fields)
        response = await guarded.respond(asked)
        assert response == await service.respond(asked)
        assert "Ogrom-Trace" not in dict(response.headers)
    assert 0 == len(guarded._ring)


async def test_the_secret_is_compared_in_constant_time(monkeypatch):
    """By hmac.compare_digest, and by nothing else."""
    compared = []

    def note(one, other):
        compared.append((one, other))
        return False

    monkeypatch.setattr(hmac, "compare_digest", note)
    response = await Guarded(notes(), KEY).respond(request(**{"ogrom-trace": KEY}))
    assert [(KEY.encode(), KEY.encode())] == compared
    assert "Ogrom-Trace" not in dict(response.headers)


def test_a_secret_that_can_be_guessed_is_refused():
    """The message says how to make one."""
    with pytest.raises(ValueError, match="token_urlsafe"):
        Guarded(notes(), "short")


OPEN = """
import asyncio, pathlib, sys
from ogrom.http import Service
from shop.run import Settings, shop

async def main():
    settings = Settings.from_env({"OGROM_STATE": sys.argv[1], "OGROM_PRODUCTS": "5", **dict(each.split("=") for each in sys.argv[2:])})
    async with shop(settings) as app:
        print(type(app.service).__name__, any(name.startswith("ogrom.trace") and name != "ogrom.tracing" for name in sys.modules))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "says"),
    [([], "Service False"), ([f"OGROM_TRACE={KEY}"], "Guarded True")],
    ids=["off", "on"],
)
def test_without_the_switch_no_trace_code_is_loaded(tmp_path, settings, says):
    """What answers is the service itself, and no module of traces is imported."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(tmp_path / "state"), *settings],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert says == done.stdout.strip()


@pytest.mark.slow
def test_shop_serve_has_no_traces_unless_it_is_told(tmp_path):
    """`/-/trace` is 404 and the field is ignored; with OGROM_TRACE, the field is obeyed."""
    import urllib.error
    import urllib.request

    def get(url, **fields):
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(url, headers=headers), timeout=30
            ) as found:
                return found.status, found.headers.get("Ogrom-Trace")
        except urllib.error.HTTPError as error:
            return error.code, error.headers.get("Ogrom-Trace")

    with shop_server(tmp_path / "off") as server:
        assert (404, None) == get(f"{server.url}/-/trace", ogrom_trace=KEY)
        assert (200, None) == get(f"{server.url}/v1/de-DE", ogrom_trace=KEY)
    with shop_server(tmp_path / "on", OGROM_TRACE=KEY) as server:
        assert (404, None) == get(f"{server.url}/-/trace")
        assert (200, None) == get(f"{server.url}/v1/de-DE")
        status, where = get(f"{server.url}/v1/de-DE", ogrom_trace=KEY)
        assert 200 == status
        assert 404 == get(f"{server.url}{where}")[0]
        assert 200 == get(f"{server.url}{where}", ogrom_trace=KEY)[0]
