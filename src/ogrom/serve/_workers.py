"""Several processes that serve on one socket: a parent binds it, starts them, and sees to it that they live.

A worker is the parent's own command once more, with the socket and a line to the parent inherited:
nothing is forked, nothing is pickled, and whatever the program does before `serve` each worker does
too. The parent serves nobody. On their line:

    worker → parent    r       it serves
    parent → worker    d       answer what is in flight, and end
    parent → worker    n       end now
    parent → worker    (end)   the parent is gone: as d
"""

import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ogrom.serve._listen import listen

_VARIABLE: Final = "OGROM_WORKER"
_LOG: Final = logging.getLogger("ogrom.serve")

FIRST_PAUSE: Final = 0.1
"""Seconds until a worker that died is started again; each time twice as long, …"""
LAST_PAUSE: Final = 10.0
"""… but never longer; one that served for longer than this begins anew."""
_MERCY: Final = 5.0
"""Seconds that a worker has to end when it has been told to end now."""


@dataclass(frozen=True, slots=True)
class Place:
    """What a worker is told by its parent.

    Args:
        number: which one it is, from 1.
        count: how many there are.
        listener: the descriptor of the socket that all listen on.
        line: the descriptor of its line to the parent.
        folder: where each worker has a socket of its own, for the others: `1.sock`, `2.sock`.
    """

    number: int
    count: int
    listener: int
    line: int
    folder: str

    def socket_of(self, number: int) -> Path:
        """Where a worker can be asked for its metrics."""
        return Path(self.folder) / f"{number}.sock"


def place() -> Place | None:
    """Where this process is among the workers; None where it is none. Asked once: its own children
    are no workers.
    """
    told = os.environ.pop(_VARIABLE, None)
    return None if told is None else Place(**json.loads(told))


def worker() -> int | None:
    """Which of several workers this process is, from 1; None where it is none. Before `serve` only."""
    told = os.environ.get(_VARIABLE)
    return None if told is None else Place(**json.loads(told)).number


class _Worker:
    """One of the processes, or its absence. It changes whenever it dies or is started."""

    def __init__(self, number: int) -> None:
        self.number: Final = number
        self.process: subprocess.Popen[bytes] | None = None
        self.line: socket.socket | None = None
        self.serves = False
        self.started = 0.0
        self.pause = 0.0
        self.again = 0.0
        """When it is started again, by `time.monotonic()`."""

    def start(self, listener: socket.socket, count: int, folder: str) -> None:
        """Start it."""
        ours, theirs = socket.socketpair()
        with theirs:
            told = Place(self.number, count, listener.fileno(), theirs.fileno(), folder)
            values = {name: getattr(told, name) for name in Place.__slots__}
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                [sys.executable, *sys.orig_argv[1:]],
                env={**os.environ, _VARIABLE: json.dumps(values)},
                pass_fds=(listener.fileno(), theirs.fileno()),
            )
        ours.setblocking(False)
        self.line = ours
        self.serves = False
        self.started = time.monotonic()

    def say(self, what: bytes) -> None:
        """Tell it something."""
        if self.line is not None:
            try:
                self.line.send(what)
            except OSError:  # it is gone, or about to be
                self._hang_up()

    def hear(self) -> bool:
        """What it says; whether it serves now for the first time since it was started."""
        if self.line is None:
            return False
        try:
            said = self.line.recv(16)
        except OSError:
            said = b""
        if not said:
            self._hang_up()
        before, self.serves = self.serves, self.serves or b"r" in said
        return self.serves and not before

    def ended(self) -> int | None:
        """How it ended, if it has; below 0, by that signal. Asked once."""
        if self.process is None or (status := self.process.poll()) is None:
            return None
        self.process = None
        self._hang_up()
        return status

    def plan(self, now: float) -> float:
        """When to start it again: how many seconds from now."""
        lasted = now - self.started > LAST_PAUSE
        self.pause = FIRST_PAUSE if lasted else min(LAST_PAUSE, self.pause * 2 or FIRST_PAUSE)
        self.again = now + self.pause
        return self.pause

    def _hang_up(self) -> None:
        if self.line is not None:
            self.line.close()
            self.line = None


def _woken(number: int, frame: object) -> None:
    """It is the descriptor that is looked at (`signal.set_wakeup_fd`)."""
    del number, frame


class Parent:
    """Starts workers and keeps them. It changes until all have ended.

    Args:
        where: where they listen; see `listen`.
        count: how many there are.
    """

    def __init__(self, where: str, count: int) -> None:
        self._where: Final = where
        self._workers: Final = [_Worker(number) for number in range(1, count + 1)]
        self._told = 0
        self._killed = float("inf")
        self._ever_served = False
        self._status = 0

    def run(self) -> int:
        """Until they have been told to end, and have; the status to exit with.

        Raises:
            ListenError: the place cannot be listened on; the message says what to do.
        """
        woken, wake = socket.socketpair()
        folder = tempfile.mkdtemp(prefix="ogrom-workers-")
        with listen(self._where) as listener, woken, wake:
            woken.setblocking(False)
            wake.setblocking(False)
            numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
            handlers = {each: signal.signal(each, _woken) for each in numbers}
            before = signal.set_wakeup_fd(wake.fileno())
            try:
                for worker in self._workers:
                    worker.start(listener, len(self._workers), folder)
                while any(each.process is not None or not self._told for each in self._workers):
                    self._turn(woken, listener, folder)
            finally:
                signal.set_wakeup_fd(before)
                for number, handler in handlers.items():
                    signal.signal(number, handler)
                for worker in self._workers:
                    if worker.process is not None:  # only where something went wrong here
                        worker.process.kill()
                shutil.rmtree(folder, ignore_errors=True)
        return self._status

    def _turn(self, woken: socket.socket, listener: socket.socket, folder: str) -> None:
        lines = {each.line: each for each in self._workers if each.line is not None}
        ready, _, _ = select.select([woken, *lines], [], [], self._patience())
        if woken in ready:
            self._signalled(woken.recv(1000), listener)
        for line, worker in lines.items():
            if line in ready and worker.hear():
                self._ever_served = True
        for worker in self._workers:
            if (status := worker.ended()) is not None:
                self._one_ended(worker, status, listener)
        now = time.monotonic()
        for worker in self._workers:
            if not self._told and worker.process is None and now >= worker.again:
                worker.start(listener, len(self._workers), folder)
            elif worker.process is not None and now >= self._killed:
                worker.process.kill()

    def _patience(self) -> float | None:
        """For how many seconds nothing is to be done; None for as long as nothing happens."""
        now = time.monotonic()
        if self._told:
            return None if self._killed == float("inf") else max(0.1, self._killed - now)
        waiting = [each.again - now for each in self._workers if each.process is None]
        return max(0.0, min(waiting)) if waiting else None

    def _signalled(self, numbers: Iterable[int], listener: socket.socket) -> None:
        for number in numbers:
            if number != signal.SIGCHLD:
                self._stop(listener)

    def _stop(self, listener: socket.socket) -> None:
        """Have them end; told again, at once."""
        self._told += 1
        listener.close()  # theirs stay: who still comes is answered as long as they listen
        for worker in self._workers:
            worker.say(b"d" if self._told == 1 else b"n")
        if self._told > 1:
            self._killed = time.monotonic() + _MERCY

    def _one_ended(self, worker: _Worker, status: int, listener: socket.socket) -> None:
        if self._told:
            return
        how = f"by signal {-status}" if status < 0 else f"with status {status}"
        if not self._ever_served:  # it cannot start: no use in trying for ever
            _LOG.error("Worker %d ended %s before any had served.", worker.number, how)
            self._status = status if status > 0 else 1
            self._stop(listener)
            return
        pause = worker.plan(time.monotonic())
        _LOG.warning(
            "Worker %d ended %s; it is started again in %.1f s.", worker.number, how, pause
        )
