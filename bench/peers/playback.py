"""Plays back what a search engine has answered: playback.py PORT ENGINE.

So a server can be measured that has the whole of a processor's time and caches to itself, as one has
whose engine is on another machine. The engine is asked for whatever has not been asked for before.
"""

import asyncio
import re
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

import uvloop

ENGINE = urlsplit(sys.argv[2]).netloc
PRICE = re.compile(rb"1000[0-9]{4}")
"""What makes two searches of the benchmark differ, and not what they find."""

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")
_said: dict[tuple[bytes, bytes], bytes] = {}


def answer(line: bytes, content: bytes) -> bytes:
    """What the engine says to a request; it is asked once."""
    key = line, PRICE.sub(b"", content)
    if (said := _said.get(key)) is not None:
        return said
    method, path, _ = line.decode().split()
    engine = HTTPConnection(ENGINE)
    fields = {"Content-Type": "application/json"} if content else {}
    engine.request(method, path, content or None, fields)
    told = engine.getresponse()
    got = told.read()
    engine.close()
    head = f"HTTP/1.1 {told.status} {told.reason}\r\nContent-Type: application/json\r\nContent-Length: {len(got)}\r\n\r\n"
    said = head.encode() + got
    if told.status == 200:
        _said[key] = said
    return said


class _Playback(asyncio.Protocol):
    """One connection."""

    def connection_made(self, transport):
        self._transport = transport
        self._came = b""

    def data_received(self, data):
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._came, 0, end)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._came) < whole:
                return
            line = self._came[: self._came.index(b"\r\n")]
            self._transport.write(answer(line, self._came[end + 4 : whole]))
            self._came = self._came[whole:]


async def _main(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Playback, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(int(sys.argv[1])))
