"""A database server of one's own for tests and trials: start it, stop it, see whether it runs.

    python3 tools/databases.py start [--dir DIR] [--tls]   prints its URL
    python3 tools/databases.py stop [--dir DIR]
    python3 tools/databases.py status [--dir DIR]

The variable SQL_SERVER says which:

    mariadb    Debian's mariadb-server: the default. Where it is missing it is installed (as root, or by a
               sudo that asks nothing), without any service being started or changed.
    mysql      mysqld as MYSQLD names it, or as it is found on the PATH; else Ubuntu's, unpacked into
               .cache/debian: installed, it would take the place of a MariaDB. Debian has none.

Everything is in DIR (.cache/mariadb or .cache/mysql): data, log, and server.json with the process id
and the port. It listens on 127.0.0.1 alone, on a free port that it keeps when it is started again. Only
the process named in server.json is ever stopped.

Exit status: 0 done, 1 it failed, 3 there is none here and it cannot be installed.
"""

from __future__ import annotations

import argparse
import contextlib
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
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import apt
import debian
import local

ROOT = Path(__file__).resolve().parent.parent
USER, DATABASE = "ogrom", "ogrom"
MISSING = 3
SERVER = "mariadb-server"
CORES = ("mysql-server-core-8.4", "mysql-server-core-8.0", "mysql-server-core")
"""Ubuntu's packages of MySQL, without what makes it a service."""
PATIENCE = 60  # seconds for it to start or to stop; a busy machine takes several


class Failed(Exception):
    """It cannot be done; the message says why."""


class Missing(Failed):
    """There is no such server on this machine."""


class Product(NamedTuple):
    """One of the servers that can be asked for."""

    name: str
    title: str
    find: Callable[[str], str]
    """Where a program of it is; raises `Missing`."""
    program: str
    initialise: tuple[str, ...]
    """What makes the first data of a folder: a program, and what it is told besides."""
    small: tuple[str, ...]
    """A server for tests needs little memory; that it syncs at every commit is left as it is."""


def _installed(program: str) -> str:
    """Where a program of MariaDB's is."""
    found = apt.program(program) or (apt.install(SERVER) and apt.program(program))
    if not found:
        raise Missing(f"there is no MariaDB here: sudo apt-get install {SERVER}")
    return found


@cache  # each look runs a program
def _unpacked(program: str) -> str:
    """Where mysqld is."""
    if named := os.environ.get("MYSQLD"):
        if found := apt.program(named):
            return found
        raise Missing(f"MYSQLD={named} is no program that can be run")
    found = apt.program(program)
    if found and "MariaDB" not in _run([found, "--version"]):  # which has one by this name too
        return found
    for package in CORES:
        with contextlib.suppress(debian.Missing):
            return str(debian.unpacked(program, package))
    raise Missing(
        "there is no MySQL here, and none of Ubuntu's packages: name its mysqld, MYSQLD=/path"
    )


PRODUCTS: Mapping[str, Product] = {
    "mariadb": Product(
        "mariadb",
        "MariaDB",
        _installed,
        "mariadbd",
        ("mariadb-install-db", "--auth-root-authentication-method=normal", "--skip-test-db"),
        ("--innodb-log-file-size=8M", "--key-buffer-size=1M"),
    ),
    "mysql": Product(
        "mysql",
        "MySQL",
        _unpacked,
        "mysqld",
        ("mysqld", "--initialize-insecure"),
        ("--innodb-redo-log-capacity=8M", "--mysqlx=OFF", "--secure-file-priv=NULL"),
    ),
}

SMALL = (
    "--innodb-buffer-pool-size=32M",
    "--innodb-log-buffer-size=2M",
    "--max-connections=200",
    "--performance-schema=OFF",
)


def product() -> Product:
    """The one that the environment asks for.

    Raises:
        Failed: there is none by that name.
    """
    name = os.environ.get("SQL_SERVER") or "mariadb"
    if name not in PRODUCTS:
        raise Failed(f"SQL_SERVER={name}: there are {', '.join(PRODUCTS)}.")
    return PRODUCTS[name]


def install() -> None:
    """See that there is a server.

    Raises:
        Missing: there is none, and it cannot be had.
    """
    wanted = product()
    for program in (wanted.program, wanted.initialise[0]):
        wanted.find(program)


class Server:
    """The server of one directory."""

    def __init__(self, directory: Path) -> None:
        self.product = product()
        self.directory = directory.resolve()
        self.file = self.directory / "server.json"
        self.log = self.directory / "server.log"
        self._child: subprocess.Popen[bytes] | None = None  # where we started it ourselves

    def known(self) -> dict[str, str | int]:
        """What was written of it; nothing where it was never started."""
        try:
            found: dict[str, str | int] = json.loads(self.file.read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def pid(self) -> int | None:
        """Its process, if that runs and is a server of this very directory."""
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
            program, *more = self.product.initialise
            _run([self.product.find(program), "--no-defaults", f"--datadir={data}", *more, *owner])
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
            self.product.find(self.product.program),
            "--no-defaults",
            f"--datadir={data}",
            f"--socket={place}",
            f"--pid-file={place.parent / 'pid'}",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            f"--init-file={first}",
            "--skip-name-resolve",
            *(_proof(self.directory) if tls else ()),
            *owner,
            *SMALL,
            *self.product.small,
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
        raise Failed(f"{self.product.program} did not start. The end of {self.log}:\n{last}")

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


def _proof(directory: Path) -> tuple[str, str]:
    """What makes it speak TLS."""
    certificate, key = certified(directory)
    return f"--ssl-cert={certificate}", f"--ssl-key={key}"


def certified(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, ca.pem, and its key; made if need be.

    Raises:
        Missing: there is no openssl here.
    """
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
    return certificate, key


def _run(command: list[str]) -> str:
    """What it says.

    Raises:
        Failed: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).splitlines()[-8:])
        raise Failed(f"{Path(command[0]).name} failed:\n{last}")
    return done.stdout


def main(arguments: list[str]) -> int:
    """Do what is asked; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=("start", "stop", "status"))
    parser.add_argument("--dir", type=Path, help="[default: .cache/ and its name]")
    parser.add_argument("--tls", action="store_true", help="with a certificate of its own, ca.pem")
    asked = parser.parse_args(arguments)
    try:
        server = Server(asked.dir or ROOT / ".cache" / product().name)
        if asked.what == "start":
            server.start(tls=asked.tls)
            print(server.url())
        elif asked.what == "stop":
            server.stop()
        else:
            pid = server.pid()
            print(f"runs as process {pid}: {server.url()}" if pid else "does not run")
    except Failed as error:
        print(f"database: {error}", file=sys.stderr)
        return MISSING if isinstance(error, Missing) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
