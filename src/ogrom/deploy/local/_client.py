"""The local target, as a rollout speaks to it: every call goes to `ogrom up` over its socket."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, TypeVar

import aiohttp
from msgspec import json

from ogrom.deploy._target import Answer, Lease, Name, Observation, Release, TargetError
from ogrom.deploy.local import _control as control
from ogrom.deploy.local._lease import lease
from ogrom.deploy.local._state import run_directory

_T = TypeVar("_T")

_LONG: Final = 600.0
"""Seconds in which even a release that must be unpacked first has been started, and one with slow
requests has ended."""


_STARTING: Final = 1.0
"""Seconds in which an `ogrom up` that was started together with us has left its process id."""


class LocalTarget:
    """One machine's target. Implements `Target`. It changes with the first answer.

    Args:
        folder: `$OGROM_HOME/targets/<name>`.
        patience: for how many seconds `ogrom up` may not answer, as while it starts or is started
            again. Where it has not answered yet and does not run, that is soon said.
    """

    def __init__(self, folder: Path, *, patience: float = 8.0) -> None:
        self._folder = folder
        self._patience = patience
        self._has_answered = False

    @property
    def name(self) -> str:
        """Such as `production`."""
        return self._folder.name

    def lease(self, holder: str, *, wait: float = 0) -> AbstractAsyncContextManager[Lease]:
        """See `Target.lease`."""
        return lease(self._folder, holder, wait=wait)

    async def observe(self) -> Observation:
        """See `Target.observe`."""
        return await self._call(control.Observe(), Observation, 30)

    async def start(self, name: Name, release: Release, instances: int, *, token: int) -> None:
        """See `Target.start`."""
        await self._call(control.Start(name, release, instances, token), type(None), _LONG)

    async def ask(
        self, name: Name, method: str, path: str, fields: Mapping[str, str]
    ) -> list[Answer]:
        """See `Target.ask`."""
        return await self._call(control.Ask(name, method, path, dict(fields)), list[Answer], 60)

    async def shift(self, shares: Mapping[Name, int], *, token: int) -> None:
        """See `Target.shift`."""
        await self._call(control.Shift(dict(shares), token), type(None), _LONG)

    async def stop(self, name: Name, *, token: int) -> None:
        """See `Target.stop`."""
        await self._call(control.Stop(name, token), type(None), _LONG)

    async def scale(self, minimum: int, maximum: int) -> None:
        """See `Target.scale`."""
        await self._call(control.Scale(minimum, maximum), type(None), _LONG)

    async def tail(self, name: Name, lines: int) -> str:
        """See `Target.tail`."""
        return await self._call(control.Tail(name, lines), str, 30)

    async def down(self) -> None:
        """Have `ogrom up` end all, in order; returns when it has begun to."""
        await self._call(control.Down(), type(None), 10)

    async def _call(self, call: control.Call, kind: type[_T], seconds: float) -> _T:
        """Ask, and ask again while nobody answers: whatever is asked may be asked twice."""
        socket = run_directory(self._folder) / "control.sock"
        begun = time.monotonic()
        while True:
            try:
                answer = await _post(socket, call, kind, seconds)
            except (OSError, aiohttp.ClientError) as error:
                is_known = self._has_answered or is_running(self._folder)
                patience = self._patience if is_known else min(_STARTING, self._patience)
                if time.monotonic() - begun >= patience:
                    raise TargetError(
                        f"`ogrom up {self.name}` is not running here: start it, in another terminal"
                        f" or as a service ({type(error).__name__} at {socket})."
                    ) from None
                await asyncio.sleep(0.1)
            else:
                self._has_answered = True
                return answer


def is_running(folder: Path) -> bool:
    """Whether the `ogrom up` of a target that was started last is still there."""
    try:
        pid = int((folder / "up.lock").read_text())
    except (OSError, ValueError):
        return False
    return Path(f"/proc/{pid}").exists()


async def _post(socket: Path, call: control.Call, kind: type[_T], seconds: float) -> _T:
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(socket)), timeout=aiohttp.ClientTimeout(total=seconds)
    ) as session:
        url = f"http://ogrom{control.path_of(type(call))}"
        try:
            async with session.post(url, data=json.encode(call)) as answer:
                content = await answer.read()
        except TimeoutError:
            raise TargetError(
                f"{control.path_of(type(call))} took more than {seconds:g} s and may still go on."
                " Look with `ogrom status`."
            ) from None
    if answer.status == 200:
        return json.decode(content, type=kind)
    if answer.status in {400, 409, 422}:
        failure = json.decode(content, type=control.Failure)
        raise control.ERRORS[failure.kind](failure.message)
    raise TargetError(
        f"`ogrom up` answered {answer.status}: {content[:300].decode(errors='replace')}"
    )
