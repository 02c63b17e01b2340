"""What the page that shows a target is made of: its files, the state, one sample a second, two buttons.

It listens on loopback alone; what `ogrom.loopback` refuses is refused.
"""

import asyncio
import os
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from msgspec import MsgspecError, json

from ogrom.deploy._history import before, read
from ogrom.deploy._target import DeployError, TargetError
from ogrom.deploy.local import _logs
from ogrom.deploy.local._control import Scale
from ogrom.deploy.local._counts import Sample
from ogrom.deploy.local._process import run_command
from ogrom.deploy.local._supervisor import Supervisor
from ogrom.loopback import POLICY, is_loopback, refusal

FILES: Final = Path(__file__).parent.parent / "page"
PLACEHOLDER: Final = "{{ogrom-token}}"
"""What index.html has in the place of the token."""
_LINES: Final = 200


class Page:
    """The page of one `ogrom up`. Holds its token."""

    def __init__(self, up: Supervisor) -> None:
        self._up = up
        self.token: Final = _token(up.folder / "page.token")
        self._rolling: asyncio.Task[None] | None = None
        self.rolled = ""
        """What came of the last rollback that was asked for here."""

    def application(self) -> web.Application:
        """What answers."""
        app = web.Application(middlewares=[self._guard], client_max_size=1 << 16)
        app.router.add_get("/", self._index)
        app.router.add_get("/state", self._state)
        app.router.add_get("/events", self._events)
        app.router.add_post("/rollback", self._rollback)
        app.router.add_post("/scale", self._scale)
        if FILES.is_dir():
            app.router.add_static("/files/", FILES)
        return app

    @web.middleware
    async def _guard(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        why = refusal(request.host, request.method, dict(request.headers), self.token)
        if why:
            return web.json_response({"detail": why}, status=403)
        return await handler(request)

    async def _index(self, _: web.Request) -> web.Response:
        file = FILES / "index.html"
        if not await asyncio.to_thread(file.is_file):
            raise web.HTTPNotFound(text="This installation has no page. Its data: /state, /events")
        text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        return web.Response(
            text=text.replace(PLACEHOLDER, self.token),
            content_type="text/html",
            headers={
                "Cache-Control": "no-store",
                "X-Frame-Options": "DENY",
                "Content-Security-Policy": POLICY,
                "Referrer-Policy": "no-referrer",
            },
        )

    async def _state(self, _: web.Request) -> web.Response:
        return web.Response(
            body=await self._now(),
            content_type="application/json",
            headers={"Cache-Control": "no-store"},
        )

    async def _now(self) -> bytes:
        settings = self._up.settings
        file = settings.folder / "history.jsonl"
        history = await asyncio.to_thread(_last_lines, file)
        back = await asyncio.to_thread(lambda: before(read(file)))
        journals = sorted((settings.folder / "rollouts").glob("*.jsonl"))
        journal = await asyncio.to_thread(_last_lines, journals[-1]) if journals else []
        return json.encode(
            {
                "target": settings.name,
                "listen": settings.listen,
                "observation": await self._up.observe(),
                "series": self._up.meter.series,
                "history": history,
                "journal": journal,
                "back": back,
                "rolled": self.rolled,
            }
        )

    def _written(self) -> int:
        """How much has been written down: changes with each step of a rollout."""
        folder = self._up.settings.folder
        files = [*(folder / "rollouts").glob("*.jsonl"), folder / "history.jsonl"]
        return sum(file.stat().st_size for file in files if file.is_file())

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """`sample` each second, `state` when a state has changed (html.spec.whatwg.org, 9.2)."""
        answer = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        )
        await answer.prepare(request)
        queue: asyncio.Queue[Sample] = asyncio.Queue()
        self._up.meter.samples.add(queue)
        shown: Any = None
        try:
            while not self._up.stopping.is_set():
                environments = (await self._up.observe()).environments
                now = (
                    [
                        (name, each.release, each.share, each.wanted, each.instances)
                        for name, each in environments.items()
                    ],
                    await asyncio.to_thread(self._written),
                    self.rolled,
                )
                if now != shown:
                    shown = now
                    await answer.write(b"event: state\ndata: " + await self._now() + b"\n\n")
                with suppress(TimeoutError):
                    async with asyncio.timeout(2):
                        sample = await queue.get()
                        await answer.write(b"event: sample\ndata: " + json.encode(sample) + b"\n\n")
        except (ConnectionError, TargetError):
            pass  # nobody looks any more, or all ends
        finally:
            self._up.meter.samples.discard(queue)
        return answer

    async def _rollback(self, _: web.Request) -> web.Response:
        command = self._up.settings.rollback
        if not command:
            return web.json_response({"detail": "Nothing can roll back here."}, status=501)
        if self._rolling is not None and not self._rolling.done():
            return web.json_response({"detail": "It is rolling back already."}, status=409)
        self.rolled = "rolling back …"
        self._rolling = asyncio.create_task(self._roll(command))
        return web.json_response({"detail": self.rolled}, status=202)

    async def _roll(self, command: Sequence[str]) -> None:
        """Run the command, and keep what came of it for the page."""
        log = self._up.folder / "logs" / "commands.log"
        status = await run_command(command, self._up.folder)
        words = "" if status == 0 else await asyncio.to_thread(_logs.tail, log, 1)
        self.rolled = "rolled back" if status == 0 else f"not rolled back: {''.join(words)}"

    async def _scale(self, request: web.Request) -> web.Response:
        try:
            wanted = json.decode(await request.read(), type=Scale)
            await self._up.scale(wanted.minimum, wanted.maximum)
        except (DeployError, MsgspecError) as error:
            return web.json_response({"detail": str(error)}, status=422)
        return web.json_response({"minimum": wanted.minimum, "maximum": wanted.maximum})


def _token(file: Path) -> str:
    """Made once for a target, so that a page that is open outlives an `ogrom up`; ours alone to read."""
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        made = secrets.token_urlsafe(24)
        with os.fdopen(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as out:
            out.write(made)
        return made


def _last_lines(file: Path) -> list[Any]:
    """The first line, which may say what the others are about, and the last ones."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    lines = lines[:1] + lines[1:][-_LINES:]
    found: list[Any] = []
    for line in lines:
        with suppress(MsgspecError):  # the last may be half written
            found.append(json.decode(line))
    return found


@asynccontextmanager
async def showing(up: Supervisor, where: str) -> AsyncGenerator[None]:
    """Serve the page while the block runs.

    Raises:
        TargetError: the address is not loopback, or is taken.
    """
    host, _, port = where.rpartition(":")
    if not is_loopback(where):
        raise TargetError(f"page = {where}: whoever reaches the page can roll back; use 127.0.0.1.")
    runner = web.AppRunner(Page(up).application(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
        except OSError as error:
            raise TargetError(
                f"The page cannot be served at {where} ({error.strerror}): choose another"
                " address for `page`."
            ) from None
        yield
    finally:
        await runner.cleanup()
