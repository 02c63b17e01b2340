"""The project's own way to start MariaDB or MySQL, and a new database in it."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import asyncmy
from databases import Missing, Server

__all__ = ["Missing", "Server", "fresh"]


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
