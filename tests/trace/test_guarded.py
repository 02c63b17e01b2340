"""Traces in production: for who has the secret, of the requests that carry it; otherwise nothing at all."""

import hmac
import json
import os
import subprocess
import sys
import urllib.request

import pytest
from support.server import shop_server
from support.traced import notes

from ogrom.http import Request
from ogrom.trace import Guarded
from ogrom.trace._shelf import Shelf
from shop.run import Settings, SettingsError

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


async def test_what_shares_the_folder_shows_the_trace(tmp_path):
    """Of several workers or instances any can be asked, for who has the secret; others' files are not read."""
    folder = tmp_path / "traces"
    one, other = (Guarded(notes(), KEY, folder=folder) for _ in range(2))
    response = await one.respond(
        request(authorization="Bearer sesame-open", **{"ogrom-trace": KEY})
    )
    where = dict(response.headers)["Ogrom-Trace"]
    for each in (one, other):
        read = await each.respond(request(where, **{"ogrom-trace": KEY}))
        assert (200, "handle_ok") == (read.status, json.loads(read.content)["summary"]["end"])
        assert 404 == (await each.respond(request(where))).status
    (file,) = folder.iterdir()
    assert (0o600, 0o700) == (file.stat().st_mode & 0o777, folder.stat().st_mode & 0o777)
    assert b"sesame-open" not in file.read_bytes()
    (tmp_path / "0123456789abcdef.json").write_text("{}")
    for bad in ("../0123456789abcdef", "0123456789abcdef", "..%2F0123456789abcdef", ""):
        read = await one.respond(request(f"/-/trace/{bad}", **{"ogrom-trace": KEY}))
        assert 404 == read.status


def test_the_folder_has_so_many_traces_and_no_more(tmp_path):
    """The oldest go, by count and by size; one that is too long alone is kept alone."""
    shelf = Shelf(tmp_path, count=3, size=100)
    ids = [f"{number:016}" for number in range(6)]
    for number, id_ in enumerate(ids[:5]):
        shelf.put(id_, b"x" * 10)
        os.utime(tmp_path / f"{id_}.json", (number, number))
    assert [None, None, b"x" * 10] == [shelf.get(id_) for id_ in ids[:3]]
    shelf.put(ids[5], b"y" * 200)
    assert [ids[5]] == [each.stem for each in tmp_path.iterdir()]


async def test_a_folder_that_cannot_be_written_is_no_fault_of_the_request(tmp_path, caplog):
    """The trace is in memory then, and the log says why."""
    (tmp_path / "file").write_text("")
    guarded = Guarded(notes(), KEY, folder=tmp_path / "file" / "traces")
    response = await guarded.respond(request(**{"ogrom-trace": KEY}))
    where = dict(response.headers)["Ogrom-Trace"]
    assert 200 == (await guarded.respond(request(where, **{"ogrom-trace": KEY}))).status
    assert "in memory alone" in caplog.text


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
    with pytest.raises(SettingsError, match="OGROM_TRACE has fewer than 16"):
        Settings.from_env({"OGROM_TRACE": "short"})
    assert KEY not in repr(Settings.from_env({"OGROM_TRACE": KEY}))


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
            with error:
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


@pytest.mark.slow
def test_any_worker_shows_the_trace_of_another(tmp_path):
    """The workers of one `shop serve`, each asked on a connection of its own until both have answered."""

    def get(url):
        asked = urllib.request.Request(url, headers={"Ogrom-Trace": KEY})
        with urllib.request.urlopen(asked, timeout=30) as found:
            return found.status, dict(found.headers), json.loads(found.read())

    with shop_server(tmp_path / "state", OGROM_TRACE=KEY, OGROM_WORKERS="2") as server:
        where = get(f"{server.url}/v1/de-DE")[1]["Ogrom-Trace"]
        seen = set()
        for _ in range(400):
            seen.add(get(f"{server.url}/-/live")[2]["worker"])
            assert 200 == get(f"{server.url}{where}")[0]
            if len(seen) == 2:
                break
        assert {1, 2} == seen
        assert [f"{where.rpartition('/')[2]}.json"] == [
            each.name for each in (tmp_path / "state" / "traces").iterdir()
        ]
