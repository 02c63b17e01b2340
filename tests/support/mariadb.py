"""The project's own way to start MariaDB, for tests."""

import asyncio
import importlib.util
import os
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import asyncmy

_SPEC = importlib.util.spec_from_file_location(
    "ogrom_mariadb", Path(__file__).parents[2] / "tools" / "mariadb.py"
)
assert _SPEC
assert _SPEC.loader
_TOOL = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_TOOL)

Server = _TOOL.Server
Missing = _TOOL.Missing


def fresh(server: str) -> str:
    """The URL of a new, empty database of the server with that URL."""
    name = f"t{secrets.token_hex(6)}"
    url = urlsplit(server)

    async def create() -> None:
        async with (
            asyncmy.connect(
                host=url.hostname, port=url.port, user=url.username, password=url.password
            ) as connection,
            connection.cursor() as cursor,
        ):
            # Not what we want, so that it is seen that our tables do not depend on it.
            await cursor.execute(f"CREATE DATABASE {name} CHARACTER SET latin1")

    with ThreadPoolExecutor(1) as elsewhere:  # a test may have a loop of its own here
        elsewhere.submit(asyncio.run, create()).result()
    return url._replace(path=f"/{name}").geturl()


def of_state(state: Path) -> str:
    """The database of the shop with that state folder, where $OGROM_TEST_DB names a server."""
    server = os.environ.get("OGROM_TEST_DB")
    if not server:
        return ""
    kept = state.parent / f"{state.name}.db-url"
    if not kept.exists():
        kept.write_text(fresh(server))
    return kept.read_text()
