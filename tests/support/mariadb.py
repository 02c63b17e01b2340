"""The project's own way to start MariaDB, for tests."""

import asyncio
import importlib.util
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
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


def fresh(server: Any) -> str:
    """The URL of a new, empty database of that server."""
    name = f"t{secrets.token_hex(6)}"
    url = urlsplit(server.url())

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
