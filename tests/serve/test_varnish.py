"""What tools/varnish.vcl adds to Varnish, with a service that says every kind of Cache-Control."""

import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.varnish import in_front_of

pytestmark = pytest.mark.slow

KEPT = Path(__file__).parent / "kept.py"
JSON = {"Content_Type": "application/json"}
PATIENCE = 60  # seconds


@pytest.fixture
def cache():
    """A client of a new Varnish before a new service."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(100)
        where, port = f"fd:{listener.fileno()}", listener.getsockname()[1]
        process = subprocess.Popen([sys.executable, str(KEPT), where], pass_fds=[listener.fileno()])
        try:
            with in_front_of(port) as client:
                yield client
        finally:
            process.kill()
            process.wait()


def shown(cache, target):
    """What is read there."""
    answer = cache.ask("GET", target)
    assert 200 == answer.status
    return json.loads(answer.content)


def said(cache, text):
    """Tells the service something, by a path that nobody reads."""
    answer = cache.ask("POST", "/switch", json.dumps({"text": text}).encode(), **JSON)
    assert 204 == answer.status


def older(cache, target, age):
    """The answer that is there when it is so old, in seconds."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = cache.ask("GET", target)
        if answer.status != 200 or int(answer["age"]) >= age:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"{target} stays new")


def test_a_write_removes_what_was_kept_of_its_path(cache):
    """RFC 9111, section 4.4: though it would be fresh for an hour, and with every query."""
    first = shown(cache, "/hour"), shown(cache, "/hour?page=2")
    assert first == (shown(cache, "/hour"), shown(cache, "/hour?page=2"))
    other = shown(cache, "/mine")
    assert 204 == cache.ask("PUT", "/hour", b'{"text":"second"}', **JSON).status
    assert "second" == shown(cache, "/hour")["text"]
    assert "second" == shown(cache, "/hour?page=2")["text"]
    assert other["asked"] < shown(cache, "/hour")["asked"]


def test_a_write_that_is_refused_removes_nothing(cache):
    """An error has changed nothing."""
    first = shown(cache, "/hour")
    assert 412 == cache.ask("PUT", "/hour", b'{"text":"refuse"}', **JSON).status
    assert first == shown(cache, "/hour")


@pytest.mark.parametrize("target", ["/never", "/mine"])
def test_what_may_not_be_shared_is_not_kept(cache, target):
    """`no-store` and `private`: each is asked for anew."""
    assert shown(cache, target)["asked"] < shown(cache, target)["asked"]


def test_an_origin_that_answers_5xx_leaves_what_is_stale(cache):
    """`stale-if-error` is for a source that is down, too; when it is back, so is what is new."""
    first = shown(cache, "/second")
    said(cache, "down")
    stale = older(cache, "/second", 4)
    assert (200, first) == (stale.status, json.loads(stale.content))
    said(cache, "back")
    end = time.monotonic() + PATIENCE
    while "back" != shown(cache, "/second")["text"] and time.monotonic() < end:
        time.sleep(0.1)
    assert "back" == shown(cache, "/second")["text"]


def test_what_may_not_be_stale_is_not(cache):
    """Without `stale-if-error` the 503 is passed on, with its Retry-After, and is not kept."""
    shown(cache, "/strict")
    said(cache, "down")
    refused = older(cache, "/strict", PATIENCE)
    assert (503, "1", "no-store") == (
        refused.status,
        refused["retry-after"],
        refused["cache-control"],
    )
    said(cache, "back")
    assert "back" == shown(cache, "/strict")["text"]
