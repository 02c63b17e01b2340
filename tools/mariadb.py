"""A MariaDB of one's own for tests and trials: start it, stop it, see whether it runs.

    python3 tools/mariadb.py start [--dir DIR] [--tls]   prints its URL
    python3 tools/mariadb.py stop [--dir DIR]
    python3 tools/mariadb.py status [--dir DIR]

Everything is in DIR (.cache/mariadb): data, log, and server.json with the process id and the port.
It listens on 127.0.0.1 alone, on a free port that it keeps when it is started again. Where Debian's
mariadb-server is missing, it is installed (as root, or by a sudo that asks nothing), without any
service being started or changed. Only the process named in server.json is ever stopped.

Exit status: 0 done, 1 it failed, 3 there is no MariaDB here and it cannot be installed.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apt
import local

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "mariadb-server"
USER, DATABASE = "ogrom", "ogrom"
MISSING = 3
PATIENCE = 60  # seconds for it to start or to stop; a busy machine takes several

SMALL = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-file-size=8M",
    "--innodb-log-buffer-size=2M",
    "--key-buffer-size=1M",
    "--max-connections=200",
    "--performance-schema=OFF",
)
"""A server for tests needs little memory; that it syncs at every commit is left as it is."""


class Failed(Exception):
    """It cannot be done; the message says why."""


class Missing(Failed):
    """There is no MariaDB on this machine."""


def install() -> None:
    """See that there is a server.

    Raises:
        Missing: there is none, and it cannot be installed.
    """
    if apt.program("mariadbd") and apt.program("mariadb-install-db"):
        return
    if not apt.install(PACKAGE):
        raise Missing(f"there is no MariaDB here: sudo apt-get install {PACKAGE}")


class Server:
    """The server of one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self.file = self.directory / "server.json"
        self.log = self.directory / "mariadbd.log"
        self._child: subprocess.Popen[bytes] | None = None  # where we started it ourselves

    def known(self) -> dict[str, str | int]:
        """What was written of it; nothing where it was never started."""
        try:
            found: dict[str, str | int] = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def pid(self) -> int | None:
        """Its process, if that runs and is a mariadbd of this very directory."""
        pid = int(self.known().get("pid", 0))
        return pid if f"--datadir={self.directory / 'data'}" in local.command(pid) else None

    def url(self) -> str:
        """Where it is, and how to log in."""
        known = self.known()
        login = f"{USER}:{known.get('password', '')}"
        return f"mysql://{login}@127.0.0.1:{known.get('port', 0)}/{DATABASE}"

    def start(self, *, tls: bool) -> None:
        """Start it, on data that are made if there are none."""
        if self.pid() is not None:
            return
        install()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.directory.chmod(0o700)  # init.sql names the password
        data = self.directory / "data"
        password = str(self.known().get("password") or secrets.token_urlsafe(12))
        port = local.free_port(int(self.known().get("port", 0)))
        # It refuses root unless told so; Debian's own user need not see our directory.
        owner = ["--user=root"] if os.geteuid() == 0 else []
        if not (data / "mysql").is_dir():
            _run(
                [
                    apt.program("mariadb-install-db") or "",
                    "--no-defaults",
                    f"--datadir={data}",
                    "--auth-root-authentication-method=normal",
                    "--skip-test-db",
                    *owner,
                    *SMALL[:2],
                ]
            )
        first = self.directory / "init.sql"
        first.write_text(
            f"CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{password}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n",
            encoding="utf-8",
        )
        # A Unix socket's path may have 107 bytes, and directories of tests are often longer.
        place = Path(tempfile.mkdtemp(prefix="ogrom-db-")) / "s"
        command = [
            apt.program("mariadbd") or "",
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={place}",
            f"--pid-file={place.parent / 'pid'}",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--init-file={first}",
            "--skip-name-resolve",
            *(_certificate(self.directory) if tls else ()),
            *owner,
            *SMALL,
        ]
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self._child = process
        known = {"pid": process.pid, "port": port, "password": password, "socket": str(place)}
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(known) + "\n", encoding="utf-8")
        self._wait(process, place)

    def _wait(self, process: subprocess.Popen[bytes], place: Path) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if process.poll() is not None:
                break
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(place))
                except OSError:
                    time.sleep(0.05)
                else:
                    return
        last = "\n".join(self.log.read_text(errors="replace").splitlines()[-8:])
        raise Failed(f"mariadbd did not start. The end of {self.log}:\n{last}")

    def stop(self) -> None:
        """Stop it: first politely, then not."""
        pid = self.pid()
        if pid is None:
            return
        for chosen, patience in ((signal.SIGTERM, PATIENCE), (signal.SIGKILL, 10)):
            os.kill(pid, signal.SIGCONT)  # one that is frozen would never hear of it
            os.kill(pid, chosen)
            end = time.monotonic() + patience
            while time.monotonic() < end:
                if self.pid() is None:
                    if self._child is not None:
                        self._child.wait()
                    shutil.rmtree(Path(str(self.known()["socket"])).parent, ignore_errors=True)
                    return
                time.sleep(0.02)
        raise Failed(f"process {pid} does not end")


def _certificate(directory: Path) -> tuple[str, ...]:
    """What makes it speak TLS: a certificate for 127.0.0.1 that is its own authority, ca.pem."""
    key, certificate = directory / "key.pem", directory / "ca.pem"
    if not certificate.exists():
        openssl = shutil.which("openssl")
        if openssl is None:
            raise Missing("there is no openssl here: sudo apt-get install openssl")
        _run(
            [
                *(openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"),
                *("-keyout", str(key), "-out", str(certificate), "-subj", "/CN=127.0.0.1"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
            ]
        )
    return f"--ssl-cert={certificate}", f"--ssl-key={key}"


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise Failed(f"{Path(command[0]).name} failed:\n{last}")


def main(arguments: list[str]) -> int:
    """Do what is asked; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("start", "stop", "status"))
    parser.add_argument("--dir", type=Path, default=ROOT / ".cache" / "mariadb")
    parser.add_argument("--tls", action="store_true", help="with a certificate of its own, ca.pem")
    asked = parser.parse_args(arguments)
    server = Server(asked.dir)
    try:
        if asked.what == "start":
            server.start(tls=asked.tls)
            print(server.url())
        elif asked.what == "stop":
            server.stop()
        else:
            pid = server.pid()
            print(f"runs as process {pid}: {server.url()}" if pid else "does not run")
    except Failed as error:
        print(f"mariadb: {error}", file=sys.stderr)
        return MISSING if isinstance(error, Missing) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
