"""What the tests of deploying share."""

from pathlib import Path

import pytest
from support.tea import commit, git, share_tools, write


@pytest.fixture
def repository(tmp_path: Path, tools: Path) -> Path:
    """A small service, with one commit."""
    place = tmp_path / "tea"
    write(place)
    share_tools(place / ".ogrom", tools)
    git(place, "init", "--quiet", "--initial-branch=main")
    commit(place)
    return place
