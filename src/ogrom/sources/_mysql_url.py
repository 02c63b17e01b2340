"""Where a MySQL or MariaDB is, and how to speak with it: what its URL says."""

from collections.abc import Callable
from pathlib import Path
from ssl import CERT_NONE, SSLContext, SSLError, create_default_context
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from msgspec import Struct, structs

from ogrom.sources._db import Misuse

SCHEMES = ("mysql", "mariadb")


class Place(Struct, frozen=True):
    """One server."""

    host: str
    port: int = 3306
    socket: str | None = None

    def __str__(self) -> str:
        if self.socket:
            return self.socket
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Options(Struct, frozen=True, kw_only=True):
    """What a URL says. Neither its repr nor its str shows the password."""

    primary: Place
    replicas: tuple[Place, ...] = ()
    user: str
    password: bytes = b""
    database: str
    ssl: str = "off"
    ca: str | None = None
    min: int = 1
    max: int = 16
    connect_timeout: float = 3.0
    read_timeout: float = 10.0
    idle: float = 60.0
    lifetime: float = 1800.0

    def __repr__(self) -> str:
        return f"<mysql://{self.user}@{self.primary}/{self.database}>"

    def tls(self) -> SSLContext | None:
        """How the connection is encrypted; None where it is not.

        Raises:
            Misuse: the file of authorities cannot be read.
        """
        if self.ssl == "off":
            return None
        try:
            context = create_default_context(cafile=self.ca)
        except (OSError, SSLError) as error:
            raise Misuse(f"ca={self.ca}: {error}. Name a file of certificates (PEM).") from error
        if self.ssl == "on":
            context.check_hostname = False
            context.verify_mode = CERT_NONE
        return context


def parse(url: str) -> Options:
    """What the URL says.

    Raises:
        Misuse: it cannot be right; the message says why, and never shows the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
    except ValueError as error:
        raise Misuse(f"{masked(url)}: {error}.") from None
    if parts.scheme not in SCHEMES:
        raise Misuse(f"{masked(url)}: a MySQL's URL is mysql://user:password@host:3306/database.")
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database:
        raise Misuse(f"{masked(url)}: name the database after the host: …@host:3306/database.")
    if not parts.username:
        raise Misuse(f"{masked(url)}: name the user before the host: mysql://user:password@host.")
    replicas: list[Place] = []
    given: dict[str, Any] = {}
    socket: str | None = None
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "replica":
            replicas.extend(_place(each, url) for each in value.split(","))
        elif name == "socket":
            socket = value
        elif name in _READERS:
            given[name] = _read(name, value, url)
        else:
            known = ", ".join(sorted([*_READERS, "replica", "socket"]))
            raise Misuse(f"{masked(url)}: {name}= means nothing here; there are {known}.")
    if "ca" in given:
        given.setdefault("ssl", "verify")
    options = Options(
        primary=Place(parts.hostname or "localhost", port, socket),
        replicas=tuple(replicas),
        user=unquote(parts.username),
        password=unquote(parts.password or "").encode(),
        database=database,
        **given,
    )
    if options.min > options.max:
        raise Misuse(f"{masked(url)}: min={options.min} is more than max={options.max}.")
    options.tls()
    return options


def masked(url: str) -> str:
    """The URL without its secrets: no password, and no parameter that is not known."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the URL"
    user, _, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    netloc = f"{name}{':***' if colon else ''}@{host}" if user else host
    query = "…" if parts.query else ""
    return SplitResult(parts.scheme, netloc, parts.path, query, "").geturl()


def _place(text: str, url: str) -> Place:
    wrong = Misuse(f"{masked(url)}: a replica is replica=host:port; user and rest are the same.")
    try:
        parts = urlsplit(f"//{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    if not host or parts.path or "@" in text:
        raise wrong
    return Place(host, port or 3306)


def _read(name: str, value: str, url: str) -> Any:
    try:
        return _READERS[name](value)
    except ValueError as error:
        raise Misuse(f"{masked(url)}: {name}={value} {error}.") from None


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86_400:
        raise ValueError("is not a number of seconds")
    return seconds


def _count(value: str) -> int:
    if not value.isdecimal() or not 1 <= int(value[:6]) <= 10_000:
        raise ValueError("is not a number of connections")
    return int(value)


def _ssl(value: str) -> str:
    if value not in ("off", "on", "verify"):
        raise ValueError("is none of off, on (encrypted) and verify (and the server proves itself)")
    return value


def _file(value: str) -> str:
    if not Path(value).is_file():
        raise ValueError("is not a file")
    return value


_READERS: dict[str, Callable[[str], Any]] = {
    "ssl": _ssl,
    "ca": _file,
    "min": _count,
    "max": _count,
    "connect_timeout": _seconds,
    "read_timeout": _seconds,
    "idle": _seconds,
    "lifetime": _seconds,
}

assert set(_READERS) <= {field.name for field in structs.fields(Options)}
