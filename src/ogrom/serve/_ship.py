"""Log lines to logstash: TCP, one JSON value a line (its `tcp` input with the codec `json_lines`).

Whoever logs puts a line into memory and goes on. One thread does the rest, every `tick` seconds:

    memory → spool on disk → socket → settled: removed from the spool

TCP tells nobody that logstash has read a line. So a line is settled only when the other machine has
acknowledged its bytes, and the connection has then held for `resend` seconds. When a connection
breaks, all that is not settled is sent again; each line has an `event.id` by which the second is
known. At a clean end we wait until logstash has closed its side too: then it has read everything.

**What can be lost.** Nothing while logstash is down, restarts or is killed, up to `most` bytes in
the spool. When this process is killed: the lines of the last tick, which are in memory. When
logstash is killed: what its machine had taken more than `resend` seconds before and it had not yet
done; so one that hung for less than that, and was killed, has lost nothing. When the machine dies: what the kernel had not written, 30 s at most. What does not fit is dropped, counted,
and told in a line of its own; what came first is kept, for it tells how it began.
"""

import fcntl
import random
import secrets
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Final

from ogrom.metrics import Metric, sample
from ogrom.serve._spool import Spool

Tell = Callable[[str, str], object]
"""Is told what happens to the log: a level ("info", "warn") and a message."""

_BATCH: Final = 1 << 16
_ROUND: Final = 1 << 20
"""How many bytes are sent at most before memory is looked at again."""

_LOOK: Final = 5.0
"""Every so many seconds it is looked whether another process has died and left lines."""

_STUCK: Final = 10.0
"""After so many seconds in which it takes nothing of what waits for it, logstash is told to be away."""

_UNACKNOWLEDGED: Final = 0x5411
"""Linux's SIOCOUTQ: how many bytes the other machine has not acknowledged."""


class EventIds:
    """Gives every line an `event.id` of its own: chance for the process, and a number."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(8).encode()
        self._numbers = count(1)

    def __call__(self, lines: bytes) -> bytes:
        """The same lines, each with its id. A line is a JSON object and ends with a newline."""
        return b"".join(
            b'%b,"event.id":"%b-%x"}\n' % (line[:-1], self._process, next(self._numbers))
            for line in lines.splitlines()
        )


class Shipper:
    """Sends lines, and keeps what cannot be sent. Begun by `start`, ended by `close`.

    Args:
        host: where logstash is.
        port: its TCP input's.
        folder: where lines are spooled; processes may share it.
        most: how many bytes are spooled at most.
        memory: how many lines wait for the spool at most.
        resend: for how many seconds a connection must hold before what was sent is settled.
        tick: how many seconds pass between two looks.
        patience: how many seconds connecting may take, and sending the rest at the end.
        most_wait: how many seconds pass before connecting again at most.
        tell: is told when logstash goes, comes back, and when lines are dropped.
    """

    def __init__(
        self,
        host: str,
        port: int,
        folder: Path,
        *,
        most: int = 256 << 20,
        memory: int = 20_000,
        resend: float = 30.0,
        tick: float = 0.05,
        patience: float = 5.0,
        most_wait: float = 5.0,
        tell: Tell | None = None,
    ) -> None:
        self._host: Final = host
        self._port: Final = port
        self._spool: Final = Spool(folder, most=most)
        self._memory: Final = memory
        self._resend: Final = resend
        self._tick: Final = tick
        self._patience: Final = patience
        self._most_wait: Final = most_wait
        self._tell: Tell = tell or _to_nobody
        self._lines: deque[bytes] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ogrom-ship", daemon=True)
        self._socket: socket.socket | None = None
        self._dialled: socket.socket | OSError | None = None
        self._dialling = False
        self._dial_at = 0.0
        self._failures = 0
        # Positions in the spool: what is sent; and when which whole lines had been.
        self._sent = 0
        self._marks: deque[tuple[float, int]] = deque()
        self._settled = 0
        self._acknowledged = 0
        self._moved = 0.0  # when that last grew, or when there was nothing to wait for
        self._look_at = 0.0
        self._refused = 0  # lines for which there was no room in memory: whoever logs counts them
        self._overflowed = 0  # … and in the spool: our thread does
        self._told = (0, 0.0)  # how many of both were told, and when
        self.taken = 0
        """How many lines were taken."""
        self.resent = 0
        """How many bytes were sent again."""
        self.connections = 0
        """How often a connection was made."""

    def start(self) -> "Shipper":
        """Begin."""
        self._thread.start()
        return self

    def put(self, line: bytes) -> None:
        """Take a line, which ends with a newline; never waits."""
        if len(self._lines) < self._memory:
            self._lines.append(line)
            self.taken += 1
        else:
            self._refused += 1

    def close(self) -> bool:
        """Send what there is, for `patience` seconds at most, and end; whether all was read.

        What was not stays in the spool, for the next process.
        """
        self._closing.set()
        self._thread.join(self._patience * 3)
        return self._spool.size == 0

    @property
    def dropped(self) -> int:
        """How many lines were dropped, as there was no room for them."""
        return self._refused + self._overflowed

    @property
    def spooled(self) -> int:
        """How many bytes are not settled."""
        return self._spool.size

    @property
    def stuck(self) -> bool:
        """Whether logstash holds the connection, and takes nothing of what waits for it."""
        return self._socket is not None and time.monotonic() - self._moved > _STUCK

    def metrics(self) -> Iterable[Metric]:
        """All that is counted here, for Prometheus."""
        for name, help_text, value in (
            ("lines_total", "Lines taken.", self.taken),
            ("dropped_lines_total", "Lines dropped, as there was no room for them.", self.dropped),
            ("resent_bytes_total", "Bytes sent again after a broken connection.", self.resent),
            ("connections_total", "Connections made.", self.connections),
        ):
            yield Metric(f"ogrom_ship_{name}", "counter", help_text, (sample(value),))
        for name, help_text, value in (
            ("connected", "1 while connected.", int(self._socket is not None)),
            ("stuck", "1 while connected, and nothing is taken.", int(self.stuck)),
            ("spooled_bytes", "Bytes that are not settled.", self.spooled),
        ):
            yield Metric(f"ogrom_ship_{name}", "gauge", help_text, (sample(value),))

    async def check(self) -> str:
        """How it is, for `/-/ready`; raises ConnectionError while logstash is away."""
        kept = f"{self.spooled} bytes spooled, {self.dropped} lines dropped"
        if self._socket is None:
            raise ConnectionError(f"logstash is away; {kept}")
        if self.stuck:
            raise ConnectionError(f"logstash takes nothing; {kept}")
        return f"connected; {kept}"

    def _run(self) -> None:
        self._spool.adopt()
        while not self._closing.is_set():
            self._step()
            self._wait()
        self._finish()

    def _step(self) -> None:
        self._keep()
        if self._socket is None:
            self._connect()
        if self._socket is not None:
            self._send(self._socket)
            if time.monotonic() >= self._look_at:
                self._spool.adopt()
                self._look_at = time.monotonic() + _LOOK
        self._tell_dropped()

    def _wait(self) -> None:
        connection = self._socket
        if connection is not None and self._sent < self._spool.end:
            select.select([], [connection], [], self._tick)
        else:
            self._closing.wait(self._tick)

    def _tell_dropped(self) -> None:
        """At most once a second, so that what is told does not make it worse."""
        dropped, now = self.dropped, time.monotonic()
        if dropped > self._told[0] and now - self._told[1] >= 1:
            why = self._spool.failure or "the spool is full, or they came too fast"
            lines = f"{dropped - self._told[0]} log lines were dropped on their way to logstash"
            self._told = (dropped, now)
            self._tell("warn", f"{lines}: {why}")

    def _keep(self) -> None:
        """From memory to the spool."""
        while self._lines:
            batch: list[bytes] = []
            size = 0
            while self._lines and size < _BATCH:
                batch.append(self._lines.popleft())
                size += len(batch[-1])
            if not self._spool.append(b"".join(batch)):
                self._overflowed += len(batch)

    def _connect(self) -> None:
        """Looks whether a connection has been made; has one made, when it is time.

        Another thread makes it: looking a name up can take seconds, in which lines must be kept.
        """
        if self._dialling:
            return
        dialled, self._dialled = self._dialled, None
        if isinstance(dialled, OSError):
            self._lost(dialled)
        elif dialled is not None:
            self._socket = dialled
            self.connections += 1
            self._look_at = 0.0
            self._moved = time.monotonic()
            if self._failures:
                self._tell("info", f"logstash at {self._host}:{self._port} is there again")
        elif time.monotonic() >= self._dial_at:
            self._dialling = True
            threading.Thread(target=self._dial, name="ogrom-ship-dial", daemon=True).start()

    def _dial(self) -> None:
        try:
            made = socket.create_connection((self._host, self._port), timeout=self._patience)
            made.setblocking(False)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            self._dialled = made
        except OSError as error:
            self._dialled = error
        self._dialling = False

    def _send(self, connection: socket.socket) -> None:
        """From the spool to the socket, and from the spool what is settled."""
        try:
            if _has_closed(connection):
                self._lost("it closed the connection")
                return
            self._failures = 0
            most = self._sent + _ROUND
            while self._sent < most and (part := self._spool.read(self._sent)):
                sent = connection.send(part)
                if (whole := part.rfind(b"\n", 0, sent) + 1) > 0:
                    self._mark(self._sent + whole)
                self._sent += sent
        except BlockingIOError:
            pass
        except OSError as error:
            self._lost(error)
            return
        self._settle(connection)

    def _mark(self, position: int) -> None:
        """Notes when whole lines had been sent up to there; ten times a second is often enough."""
        now = time.monotonic()
        if len(self._marks) > 1 and now - self._marks[-2][0] < 0.1:
            self._marks.pop()
        self._marks.append((now, position))

    def _settle(self, connection: socket.socket) -> None:
        acknowledged = self._sent - _unacknowledged(connection)
        if acknowledged == self._spool.end or acknowledged != self._acknowledged:
            self._acknowledged = acknowledged
            self._moved = time.monotonic()
        held = time.monotonic() - self._resend
        while self._marks and self._marks[0][0] <= held and self._marks[0][1] <= acknowledged:
            self._settled = self._marks.popleft()[1]
        self._spool.settle(self._settled)

    def _lost(self, why: OSError | str) -> None:
        """There is no connection: what is not settled is sent again over the next."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            again = max(self._settled, self._spool.start)
            self.resent += self._sent - again
            self._sent = again
            self._marks.clear()
        self._failures += 1
        if self._failures == 1:
            place = f"logstash at {self._host}:{self._port}"
            self._tell("warn", f"{place} is away ({why}): log lines are spooled until it is back")
        wait = min(self._most_wait, 0.1 * 2 ** min(self._failures, 10))
        self._dial_at = time.monotonic() + wait * random.uniform(0.5, 1)  # noqa: S311 - so that not all come back at once

    def _finish(self) -> None:
        """The end: all is sent, if logstash is there, and read, if it tells so in time."""
        end = time.monotonic() + self._patience
        self._keep()
        while self._sent < self._spool.end and time.monotonic() < end:
            self._step()
            if self._socket is not None:
                select.select([], [self._socket], [], self._tick)
            elif self._failures:
                break
            else:
                time.sleep(self._tick / 10)
        while self._dialling and time.monotonic() < end:
            time.sleep(self._tick / 10)
        if self._socket is not None and self._sent == self._spool.end:
            if _all_read(self._socket, max(0.1, end - time.monotonic())):
                self._spool.settle(self._spool.end)
            self._socket.close()
            self._socket = None
        if isinstance(self._dialled, socket.socket):
            self._dialled.close()
        self._spool.close()


def _to_nobody(_level: str, _message: str) -> None:
    """Nobody wants to know."""


def _has_closed(connection: socket.socket) -> bool:
    """Whether the other side has; what it says is thrown away."""
    try:
        while answer := connection.recv(4096):
            del answer
    except BlockingIOError:
        return False
    return True


def _all_read(connection: socket.socket, seconds: float) -> bool:
    """Says that nothing more comes, and waits until the other side, having read all, closes too."""
    try:
        connection.shutdown(socket.SHUT_WR)
        connection.settimeout(seconds)
        while answer := connection.recv(4096):
            del answer
    except OSError:
        return False
    return True


def _unacknowledged(connection: socket.socket) -> int:
    told = fcntl.ioctl(connection.fileno(), _UNACKNOWLEDGED, b"\0\0\0\0")
    found: int = struct.unpack("i", told)[0]
    return found
