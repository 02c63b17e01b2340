"""Processes that outlive who started them: started, found again, watched and ended."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ogrom.deploy._target import TargetError
from ogrom.deploy.local._state import Identity

MARK: Final = "OGROM_SLOT"
"""The variable by which a process is known whose number was lost before it could be noted."""


def boot() -> str:
    """Which boot of the machine this is."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def identity(pid: int) -> Identity | None:
    """The process that has this number now; None where none has, or it has ended."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()  # the name may hold anything, so from behind it
    if fields[0] in "ZX":
        return None
    return Identity(pid, int(fields[19]), boot())


def is_alive(process: Identity) -> bool:
    """Whether it still runs. One that has ended and was not waited for does not."""
    return identity(process.pid) == process


def marked(prefix: str) -> dict[str, list[int]]:
    """Processes that we started, by the mark that they were given; those whose mark starts so."""
    found: dict[str, list[int]] = {}
    for each in Path("/proc").iterdir():
        if not each.name.isdecimal():
            continue
        with contextlib.suppress(OSError):
            pid = int(each.name)
            if os.getsid(pid) != pid:  # a child of one of ours; it belongs to its parent
                continue
            start = f"{MARK}={prefix}".encode()
            for variable in (each / "environ").read_bytes().split(b"\0"):
                if variable.startswith(start) and identity(pid):
                    found.setdefault(variable.decode().partition("=")[2], []).append(pid)
    return found


class Process:
    """One process. `ended` is set when it has come to its end, whoever its parent is."""

    def __init__(self, known: Identity, child: "subprocess.Popen[bytes] | None" = None) -> None:
        self.known: Final = known
        self.ended: Final = asyncio.Event()
        self.status: int | None = None
        """Its exit status, negative for a signal; None where its parent was another."""
        self._child = child
        self._pidfd = -1
        try:
            self._pidfd = os.pidfd_open(known.pid)
        except ProcessLookupError:
            self._end()
            return
        if child is None and not is_alive(known):
            self._end()
        else:
            asyncio.get_running_loop().add_reader(self._pidfd, self._end)

    def _end(self) -> None:
        if self._child is not None:
            self.status = self._child.wait()
        self.forget()
        self.ended.set()

    def forget(self) -> None:
        """Watch it no more."""
        if self._pidfd >= 0:
            asyncio.get_running_loop().remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def send(self, number: int) -> None:
        """Send it a signal, if it still runs; its number cannot have gone to another meanwhile."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, number)

    def kill(self) -> None:
        """End it, and what it started, at once."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.known.pid, signal.SIGKILL)
        self.send(signal.SIGKILL)

    async def end(self, grace: float, first: int = signal.SIGTERM) -> None:
        """Ask it to end, and after `grace` seconds do not ask."""
        self.send(first)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await self.ended.wait()
                return
        self.kill()
        await self.ended.wait()

    def how(self) -> str:
        """How it ended, in words."""
        if self.status is None:
            return "ended"
        if self.status < 0:
            with contextlib.suppress(ValueError):
                return f"ended by {signal.Signals(-self.status).name}"
        return f"ended with exit status {abs(self.status)}"


def spawn(
    command: Sequence[str],
    *,
    mark: str,
    env: Mapping[str, str],
    cwd: Path | None,
    log: Path,
    stdout: int | None = None,
) -> Process:
    """Start a process in a session of its own, which goes on when we end.

    Args:
        command: the program and its arguments.
        mark: by which it is found again.
        env: all of its environment but the mark.
        cwd: where it starts; None: here.
        log: the file that its output is added to.
        stdout: a descriptor for its standard output instead.

    Raises:
        TargetError: it cannot be started.
    """
    try:
        with log.open("ab") as out:
            child = subprocess.Popen(  # noqa: S603 - the command is what is deployed
                command,
                stdin=subprocess.DEVNULL,
                stdout=out if stdout is None else stdout,
                stderr=out,
                cwd=cwd,
                env={**env, MARK: mark},
                start_new_session=True,
            )
    except OSError as error:
        raise TargetError(f"{command[0]} cannot be started: {error.strerror or error}.") from None
    known = identity(child.pid)
    # a process that has ended already is still ours to wait for, so its number is good
    return Process(known or Identity(child.pid, 0, boot()), child)


async def run_command(command: Sequence[str], folder: Path) -> int:
    """Run one of our commands in a process of its own; its exit status. Its words: a log of its own."""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with (folder / "logs" / "commands.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    return await process.wait()
