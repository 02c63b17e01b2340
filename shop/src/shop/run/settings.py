"""What the shop is told by its environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from urllib.parse import urlsplit

from ogrom.sources import search as engines
from ogrom.sources import sql
from ogrom.sources.http import Secret, address
from shop.protocols import LOCALES

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(\[[0-9a-fA-F:.]+\]|[^\s/?#@:]+)(:\d{1,5})?")
"""RFC 6454, section 6.2, as browsers write it."""

_RELEASE = re.compile(r"[\w.+-]{0,100}", re.ASCII)


class SettingsError(ValueError):
    """A variable that cannot be right; the message names it and says what would be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the shop runs.

    Args:
        state: the folder that everything is kept in (`OGROM_STATE`).
        locales: the locales served (`OGROM_LOCALES`, comma-separated).
        products: how many products an empty catalogue is filled with (`OGROM_PRODUCTS`).
        origins: whose pages may use the API (`OGROM_ORIGINS`, comma-separated; "*" for all).
        release: the commit that runs (`OGROM_RELEASE`).
        fresh: for how many seconds caches may give products without asking (`OGROM_FRESH`).
        db: the MySQL or MariaDB for what people write (`OGROM_DB`, a URL); None for SQLite in `state`.
        demo: whether an empty database is filled with invented users, whose tokens anybody can read
            (`OGROM_DEMO`, 1 or 0). Unless it is said, SQLite is, and a shared database never.
        users: the identity API that knows the users (`OGROM_USERS`, a URL, with its secret in it or
            in `OGROM_USERS_TOKEN`); "" for those in the shop's own database.
        users_token: the secret that it asks for.
        search: the Elasticsearch or OpenSearch that has the catalogue (`OGROM_SEARCH`, a URL); None
            for the embedded engine. It is filled with generated products only where
            `OGROM_PRODUCTS` is set.
        logstash: where log lines go besides standard output (`OGROM_LOGSTASH`,
            `tcp://host:port`).
        trace: the secret with which a request asks to be traced (`OGROM_TRACE`, at least 16
            characters); "" for none: then there are no traces.
    """

    state: Path = Path(".state")
    locales: tuple[str, ...] = LOCALES
    products: int = 2_000
    origins: tuple[str, ...] = ("*",)
    release: str = ""
    fresh: int = 0
    db: Secret | None = None
    demo: bool | None = None
    users: str = ""
    users_token: Secret = Secret("")  # noqa: RUF009 - it is frozen
    search: engines.Address | None = None
    logstash: tuple[str, int] | None = None
    trace: Secret = Secret("")  # noqa: RUF009 - it is frozen

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read from environment variables.

        Raises:
            SettingsError: a variable cannot be right.
        """
        locales = _list(env.get("OGROM_LOCALES", ",".join(LOCALES)))
        if unknown := [each for each in locales if each not in LOCALES]:
            raise SettingsError(
                f"OGROM_LOCALES: {', '.join(unknown)} is not spoken here; choose from {', '.join(LOCALES)}."
            )
        search = searched(env.get("OGROM_SEARCH", "").strip())
        users, users_token = _users(env)
        return cls(
            state=Path(env.get("OGROM_STATE") or ".state"),
            locales=locales or LOCALES,
            products=_number(env, "OGROM_PRODUCTS", "0" if search else "2000"),
            origins=_origins(env.get("OGROM_ORIGINS", "*")),
            release=_release(env.get("OGROM_RELEASE", "").strip()),
            fresh=_number(env, "OGROM_FRESH", "0"),
            db=_db(env.get("OGROM_DB", "").strip()),
            demo=_demo(env.get("OGROM_DEMO", "").strip()),
            users=users,
            users_token=users_token,
            search=search,
            logstash=_logstash(env.get("OGROM_LOGSTASH", "").strip()),
            trace=_trace(env.get("OGROM_TRACE", "").strip()),
        )

    def make_state(self) -> None:
        """See that there is the folder `state`.

        Raises:
            SettingsError: there can be none, or we may not write into it.
        """
        try:
            self.state.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self.state):
                pass
        except OSError as error:
            raise SettingsError(
                f"OGROM_STATE: nothing can be kept in {self.state} ({error.strerror}). Name a folder"
                " that this user may write into."
            ) from None

    @property
    def invents(self) -> bool:
        """Whether an empty database is filled with invented users."""
        return self.db is None if self.demo is None else self.demo


def _origins(text: str) -> tuple[str, ...]:
    for each in (found := _list(text)):
        if each != "*" and not _ORIGIN.fullmatch(each):
            raise SettingsError(
                f"OGROM_ORIGINS: {each!r} is no origin, so no browser would ever send it; write"
                " https://shop.example, without a path, or * for all."
            )
    return found


def _release(name: str) -> str:
    if not _RELEASE.fullmatch(name):
        raise SettingsError(
            "OGROM_RELEASE: it is sent in a header field; a commit has letters and digits, and"
            " 100 of them at most."
        )
    return name


def _number(env: Mapping[str, str], name: str, default: str) -> int:
    text = env.get(name, default)
    if not text.isdecimal() or not 0 <= int(text[:9]) <= 1_000_000:
        raise SettingsError(f"{name}: {text!r} is not a number from 0 to 1000000.")
    return int(text)


def _db(url: str) -> Secret | None:
    if not url:
        return None
    if "://" not in url:
        raise SettingsError("OGROM_DB: write mysql://user:password@host:3306/database.")
    try:
        sql.validate(url)
    except sql.Misuse as error:
        raise SettingsError(f"OGROM_DB: {error}") from None
    return Secret(url)


def _demo(value: str) -> bool | None:
    if value not in ("", "0", "1"):
        raise SettingsError("OGROM_DEMO: it is 1, for invented users with known tokens, or 0.")
    return value == "1" if value else None


def _users(env: Mapping[str, str]) -> tuple[str, Secret]:
    url, given = env.get("OGROM_USERS", "").strip(), env.get("OGROM_USERS_TOKEN", "").strip()
    if not url:
        if given:
            raise SettingsError("OGROM_USERS_TOKEN is for OGROM_USERS, which is not set: set both.")
        return "", Secret("")
    try:
        found = address(url)
    except ValueError as error:
        raise SettingsError(
            f"OGROM_USERS: {error}. Write https://identity.example/api, and its secret in"
            " OGROM_USERS_TOKEN."
        ) from None
    if given and found.secret:
        raise SettingsError(
            "OGROM_USERS has a secret in it, and OGROM_USERS_TOKEN is one too: keep the latter."
        )
    secret = Secret(given) if given else found.secret
    if not secret:
        raise SettingsError(
            "OGROM_USERS needs a secret, for not everybody may ask whose token this is: set"
            " OGROM_USERS_TOKEN."
        )
    if not secret.reveal().isascii() or not secret.reveal().isprintable() or " " in secret.reveal():
        raise SettingsError(
            "OGROM_USERS_TOKEN: no bearer token has spaces or letters like ä in it."
        )
    return found.url, secret


def searched(url: str) -> engines.Address | None:
    """Where the search engine is; None where none is named. Raises SettingsError."""
    try:
        return engines.address(url) if url else None
    except ValueError as error:
        raise SettingsError(f"OGROM_SEARCH: {error}.") from None


def _trace(secret: str) -> Secret:
    if secret and len(secret) < 16:
        raise SettingsError(
            "OGROM_TRACE has fewer than 16 characters, so it is no secret. Make one:"
            ' python3 -c "import secrets; print(secrets.token_urlsafe())"'
        )
    return Secret(secret)


def _logstash(url: str) -> tuple[str, int] | None:
    if not url:
        return None
    try:
        parts = urlsplit(address(url, schemes=("tcp",)).url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise SettingsError(
            f"OGROM_LOGSTASH: {error}. Write tcp://logstash.example:5044."
        ) from None
    if host is None or not port or parts.path:
        raise SettingsError(
            "OGROM_LOGSTASH: it needs a host and a port, and no more. Write"
            " tcp://logstash.example:5044."
        )
    return host, port


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
