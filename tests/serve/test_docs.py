"""What docs/serving.md says is so."""

import re
from pathlib import Path

from ogrom.http import Service
from ogrom.http.testing import ask
from ogrom.serve import Limits

TEXT = (Path(__file__).parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")


def test_the_limits_are_those_of_the_table():
    """All of them, each with its default."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, re.MULTILINE)
    defaults = Limits()
    assert {name: getattr(defaults, name) for name in Limits.__slots__} == {
        name: float(value) for name, value in rows
    }


async def test_the_example_runs():
    """It answers what is shown."""
    (code,) = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    names = {"__name__": "docs"}
    exec(compile(code, "serving.md", "exec"), names)
    async with names["opened"]() as app:
        assert isinstance(app.service, Service)
        hello, numbers = app.service, app.service
    assert '{"hello":"you"}' == ask(hello, "GET /hello/you").text
    assert TEXT.count('{"hello":"you"}') == 1
    pieces = ask(numbers, "GET /numbers").response.pieces
    assert b"999\n" == list(pieces)[-1]
