"""HTTP/1.1 from the client's side, byte by byte: what is sent, and what comes back taken apart."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h11

ECHO = Path(__file__).parents[1] / "serve" / "echo.py"


@dataclass(frozen=True)
class Answer:
    """One answer, whole and well formed."""

    status: int
    fields: Mapping[str, str]
    content: bytes

    @property
    def ends(self) -> bool:
        """Whether it says that the connection ends with it."""
        return "close" in self.fields.get("connection", "").lower()

    @property
    def json(self) -> dict[str, object]:
        """Its content."""
        return json.loads(self.content)


class Malformed(AssertionError):
    """What came back is not HTTP."""


def answers(received: bytes, methods: Sequence[str] = ()) -> list[Answer]:
    """All that was answered, read strictly.

    Args:
        received: from the first byte to the end of the connection.
        methods: of the requests, in their order: what answers to HEAD have no content. GET is
            assumed beyond the last.

    Raises:
        Malformed: these are no answers, or the last one is not whole.
    """
    found: list[Answer] = []
    rest = received
    while rest:
        method = methods[len(found)] if len(found) < len(methods) else "GET"
        answer, rest = _one(rest, method)
        found.append(answer)
        if answer.ends and rest:
            raise Malformed(f"After an answer that says close: {rest[:200]!r}")
    return found


def _one(received: bytes, method: str) -> tuple[Answer, bytes]:
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(received)
    client.receive_data(b"")
    head: h11.Response | None = None
    content = b""
    try:
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                content += event.data
            elif not isinstance(event, h11.InformationalResponse):
                raise Malformed(f"{event!r} in {received[:400]!r}")
    except h11.RemoteProtocolError as error:
        raise Malformed(f"{error}: {received[:400]!r}") from None
    assert head is not None
    fields = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
    return Answer(head.status_code, fields, content), client.trailing_data[0]


@dataclass
class Served:
    """A server that runs in a process of its own."""

    process: subprocess.Popen[bytes]
    address: tuple[str, int] | str
    kind: str = "ours"
    started: float = field(default_factory=time.monotonic)

    def connect(self, wait: float = 30) -> socket.socket:
        """A connection; every step of it may take so many seconds."""
        family = socket.AF_UNIX if isinstance(self.address, str) else socket.AF_INET
        client = socket.socket(family, socket.SOCK_STREAM)
        client.settimeout(wait)
        try:
            client.connect(self.address)
        except BaseException:
            client.close()
            raise
        if family == socket.AF_INET:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return client

    def raw(self, *parts: bytes, ends: bool = True, pause: float = 0, wait: float = 30) -> bytes:
        """All that comes back for these parts until the server ends the connection.

        Args:
            parts: sent one after the other.
            ends: whether to say after the last one that nothing more will come.
            pause: so many seconds between two parts, so that they arrive as they were sent.
            wait: for so many seconds for the next byte.

        Raises:
            TimeoutError: the server neither says anything nor ends the connection.
        """
        with self.connect(wait) as client:
            with contextlib.suppress(ConnectionError):  # it may have ended it by now
                for number, part in enumerate(parts):
                    if pause and number:
                        time.sleep(pause)
                    client.sendall(part)
            if ends:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_WR)
            return until_end(client)

    def ask(self, *parts: bytes, methods: Sequence[str] = (), ends: bool = True) -> list[Answer]:
        """The answers to these bytes."""
        return answers(self.raw(*parts, ends=ends), methods)

    def metrics(self) -> str:
        """What it tells of itself."""
        return self.ask(b"GET /-/metrics HTTP/1.0\r\n\r\n")[0].content.decode()

    def kill(self) -> None:
        """End it, if it still runs."""
        self.process.kill()
        self.process.wait()


def until_end(client: socket.socket) -> bytes:
    """Whatever comes until the server ends the connection."""
    found = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := client.recv(1 << 16):
            found += data
    return bytes(found)


def request(
    target: str,
    *fields: str,
    method: str = "GET",
    content: bytes | None = None,
    host: str = "Host: a",
    version: str = "1.1",
) -> bytes:
    """A request's bytes; `Content-Length` is that of the content, where there is any."""
    lines = [f"{method} {target} HTTP/{version}", *([host] if host else []), *fields]
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (content or b"")


@contextmanager
def echo(
    kind: str = "ours",
    *,
    where: str = "",
    limits: Mapping[str, float] | None = None,
    listener: socket.socket | None = None,
) -> Iterator[Served]:
    """The service of `serve/echo.py`, up; killed, if it still runs, when the block is left.

    Args:
        kind: `ours` or `uvicorn`.
        where: what it listens on by itself (`unix:…`, `127.0.0.1:8080`); "" for a socket handed down.
        limits: other ones than the default.
        listener: the socket to hand down; None for one of its own.
    """
    with contextlib.ExitStack() as stack:
        if not where and listener is None:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=4096))
        place, address, passed = where, where.removeprefix("unix:"), ()
        if listener is not None:
            place, passed = f"fd:{listener.fileno()}", (listener.fileno(),)
            address = listener.getsockname()
        elif not where.startswith("unix:"):
            host, _, port = where.rpartition(":")
            address = (host, int(port))
        command = [sys.executable, str(ECHO), kind, place, json.dumps(dict(limits or {}))]
        served = Served(subprocess.Popen(command, pass_fds=passed), address, kind)
        stack.callback(served.kill)
        wait_until_up(served)
        yield served


def wait_until_up(served: Served) -> None:
    """Until it says that it is live."""
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError, Malformed, IndexError):
            if served.ask(b"GET /-/live HTTP/1.0\r\n\r\n", ends=False)[0].status == 200:
                return
        assert served.process.poll() is None, "the server ended as it started"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.02)
