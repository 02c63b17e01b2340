"""A real receiver of JSON lines over TCP: Debian's rsyslog, with a configuration of its own.

    python tools/rsyslog.py start        # prints where it listens and where the lines go
    python tools/rsyslog.py stop

It is installed if it is missing and we may (root, or sudo without a password). Nothing global is
touched: configuration, lines and pid file are in one folder, the port is a free one of loopback.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

DEFAULT = Path(os.environ.get("TMPDIR", "/tmp")) / f"ogrom-rsyslog-{os.getuid()}"

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


class Missing(Exception):
    """There is no rsyslog, and we cannot install it; the message says how to."""


def find() -> str:
    """The program; installed if need be.

    Raises:
        Missing: it is not there and cannot be had.
    """
    if (found := _program()) is not None:
        return found
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "rsyslog"]
    if os.geteuid() != 0:
        command = ["sudo", "-n", *command]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with suppress(OSError, subprocess.SubprocessError):
        subprocess.run(command, env=environment, capture_output=True, timeout=300, check=False)
    if (found := _program()) is not None:
        return found
    raise Missing(f"There is no rsyslogd. As root: {' '.join(command[-4:])}")


def _program() -> str | None:
    return shutil.which("rsyslogd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


class Rsyslog:
    """One receiver.

    Args:
        folder: where all of it is.
        port: where it listens; 0 takes a free one and keeps it.
    """

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        self.port = port or _free_port()
        self.lines = folder / "lines.jsonl"
        self.bad = folder / "bad.txt"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid_file(self) -> Path:
        """Where its process id is."""
        return self.folder / "rsyslog.pid"

    def start(self, *, wait: float = 20) -> "Rsyslog":
        """Start it, and wait until it listens."""
        program = find()
        self.folder.mkdir(parents=True, exist_ok=True)
        config = self.folder / "rsyslog.conf"
        config.write_text(CONFIG.format(folder=self.folder, port=self.port))
        with (self.folder / "rsyslog.err").open("ab") as errors:
            self._process = subprocess.Popen(
                [program, "-n", "-f", str(config), "-i", str(self.pid_file)],
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        end = time.monotonic() + wait
        while time.monotonic() < end and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.05)
        raise RuntimeError(f"rsyslogd did not start: see {self.folder / 'rsyslog.err'}")

    def stop(self) -> None:
        """End it as a system does."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the power does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(timeout=30)
            self._process = None
        self.pid_file.unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=["start", "stop"])
    parser.add_argument("--folder", type=Path, default=DEFAULT)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    receiver = Rsyslog(given.folder, given.port)
    if given.what == "start":
        if _running(receiver.pid_file):
            print(f"It runs already, with {receiver.pid_file}.", file=sys.stderr)
            return 1
        try:
            receiver.start()
        except (Missing, RuntimeError) as error:
            print(error, file=sys.stderr)
            return 1
        print(f"OGROM_LOGSTASH=tcp://127.0.0.1:{receiver.port}\nlines: {receiver.lines}")
        return 0
    pid = _running(receiver.pid_file)
    if pid:
        os.kill(pid, signal.SIGTERM)
    receiver.pid_file.unlink(missing_ok=True)
    print("stopped" if pid else "it did not run")
    return 0


def _running(pid_file: Path) -> int:
    """The process that the file names, if it is a living rsyslogd; else 0."""
    with suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        if b"rsyslogd" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return 0


if __name__ == "__main__":
    sys.exit(main())
