"""What must not be shown: credentials, by the names they go by, and wherever else they turn up."""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields as fields_of
from dataclasses import is_dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qsl, quote, quote_plus

import msgspec

MASK: Final = "•••"

NAMES: Final = (
    "authorization", "cookie", "token", "secret", "passw", "api-key", "api_key", "apikey", "session",
    "credential", "signature", "ogrom-trace",
)  # fmt: skip
"""What the names of secrets have in them, in whatever case: of fields, parameters and keys."""

_SHORTEST: Final = 6
"""A secret shorter than that is masked where it stands, and not looked for elsewhere."""
_DEEPEST: Final = 4
_MEMBERS: Final = 12


class Redactor:
    """Knows secrets by their names.

    Args:
        names: further parts of names.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        parts = "|".join(re.escape(each.lower()) for each in (*NAMES, *names))
        self._name: Final = re.compile(parts)

    def is_secret(self, name: str) -> bool:
        """Whether what goes by that name must not be shown."""
        return self._name.search(name.lower()) is not None

    def fields(self, given: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Header fields as they may be shown."""
        return tuple((name, MASK if self.is_secret(name) else value) for name, value in given)

    def target(self, path: str, query: str) -> str:
        """A path and its query as they may be shown."""
        parts: list[str] = []
        for each in query.split("&"):
            name, equals, _ = each.partition("=")
            parts.append(f"{name}={MASK}" if equals and self.is_secret(name) else each)
        return f"{path}?{'&'.join(parts)}" if query else path

    def values(
        self, fields: Iterable[tuple[str, str]], query: str, contents: Iterable[bytes]
    ) -> frozenset[str]:
        """The secrets themselves, in every form in which they might turn up elsewhere."""
        found: set[str] = set()
        for name, value in fields:
            if self.is_secret(name):
                found |= set(_credentials(name.lower(), value))
        found |= {value for name, value in parse_qsl(query) if self.is_secret(name)}
        for content in contents:
            found |= set(self._in_content(content))
        long = {each for each in found if len(each) >= _SHORTEST}
        return frozenset(
            long | {quote(each, "") for each in long} | {quote_plus(each) for each in long}
        )

    def _in_content(self, content: bytes) -> Iterable[str]:
        ahead: list[Any] = []
        try:
            ahead.append(msgspec.json.decode(content))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pairs = parse_qsl(content[:65536].decode("latin-1"))
            ahead.append(dict(pairs))
        while ahead:
            each = ahead.pop()
            if isinstance(each, dict):
                for name, value in cast("dict[str, Any]", each).items():
                    if isinstance(value, str | int) and self.is_secret(str(name)):
                        yield str(value)
                    else:
                        ahead.append(value)
            elif isinstance(each, list):
                ahead += cast("Sequence[Any]", each)

    def show(self, value: object, most: int = 400) -> str:
        """A value in short, for people: what goes by a secret's name is masked, however deep."""
        try:
            text = self._show(value, 0)
        except Exception as error:  # noqa: BLE001 - somebody's own __repr__
            text = f"<{type(value).__name__}, whose repr raises {type(error).__name__}>"
        return text if len(text) <= most else f"{text[:most]}…"

    def _show(self, value: object, depth: int) -> str:
        if depth > _DEEPEST:
            return "…"
        members: list[tuple[str, object]] | None = None
        if isinstance(value, msgspec.Struct):
            members = [(name, getattr(value, name)) for name in value.__struct_fields__]
        elif is_dataclass(value) and not isinstance(value, type):
            members = [(each.name, getattr(value, each.name)) for each in fields_of(value)]
        if members is not None:
            inner = ", ".join(f"{name}={self._member(name, each, depth)}" for name, each in members)
            return f"{type(value).__name__}({inner})"
        if isinstance(value, Mapping):
            pairs = list(cast("Mapping[object, object]", value).items())
            shown = [
                f"{key!r}: {self._member(str(key), each, depth)}" for key, each in pairs[:_MEMBERS]
            ]
            return "{" + ", ".join([*shown, *(["…"] if len(pairs) > _MEMBERS else [])]) + "}"
        if isinstance(value, list | tuple | set | frozenset):
            items = list(cast("Sequence[object]", value))
            shown = [self._show(each, depth + 1) for each in items[:_MEMBERS]]
            return "[" + ", ".join([*shown, *(["…"] if len(items) > _MEMBERS else [])]) + "]"
        if isinstance(value, bytes):
            return f"{len(value)} bytes"
        if isinstance(value, str) and len(value) > 200:
            return f"{value[:200]!r}…"
        return repr(value)

    def _member(self, name: str, value: object, depth: int) -> str:
        if self.is_secret(name) and isinstance(value, str | bytes | int):
            return MASK
        return self._show(value, depth + 1)


def _credentials(name: str, value: str) -> Iterable[str]:
    """What of a field's value is secret: not a scheme, nor a cookie's name."""
    if name.endswith("cookie"):
        pairs = value.split(";", 1)[:1] if name.startswith("set-") else value.split(";")
        yield from (pair.partition("=")[2].strip() for pair in pairs)
        return
    scheme, _, rest = value.partition(" ")
    yield value
    yield rest.strip()
    if scheme.lower() == "basic":
        try:
            yield base64.b64decode(rest).decode("utf-8", "replace").partition(":")[2]
        except ValueError:
            return


def scrub(value: Any, secrets: Iterable[str]) -> Any:
    """Plain data with every secret masked, wherever in its texts it stands."""
    known = sorted(secrets, key=len, reverse=True)
    if not known:
        return value
    pattern = re.compile("|".join(map(re.escape, known)))

    def clean(each: Any) -> Any:
        if isinstance(each, str):
            return pattern.sub(MASK, each)
        if isinstance(each, dict):
            pairs = cast("dict[str, Any]", each)
            return {clean(key): clean(one) for key, one in pairs.items()}
        if isinstance(each, list | tuple):
            return [clean(one) for one in cast("Sequence[Any]", each)]
        return each

    return clean(value)
