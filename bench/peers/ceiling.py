"""Constant bytes on uvloop, parsed by httptools: what no server in Python goes below. ceiling.py PORT."""

import asyncio
import sys

import httptools
import uvloop

_CONTENT = b'{"id":"1","name":"' + b"x" * 134 + b'"}'
_ANSWER = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 24 Nov 2026 08:00:00 GMT\r\nX-Request-Id: 0123456789abcdef\r\n"
    b'Content-Type: application/json\r\nContent-Length: 154\r\nETag: W/"0123456789abcdef"\r\n'
    b"Vary: Accept, Accept-Encoding\r\n\r\n" + _CONTENT
)


class _Constant(asyncio.Protocol):
    """Parses each request, looks at nothing, and answers the same."""

    def connection_made(self, transport):
        self._transport = transport
        self._parser = httptools.HttpRequestParser(self)
        self._headers = {}

    def data_received(self, data):
        self._parser.feed_data(data)

    def on_url(self, url):
        self._url = url

    def on_header(self, name, value):
        self._headers[name] = value

    def on_message_complete(self):
        self._headers = {}
        self._transport.write(_ANSWER)


async def _main(port):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Constant, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(int(sys.argv[1])))
