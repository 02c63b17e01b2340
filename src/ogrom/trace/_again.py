"""A request sent to the own server over loopback: through its socket and its parser, as any other."""

import asyncio
from contextlib import suppress
from secrets import token_hex
from typing import Any, Final

from msgspec import Struct, structs

from ogrom.http import Request

REPLAY: Final = "ogrom-replay"
"""The field by which a request that was sent from here is known. It is taken out before anybody sees it."""

_SECONDS: Final = 60.0
_MOST: Final = 1 << 20
"""So many bytes of the answer are taken; the trace has it anyway."""

_OURS: Final = frozenset(
    {"connection", "content-length", "expect", "transfer-encoding", "x-request-id"}
)


class Sent(Struct, frozen=True):
    """A request on its way."""

    trace: "asyncio.Future[str]"
    """The id of its trace."""
    replays: str
    meant: str


class Sender:
    """Sends requests to one place, and knows them again. What is on its way changes.

    Args:
        place: the own server's address, `127.0.0.1:8080`.
    """

    def __init__(self, place: str) -> None:
        self._host, _, port = place.rpartition(":")
        self._port: Final = int(port)
        self._sent: Final[dict[str, Sent]] = {}

    async def send(self, request: Request, replays: str, meant: str) -> str:
        """Send it; the id of its trace.

        Raises:
            OSError: it could not be sent, or was not traced. The message says so.
        """
        token = token_hex(16)
        trace: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._sent[token] = Sent(trace, replays, meant)
        try:
            async with asyncio.timeout(_SECONDS):
                reader, writer = await asyncio.open_connection(self._host.strip("[]"), self._port)
                try:
                    writer.write(written(request, token))
                    answer = asyncio.create_task(reader.read(_MOST))
                    with suppress(OSError):  # a server that refuses may not read it all
                        await writer.drain()
                    either: set[asyncio.Future[Any]] = {answer, trace}
                    await asyncio.wait(either, return_when="FIRST_COMPLETED")
                    if not trace.done():
                        said = (await answer).partition(b"\r\n")[0].decode("latin-1")
                        raise OSError(
                            f"It was sent, answered by {said or 'nothing'!r}, and not traced."
                        )
                    await asyncio.wait({answer}, timeout=1)
                    answer.cancel()
                    return trace.result()
                finally:
                    writer.close()
        except TimeoutError:
            raise OSError(f"There was no answer within {_SECONDS:.0f} s.") from None
        finally:
            self._sent.pop(token, None)

    def taken(self, request: Request) -> tuple[Request, Sent | None]:
        """A request that came, without the field; and what is known of it where it is one of ours."""
        sent = self._sent.get(request.headers.get(REPLAY, "")) if self._sent else None
        if sent is None:
            return request, None
        headers = {name: value for name, value in request.headers.items() if name != REPLAY}
        return structs.replace(request, headers=headers), sent

    def refused(self, head: bytes) -> tuple[bytes, Sent | None]:
        """The same for a head that was refused, as far as it came."""
        for token, sent in self._sent.items():
            line = _line(token)
            if line in head:
                return head.replace(line, b""), sent
        return head, None


def written(request: Request, token: str) -> bytes:
    """A request as HTTP/1.1 writes it, for a connection of its own."""
    content = request.content if isinstance(request.content, bytes) else b""
    target = f"{request.path}?{request.query}" if request.query else request.path
    fields = "".join(
        f"{name}: {value}\r\n" for name, value in request.headers.items() if name not in _OURS
    )
    if content or request.method in {"POST", "PUT", "PATCH"}:
        fields += f"content-length: {len(content)}\r\n"
    head = f"{request.method} {target} HTTP/1.1\r\n".encode("latin-1") + _line(token)
    return head + f"{fields}connection: close\r\n\r\n".encode("latin-1") + content


def _line(token: str) -> bytes:
    return f"{REPLAY}: {token}\r\n".encode()
