"""What the tests of deploying share."""

from pathlib import Path

import pytest
from support.tea import commit, git, write


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small service, with one commit."""
    place = tmp_path / "tea"
    write(place)
    git(place, "init", "--quiet", "--initial-branch=main")
    commit(place)
    return place
