"""A real receiver of JSON lines over TCP: Debian's rsyslog, with a configuration of its own.

    python tools/rsyslog.py start        # prints where it listens and where the lines go
    python tools/rsyslog.py stop

It is installed if it is missing and we may (root, or sudo without a password). Nothing global is
touched: configuration, lines and pid file are in one folder, by default .cache/rsyslog; the port is a
free one of loopback.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import apt
import local

DEFAULT = Path(__file__).resolve().parent.parent / ".cache" / "rsyslog"
PATIENCE = 20.0  # seconds for it to start or to stop

CONFIG = """\
module(load="imptcp")
module(load="mmjsonparse")
global(workDirectory="{folder}" maxMessageSize="64k")
template(name="line" type="list") {{ property(name="$!all-json") constant(value="\\n") }}
input(type="imptcp" address="127.0.0.1" port="{port}" ruleset="lines")
ruleset(name="lines") {{
  action(type="mmjsonparse" cookie="" useRawMsg="on")
  if $parsesuccess == "OK" then {{
    action(type="omfile" file="{folder}/lines.jsonl" template="line" asyncWriting="off" flushOnTXEnd="on")
  }} else {{
    action(type="omfile" file="{folder}/bad.txt")
  }}
}}
"""


class Failed(Exception):
    """It cannot be done; the message says why."""


class Missing(Failed):
    """There is no rsyslog, and we cannot install it; the message says how to."""


def find() -> str:
    """The program; installed if need be.

    Raises:
        Missing: it is not there and cannot be had.
    """
    if apt.program("rsyslogd") is None:
        apt.install("rsyslog")
    if (found := apt.program("rsyslogd")) is None:
        raise Missing("there is no rsyslogd here: sudo apt-get install rsyslog")
    return found


class Rsyslog:
    """One receiver.

    Args:
        folder: where all of it is.
        port: where it listens; 0 is where it did before, or a free one.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.config = folder / "rsyslog.conf"
        self.port = port or self._before() or local.free_port()
        self.lines = folder / "lines.jsonl"
        self.bad = folder / "bad.txt"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens, for OGROM_LOGSTASH."""
        return f"tcp://127.0.0.1:{self.port}"

    def _before(self) -> int:
        with suppress(OSError):
            found = re.search(r'type="imptcp" .* port="(\d+)"', self.config.read_text())
            return int(found[1]) if found else 0
        return 0

    def pid(self) -> int | None:
        """Its process, if that runs and is of this very folder."""
        with suppress(OSError, ValueError):
            pid = int((self.folder / "rsyslog.pid").read_text())
            return pid if str(self.config) in local.command(pid) else None
        return None

    def start(self, *, wait: float = PATIENCE) -> "Rsyslog":
        """Start it, unless it runs, and wait until it listens.

        Raises:
            Missing: it is not there and cannot be had.
            Failed: it does not start.
        """
        if self.pid() is not None:
            return self
        program = find()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = local.free_port(self.port)
        self.config.write_text(CONFIG.format(folder=self.folder, port=self.port))
        errors = self.folder / "rsyslog.err"
        with errors.open("ab") as out:
            self._process = subprocess.Popen(
                [program, "-n", "-f", str(self.config), "-i", str(self.folder / "rsyslog.pid")],
                stdout=subprocess.DEVNULL,
                stderr=out,
                start_new_session=True,
            )
        end = time.monotonic() + wait
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.05)
        last = "\n".join(errors.read_text(errors="replace").splitlines()[-8:])
        raise Failed(f"rsyslogd did not start. The end of {errors}:\n{last}")

    def stop(self) -> None:
        """End it as a system does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the power does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        pid = self._process.pid if self._process is not None else self.pid()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, how)
            end = time.monotonic() + PATIENCE
            while self._process is None and self.pid() is not None:
                if time.monotonic() > end:
                    raise Failed(f"process {pid} does not end")
                time.sleep(0.02)
        if self._process is not None:
            self._process.wait(timeout=PATIENCE)
            self._process = None
        (self.folder / "rsyslog.pid").unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    """Do what is asked; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("start", "stop", "status"))
    parser.add_argument("--dir", type=Path, default=DEFAULT)
    asked = parser.parse_args(arguments)
    receiver = Rsyslog(asked.dir.resolve())
    try:
        if asked.what == "start":
            receiver.start()
            print(f"{receiver.url}\nlines: {receiver.lines}")
        elif asked.what == "stop":
            receiver.stop()
        else:
            pid = receiver.pid()
            print(f"runs as process {pid}: {receiver.url}" if pid else "does not run")
    except Failed as error:
        print(f"rsyslog: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
