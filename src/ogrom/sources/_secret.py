"""A secret, and an address that may contain one: neither is ever shown."""

from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit, urlunsplit

MASK: Final = "•••"


class Secret:
    """Text that shows itself to nobody by accident: `repr`, `str` and f-strings are masked."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: where it is sent, and nowhere else."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Secret({MASK!r})" if self._text else "Secret('')"

    def __str__(self) -> str:
        return MASK if self._text else ""


class Address(NamedTuple):
    """Where a server is: what may be shown of its URL, and the secret that was written in it."""

    url: str
    secret: Secret


def address(url: str, *, schemes: tuple[str, ...] = ("http", "https")) -> Address:
    """The parts of a URL such as `https://user:secret@host/api`; the secret is the password, or the
    user where there is no password.

    Raises:
        ValueError: it cannot be right; the message says why and shows no secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"it is no URL ({str(error).split(':')[0]})") from None
    if parts.scheme not in schemes:
        raise ValueError(f"it does not begin with {' or '.join(f'{each}://' for each in schemes)}")
    if not parts.hostname or any(each.isspace() for each in url):
        raise ValueError("it names no host")
    if parts.query or parts.fragment:
        raise ValueError("it has a query or a fragment, and must not")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    secret = unquote(parts.password or parts.username or "")
    return Address(
        urlunsplit((parts.scheme, place, parts.path.rstrip("/"), "", "")), Secret(secret)
    )
