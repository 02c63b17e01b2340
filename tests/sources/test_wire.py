"""Our own HTTP client, by a real server that says whatever a test has it say."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.certificate import certified

from ogrom.sources import _wire
from ogrom.sources._engine import Engine, connect
from ogrom.sources._errors import BadAnswer, Misuse, TimedOut, Unavailable
from ogrom.sources._reading import Chunks, Garbage, Head, head
from ogrom.sources._wire import Broken, Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: z\r\n\r\n"
)

Talk = Callable[["Server", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """What came in, and over how many connections."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self.open = 0
        self.most = 0
        self.questions = list[bytes]()

    async def question(self, reader: asyncio.StreamReader) -> bytes:
        """Read one question, with its content."""
        came = await reader.readuntil(b"\r\n\r\n")
        for line in came.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                came += await reader.readexactly(int(line[15:]))
        self.questions.append(came)
        return came


@asynccontextmanager
async def served(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    """The server, which talks so with everybody who connects."""
    server = Server()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        server.open += 1
        server.most = max(server.most, server.open)
        try:
            await talk(server, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            server.open -= 1
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        server.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
        yield server


def says(*answers: bytes, pause: float = 0.0, close: bool = False) -> Talk:
    """Answer each question with the next of these, the last one again and again."""

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        turn = 0
        while True:
            await server.question(reader)
            answer = answers[min(turn, len(answers) - 1)]
            for at in range(0, len(answer), 7) if pause else (0,):
                writer.write(answer[at : at + 7] if pause else answer)
                await writer.drain()
                await asyncio.sleep(pause)
            turn += 1
            if close:
                return

    return talk


@asynccontextmanager
async def wire(server: Server, **more: Any) -> AsyncIterator[Wire]:
    made = Wire(server.url, {"Accept": "application/json"}, **more)
    try:
        yield made
    finally:
        await made.close()


async def get(client: Wire, seconds: float = 30, **more: Any) -> tuple[int, bytes]:
    answer = await client.ask("GET", "/x", b"", "", seconds, **more)
    return answer.status, bytes(answer.content)


@pytest.mark.parametrize(
    ("answer", "status", "content"),
    [
        (OK, 200, b"ok"),
        (b"HTTP/1.1 200\r\ncontent-length:2 \r\nX: y\r\n\r\nok", 200, b"ok"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, b""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nA: b\r\n\r\n" + OK, 200, b"ok"),
        (CHUNKED, 200, b"hello world"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, b"ok"),
    ],
)
@pytest.mark.parametrize("pause", [0.0, 0.0005])
async def test_what_is_understood(answer: bytes, status: int, content: bytes, pause: float) -> None:
    """However it arrives; and the connection is used again."""
    async with served(says(answer, pause=pause)) as server, wire(server) as client:
        for _ in range(3):
            assert (status, content) == await get(client)
        assert 1 == server.connections


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        OK + b"HTTP/1.1 200 OK\r\n",
    ],
)
async def test_a_connection_that_ends_with_its_answer(answer: bytes) -> None:
    """Because it says so, or said more than was asked, is not used again."""
    async with served(says(answer)) as server, wire(server) as client:
        for number in range(1, 4):
            assert (200, b"ok") == await get(client)
            assert number == server.connections


async def test_content_to_the_end() -> None:
    """Without a length, it goes on until the connection ends."""
    answer = b"HTTP/1.1 200 OK\r\n\r\nall of it"
    async with served(says(answer, pause=0.001, close=True)) as server, wire(server) as client:
        assert (200, b"all of it") == await get(client)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"220 mail.example ESMTP\r\n", "not speak HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x16\r\n\r\n", "not speak HTTP"),
        (b"HTTP/2 200 OK\r\n\r\n", "not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nNo field\r\n\r\n", "a line of its head"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "a line of its head"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nok", "length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", "length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok", "length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nok\r\n", "chunks"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n", "chunks"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000, "not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 40_000 + b"\r\n\r\n", "not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n", "more than 100 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n", "more than 100 bytes"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101, "more than 100 bytes"),
    ],
)
async def test_what_is_not_understood(answer: bytes, complaint: str) -> None:
    """Is told as it is, sent once, and the connection is not used again."""
    async with served(says(answer, OK, close=True)) as server, wire(server, most=100) as client:
        with pytest.raises(Garbage, match=complaint):
            await get(client)
        assert 1 == len(server.questions)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nok",
    ],
)
async def test_broken_off(answer: bytes) -> None:
    """An answer that has begun is not asked for again."""

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        await says(OK)(server, reader, writer) if server.connections > 1 else None
        await server.question(reader)
        writer.write(OK)
        await server.question(reader)
        writer.write(answer)
        await writer.drain()

    async with served(talk) as server, wire(server) as client:
        assert (200, b"ok") == await get(client)
        with pytest.raises(Broken) as caught:
            await get(client)
        assert caught.value.begun
        assert 2 == len(server.questions)


async def test_closed_in_the_meantime() -> None:
    """A kept connection that breaks unanswered is replaced, once; a new one that breaks is not."""

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        await server.question(reader)
        if server.connections < 3:
            writer.write(OK)
            await server.question(reader)  # and hangs up on it

    async with served(talk) as server, wire(server) as client:
        assert (200, b"ok") == await get(client)
        assert (200, b"ok") == await get(client)
        assert 2 == server.connections
        with pytest.raises(Broken) as caught:
            await get(client)
        assert (False, 3) == (caught.value.begun, server.connections)
        assert 5 == len(server.questions)


async def test_what_must_not_be_sent_twice() -> None:
    """Goes over a connection of its own, however many are kept; that one is kept then."""
    async with served(says(OK)) as server, wire(server) as client:
        await get(client)
        await get(client, once=True)
        assert 2 == server.connections
        await get(client)
        assert 2 == server.connections


@pytest.mark.parametrize("began", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok"])
async def test_no_answer_in_time(began: bytes) -> None:
    """The connection is closed; what comes late is nobody's answer."""

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        if server.connections > 1:
            await says(OK)(server, reader, writer)
        await server.question(reader)
        writer.write(began)
        await reader.read()  # until the client hangs up

    async with served(talk) as server, wire(server) as client:
        with pytest.raises(TimeoutError):
            await get(client, seconds=0.1)
        assert (200, b"ok") == await get(client)
        assert 2 == server.connections


async def test_cancelled() -> None:
    """Its connection is closed, and the next question gets its own answer."""

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        if server.connections > 1:
            await says(OK)(server, reader, writer)
        await server.question(reader)
        await reader.read()

    async with served(talk) as server, wire(server, connections=1) as client:
        asking = asyncio.create_task(get(client))
        while not server.questions:
            await asyncio.sleep(0.001)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert (200, b"ok") == await get(client)


async def test_so_many_connections_and_no_more() -> None:
    """Questions wait for one within their time, and each gets its own answer."""

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        while True:
            target = (await server.question(reader)).split()[1]
            await asyncio.sleep(0.001)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(target) + target)

    async with served(talk) as server, wire(server, connections=3) as client:
        answers = await asyncio.gather(
            *(client.ask("GET", f"/{number}", b"", "", 30) for number in range(50))
        )
        assert [f"/{number}".encode() for number in range(50)] == [
            bytes(each.content) for each in answers
        ]
        assert 3 == server.most

        async with served(says(OK, pause=60)) as frozen, wire(frozen, connections=1) as one:
            first = asyncio.create_task(get(one, seconds=1))
            with pytest.raises(TimeoutError):
                await get(one, seconds=0.1)
            with pytest.raises(TimeoutError):
                await first


async def test_what_is_sent() -> None:
    """The fields, the length, the content: all of it, in its order, however slowly it is taken."""
    content = bytes(range(256)) * 40_000

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        await asyncio.sleep(0.2)
        await says(OK)(server, reader, writer)

    async with served(talk) as server, wire(server) as client:
        for sent in (content, b"{}"):
            await client.ask("POST", "/a%20b?c=d", sent, "application/json", 30)
        large, small = server.questions
        assert large.endswith(b"\r\n\r\n" + content)
        assert (
            small
            == (
                f"POST /a%20b?c=d HTTP/1.1\r\nHost: {server.url[7:]}\r\nAccept: application/json\r\n"
                "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
            ).encode()
        )
        assert 1 == server.connections


async def test_refused_before_all_was_sent() -> None:
    """The answer counts, and the rest is not sent."""

    async def talk(server: Server, reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await writer.drain()
        await asyncio.sleep(30)

    async with served(talk) as server, wire(server) as client:
        refused = await client.ask("POST", "/", b"x" * (64 << 20), "x/y", 20)
        assert (413, b"no") == refused[:2]


async def test_what_cannot_be_sent() -> None:
    """Neither a path nor a field can smuggle in a line."""
    client = Wire("http://127.0.0.1:9", {})
    for target in ("/a b", "/a\r\nX: y", "/ä", "x"):
        with pytest.raises(ValueError, match="Percent-encode"):
            await client.ask("GET", target, b"", "", 1)
    with pytest.raises(ValueError, match="line end"):
        Wire("http://127.0.0.1:9", {"X": "y\r\nZ: 1"})


async def test_connections_that_nobody_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Are not used again when their time is over, but closed."""
    async with served(says(OK)) as server, wire(server) as client:
        await asyncio.gather(get(client), get(client), get(client))
        assert 3 == server.connections == server.open
        monkeypatch.setattr(_wire, "KEPT", -1.0)
        await get(client)
        assert 4 == server.connections
        async with asyncio.timeout(30):
            while server.open > 1:
                await asyncio.sleep(0.001)


async def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its certificate has to be good."""
    certificate, context = certified(tmp_path)
    async with served(says(OK), tls=context) as server:
        async with wire(server) as client:
            with pytest.raises(ssl.SSLCertVerificationError):
                await get(client)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with wire(server) as client:
            assert (200, b"ok") == await get(client)
            assert (200, b"ok") == await get(client)


@pytest.mark.parametrize(
    ("answer", "error", "complaint"),
    [
        (b"220 mail.example ESMTP\r\n", BadAnswer, "cannot be read: it does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", Unavailable, "cannot be reached"),
        (b"", Unavailable, "closed the connection"),
        (OK, BadAnswer, "cannot be read"),
        (b"HTTP/1.1 302 F\r\nLocation: /\r\nContent-Length: 0\r\n\r\n", BadAnswer, "redirects"),
        (b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n\xff\xff", Misuse, "no reason given"),
    ],
)
async def test_what_an_engine_makes_of_it(
    answer: bytes, error: type[Exception], complaint: str
) -> None:
    """An error of ours, by who must act, with the address."""
    async with served(says(answer, close=True)) as server, connect(server.url) as engine:
        with pytest.raises(error, match=complaint) as caught:
            await engine.ping()
        assert error is type(caught.value)
        assert server.url in str(caught.value)


async def test_an_engine_that_says_nothing() -> None:
    """Within our patience."""
    async with served(says(b"")) as server, connect(server.url, patience=0.1) as engine:
        with pytest.raises(TimedOut, match=r"0\.1 s"):
            await Engine.ping(engine)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=6),
    st.lists(st.integers(1, 30), min_size=1, max_size=9),
)
def test_chunks_however_they_arrive(parts: list[bytes], cuts: list[int]) -> None:
    """The content is the same, and what follows is left where it is."""
    sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    chunks, came, at, turn = Chunks(1 << 20), bytearray(), 0, 0
    while at < len(sent):
        cut = cuts[turn % len(cuts)]
        came += sent[at : at + cut]
        at, turn = at + cut, turn + 1
        assert chunks.take(came) == (at >= len(sent))
    assert b"".join(parts) == chunks.content
    assert not came
    again, all_at_once = Chunks(1 << 20), bytearray(sent + b"more")
    assert again.take(all_at_once)
    assert b"more" == all_at_once


@given(st.binary(max_size=200))
def test_no_head_upsets_it(raw: bytes) -> None:
    """It is read, or garbage."""
    for whole in (raw, b"HTTP/1.1 200 OK\r\n" + raw):
        with suppress(Garbage):
            assert isinstance(head(whole), Head)
