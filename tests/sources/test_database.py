"""A real MariaDB by the project's own tool, and what is asked of the driver for it."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncmy
import pytest
from asyncmy import auth
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from support.database import Server

pytestmark = pytest.mark.slow


def login(server: Server) -> dict[str, Any]:
    """What asyncmy wants to know."""
    url = urlsplit(server.url())
    return {
        "host": url.hostname,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "db": url.path.removeprefix("/"),
    }


async def ask(server: Server, sql: str) -> Any:
    """The rows of one statement on a connection of its own."""
    async with (
        asyncmy.connect(**login(server), autocommit=True) as connection,
        connection.cursor() as cursor,
    ):
        await cursor.execute(sql)
        return await cursor.fetchall()


async def test_a_query_cancelled_in_flight_never_answers_the_next(database: Server) -> None:
    """The driver once gave the next query the row of the one before: forty are cancelled."""
    async with asyncmy.create_pool(**login(database), minsize=1, maxsize=1) as pool:

        async def number(wanted: int, seconds: float) -> int:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute(f"SELECT {wanted}, SLEEP({seconds})")
                row = await cursor.fetchone()
                return int(row[0])

        for turn in range(40):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await number(-1, 0.2)

            assert turn == await asyncio.wait_for(number(turn, 0), 30)


async def test_it_keeps_its_port_and_its_data(tmp_path: Path, database: Server) -> None:
    """Stopped and started, it is the same server; another directory's goes on meanwhile."""
    server = Server(tmp_path)
    server.start(tls=False)
    try:
        where = server.url()
        await ask(server, "CREATE TABLE kept (id INT)")
        await ask(server, "INSERT INTO kept VALUES (7)")

        server.stop()
        assert server.pid() is None
        assert database.pid() is not None

        server.start(tls=False)
        assert where == server.url()
        assert [(7,)] == [tuple(row) for row in await ask(server, "SELECT id FROM kept")]
    finally:
        server.stop()


async def test_a_frozen_server_is_stopped(tmp_path: Path, database: Server) -> None:
    """SIGSTOP does not keep it from ending; stopping what does not run is nothing."""
    assert database.pid() is not None
    server = Server(tmp_path)
    server.start(tls=False)
    pid = server.pid()
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)

    server.stop()
    server.stop()

    assert server.pid() is None
    assert not Path(str(server.known()["socket"])).parent.exists()
    assert 0o700 == tmp_path.stat().st_mode & 0o777


def test_a_password_is_encrypted_for_the_server_alone() -> None:
    """What a MySQL asks for from its usual users without TLS; a MariaDB never does, so it is seen here."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    salt = bytes(range(1, 21))
    sent = auth.sha2_rsa_encrypt(b"s3cret", salt, public)
    told = key.decrypt(sent, OAEP(MGF1(SHA1()), SHA1(), None))
    assert b"s3cret\0" == bytes(one ^ other for one, other in zip(told, salt, strict=False))
