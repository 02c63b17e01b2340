"""What the README shows is what happens."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


@pytest.mark.parametrize("code", BLOCKS)
def test_a_python_block_runs_and_its_assertions_hold(code):
    """A block is a program of its own."""
    exec(compile(code, str(README), "exec"), {"__name__": "readme"})


def test_there_are_blocks_to_run():
    """A README without an example would make the test above pass."""
    assert BLOCKS
