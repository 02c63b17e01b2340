"""Ready, degraded, not ready: by what all depends on, and by what only some endpoints need."""

import json

import pytest

from ogrom.http import Request, Resource, Service
from ogrom.serve import App
from ogrom.serve._app import health

SERVICE = Service({"/": Resource(name="home")})


def asked(path: str) -> Request:
    return Request(method="GET", path=path, query="", headers={}, id="test")


async def well() -> None:
    """Nothing to say."""


async def well_and_talkative() -> str:
    return "3 of 40 calls failed"


async def wrong() -> str:
    raise ConnectionError("no route to it")


@pytest.mark.parametrize(
    ("needed", "optional", "draining", "status", "said"),
    [
        (well, well_and_talkative, False, 200, "ready"),
        (well, wrong, False, 200, "degraded"),
        (wrong, well, False, 503, "not ready"),
        (wrong, wrong, False, 503, "not ready"),
        (well, wrong, True, 503, "not ready"),
    ],
)
async def test_what_is_told(needed, optional, draining, status, said):
    """An optional source that is away degrades the service and takes it from nobody; each says how it is."""
    app = App(
        service=SERVICE,
        checks={"disk": needed},
        optional={"users": optional, "logstash": well},
        release="abc1234",
    )
    answer = await health(app, asked("/-/ready"), draining=draining)
    assert answer is not None
    told = json.loads(answer.content)
    assert (status, said, "abc1234") == (answer.status, told["status"], told["release"])
    expected = {
        well: "ok",
        well_and_talkative: "3 of 40 calls failed",
        wrong: "ConnectionError: no route to it",
    }
    assert (expected[needed], expected[optional], "ok") == (
        told["checks"]["disk"],
        told["checks"]["users"],
        told["checks"]["logstash"],
    )
    assert draining == ("drain" in told["checks"])


async def test_live_whatever_is_away():
    """It can answer at all."""
    app = App(service=SERVICE, checks={"disk": wrong}, optional={"users": wrong})
    answer = await health(app, asked("/-/live"), draining=True)
    assert answer is not None
    assert 200 == answer.status
