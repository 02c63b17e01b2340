"""A small real server, as an instance of a release: `python tests/support/instance.py KIND`.

KIND is what is wrong with it, if anything: good, slow-start, dies, unhealthy, hangs, errors (every
tenth answer to a POST is a 500), slower (what takes 50 ms takes 150: far more than a busy machine adds).
"""

import asyncio
import os
import signal
import sys

RELEASE = os.environ.get("OGROM_RELEASE", "")


class Server:
    def __init__(self, kind):
        self.kind, self.stopping, self.busy, self.answered = kind, asyncio.Event(), 0, 0

    async def answer(self, method, path, content):
        if path == "/-/ready":
            if self.kind == "unhealthy":
                return 503, b"no such column: price_minor"
            return (503, b"draining") if self.stopping.is_set() else (200, b"ready")
        if path.startswith("/work"):
            await asyncio.sleep(0.15 if self.kind == "slower" else 0.05)
            self.answered += method == "POST"
            if self.kind == "errors" and method == "POST" and self.answered % 10 == 0:
                return 500, b"one of ten that write"
        if path.startswith("/slow"):
            await asyncio.sleep(float(path.partition("?")[2] or 0.4))
        if path == "/500":
            return 500, b"wrong"
        if path == "/exit":
            os._exit(3)
        return 200, content or RELEASE.encode()

    async def client(self, reader, writer):
        if self.kind == "hangs":
            await asyncio.sleep(600)
        try:
            while True:
                read = asyncio.ensure_future(reader.readuntil(b"\r\n\r\n"))
                stop = asyncio.ensure_future(self.stopping.wait())
                await asyncio.wait({read, stop}, return_when="FIRST_COMPLETED")
                stop.cancel()
                if not read.done():
                    read.cancel()
                    break
                head = read.result().decode("latin-1")
                self.busy += 1
                try:
                    first, *lines = head.split("\r\n")
                    method, path, _ = first.split(" ")
                    fields = {a.lower(): b.strip() for a, _, b in (x.partition(":") for x in lines)}
                    content = await reader.readexactly(int(fields.get("content-length", 0)))
                    status, said = await self.answer(method, path, content)
                    if path == "/cut":
                        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
                        await writer.drain()
                        break
                    end = self.stopping.is_set() or fields.get("connection", "").lower() == "close"
                    writer.write(
                        f"HTTP/1.1 {status} X\r\nContent-Length: {len(said)}\r\n"
                        f"Ogrom-Release: {RELEASE}\r\n{'Connection: close' if end else 'X: y'}\r\n\r\n".encode()
                        + (b"" if method == "HEAD" else said)
                    )
                    await writer.drain()
                finally:
                    self.busy -= 1
                if end:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def main(kind):
    print("starting", RELEASE, kind, flush=True)
    if kind == "dies":
        print("ImportError: no module named prices", flush=True)
        sys.exit(3)
    if kind == "slow-start":
        await asyncio.sleep(1)
    server = Server(kind)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, server.stopping.set)
    where = os.environ["OGROM_LISTEN"].removeprefix("unix:")
    listener = await asyncio.start_unix_server(server.client, where, backlog=1024)
    await server.stopping.wait()
    listener.close()
    while server.busy:
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.05)
    print("ended in order", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
