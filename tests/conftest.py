"""Search engines and databases in processes of their own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mariadb import Missing, Server, fresh
from support.opensearch import CannotStart, Node


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A real OpenSearch, for all tests of a session; without one they are skipped."""
    node = Node(tmp_path_factory.mktemp("opensearch"))
    try:
        node.start()
    except CannotStart as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"OpenSearch: {error}")
    yield node
    node.stop()


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A real MariaDB, for all tests of a session; without one they are skipped."""
    server = Server(tmp_path_factory.mktemp("mariadb"))
    try:
        server.start(tls=False)
    except Missing as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"MariaDB: {error}")
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("mariadb", marks=pytest.mark.slow)])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """A database that is empty: a file that is not there yet, and one of a real MariaDB."""
    if request.param == "sqlite":
        return tmp_path / "notes.db"
    return fresh(request.getfixturevalue("mariadb").url())
