"""A pattern of a route: its segments, what each matches, and how each is written.

The grammar is told in `_routing`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from reprlib import repr as shorten
from typing import Literal, TypeAlias, cast
from urllib.parse import quote, unquote
from uuid import UUID

Kind: TypeAlias = Literal["text", "int", "uuid", "choice", "regex", "path"]

_KINDS: Mapping[Kind, tuple[str, type, str]] = {
    # kind: its regular expression, its values, and what is expected
    "text": (r"(?s:.+)", str, 'text, neither empty nor "." nor ".."'),
    "int": (r"-?[0-9]{1,18}", int, "an int of at most 18 digits"),
    "uuid": (r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}", UUID, "a uuid.UUID"),
    "choice": ("", str, "one of "),
    "regex": ("", str, "text that matches "),
    "path": ("", str, 'text that does not begin with "/" and has no part "." or ".."'),
}
RANKS = {"int": 0, "uuid": 1, "choice": 2, "regex": 3, "text": 4, "path": 5}
PARAMETER = re.compile(r"\{([A-Za-z_]\w*)(?::(?:/(.+?)/|([^{}/]+)))?\}", re.ASCII)
_TOKEN = re.compile(rf"(/)|([^{{}}/]+)|{PARAMETER.pattern}|([{{}}])", re.ASCII)
LONGEST = 255
DOTS = frozenset({".", ".."})
NO_VALUE = frozenset({"", ".", ".."})
NO_REST = re.compile(r"\A(?:/|\Z)|(?:\A|/)\.\.?(?:/|\Z)")
_UNWRITABLE = re.compile("[\0\ud800-\udfff]")
# What a segment may hold as it is, beside letters, digits and -._~ (RFC 3986 section 3.3).
_PCHAR = "!$&'()*+,;=:@"


class RoutesError(ValueError):
    """These routes cannot be served; the message says which, and what to do."""


class LinkError(ValueError):
    """No path can be written; the message says for which route, and what is expected."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a route: what may stand in its place."""

    name: str
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    """The texts of a parameter of the kind "choice"."""
    regex: str = ""
    """The regular expression of a parameter of the kind "regex"."""

    @property
    def type(self) -> type:
        """The Python type of its values: str, int or UUID."""
        return _KINDS[self.kind][1]

    @property
    def expected(self) -> str:
        """What its values are, in words."""
        return _KINDS[self.kind][2] + (self.regex or ", ".join(self.choices))

    @property
    def source(self) -> str:
        """A regular expression for its values as text, without groups."""
        # The longest first, for an alternative may begin with another.
        alternatives = sorted(self.choices, key=len, reverse=True)
        return self.regex or "|".join(map(re.escape, alternatives)) or _KINDS[self.kind][0]


Shape: TypeAlias = str | tuple[object, ...]
Read: TypeAlias = Callable[[str], tuple[object, ...] | None]


class Slot:
    """A segment that holds parameters: reads their values, and knows how specific it is."""

    __slots__ = ("parameters", "parts", "rank", "read", "shape", "unquoted")

    def __init__(self, parts: tuple[str | Parameter, ...]) -> None:
        self.parts = parts
        self.parameters = [part for part in parts if isinstance(part, Parameter)]
        # Two slots of one shape match the same texts: names do not count.
        self.shape: Shape = tuple(
            part if isinstance(part, str) else (part.kind, frozenset(part.choices), part.regex)
            for part in parts
        )
        only = self.parameters[0] if len(parts) == 1 else None
        plain = sum(parameter.kind == "text" for parameter in self.parameters)
        text = sum(len(part) for part in parts if isinstance(part, str))
        self.rank = (
            (RANKS[only.kind], len(only.choices), 0)
            if only and only.kind != "regex"
            else (RANKS["regex"], plain, -text)
        )
        self.unquoted = _PCHAR + "/" if only and only.kind == "path" else _PCHAR
        self.read = (
            read_text
            if only and only.kind == "text"
            else _read_rest
            if only and only.kind == "path"
            else _reader(parts)
        )


Segments: TypeAlias = tuple[str | Slot, ...]


def read_text(segment: str) -> tuple[object, ...] | None:
    return None if segment in NO_VALUE else (segment,)


def _read_rest(text: str) -> tuple[object, ...] | None:
    return None if NO_REST.search(text) else (text,)


def _reader(parts: tuple[str | Parameter, ...]) -> Read:
    types = [part.type for part in parts if isinstance(part, Parameter)]
    matches = re.compile(
        "".join(re.escape(part) if isinstance(part, str) else f"({part.source})" for part in parts)
    ).fullmatch

    def read(segment: str) -> tuple[object, ...] | None:
        if len(segment) > LONGEST or segment in NO_VALUE or not (found := matches(segment)):
            return None
        texts = found.groups()
        if "" in texts:
            return None
        if len(texts) == 1:
            return (types[0](texts[0]),)
        return tuple([type_(text) for type_, text in zip(types, texts, strict=True)])

    return read


def parse_pattern(pattern: str) -> Segments:
    """Cuts a pattern into segments, each of which can be matched by itself."""
    segments: list[list[str | Parameter]] = []
    names: set[str] = set()
    for slash, text, name, regex, kind, stray in _TOKEN.findall(pattern):
        if slash:
            segments.append([])
        elif text:
            segments[-1].append(_literal(text, pattern))
        elif stray:
            raise RoutesError(
                f"{pattern}: {stray!r} is not understood; a parameter is written"
                " {name}, {name:int}, {name:uuid}, {name:path}, {name:a|b} or {name:/regex/}"
            )
        elif name in names:
            raise RoutesError(f"{pattern}: {name!r} stands there twice; rename one of them")
        else:
            names.add(name)
            segments[-1].append(_parameter(name, regex, kind, pattern))
    for parts in segments[:-1]:
        if any(isinstance(part, Parameter) and part.kind == "path" for part in parts):
            raise RoutesError(f"{pattern}: nothing can follow a path; put it at the end")
    return tuple(_segment(tuple(parts), pattern) for parts in segments)


def _segment(parts: tuple[str | Parameter, ...], where: str) -> str | Slot:
    kinds = [part.kind if isinstance(part, Parameter) else None for part in parts]
    if kinds in ([], [None]):
        text = "".join(cast("tuple[str, ...]", parts))
        if text in DOTS:
            raise RoutesError(f"{where}: clients remove {text!r} from a path; so must you")
        return text
    if any(one and other for one, other in pairwise(kinds)):
        raise RoutesError(f"{where}: two parameters touch; put text between them")
    if len(kinds) > 1 and "path" in kinds:
        raise RoutesError(f"{where}: a path is a segment by itself; put '/' in front of it")
    if kinds.count("text") + kinds.count("regex") > 2:
        raise RoutesError(f"{where}: more than two parameters of open length share a segment")
    return Slot(parts)


def _literal(text: str, where: str) -> str:
    if re.search("[?#]", text):
        raise RoutesError(f"{where}: a route is a path; take query and fragment away")
    if re.search("%[0-9A-Fa-f]{2}", text):
        raise RoutesError(f"{where}: write it decoded: {unquote(text)!r}")
    if named := re.fullmatch(r"<(?:\w+:)?(\w+)>|:([A-Za-z_]\w*)", text):
        name = named[1] or named[2]
        raise RoutesError(f"{where}: {text!r} would be text; a parameter is written {{{name}}}")
    if not text.isprintable():
        raise RoutesError(f"{where}: {text!r} holds a character that cannot be printed")
    return text


def _parameter(name: str, regex: str, kind: str, where: str) -> Parameter:
    if regex:
        try:
            groups = re.compile(regex).groups + re.compile(f"({regex})").groups
        except re.error as error:
            raise RoutesError(f"{where}: /{regex}/ is no regular expression: {error}") from error
        if groups > 1:
            raise RoutesError(f"{where}: /{regex}/ has groups; write (?:…) instead of (…)")
        return Parameter(name, "regex", regex=regex)
    if kind in ("", "int", "uuid", "path"):
        return Parameter(name, cast("Kind", kind or "text"))
    choices = tuple(_literal(choice, where) for choice in kind.split("|"))
    if len(choices) == 1:
        raise RoutesError(
            f"{where}: {kind!r} is no type{hint(kind, ['int', 'uuid', 'path'])}; there are int,"
            " uuid, path, alternatives a|b and /regex/, and {" + name + "} takes any text"
        )
    if len(set(choices)) < len(choices) or NO_VALUE & set(choices):
        raise RoutesError(f'{where}: the alternatives {kind!r} repeat, or hold "", "." or ".."')
    return Parameter(name, "choice", choices)


def encode(text: str, unquoted: str = _PCHAR) -> str:
    if text.isascii() and text.isalnum():
        return text
    return quote(text, safe=unquoted, errors="strict")


def write_slot(slot: Slot, params: Mapping[str, object], where: str) -> str:
    """The segment with these values in it; raises LinkError where it would not be read back."""
    values = tuple([params[parameter.name] for parameter in slot.parameters])
    text = "".join(
        [part if isinstance(part, str) else str(params[part.name]) for part in slot.parts]
    )
    # What is not read back as it was given has the wrong type, or belongs to another path.
    read = slot.read(text)
    if read == values and not _UNWRITABLE.search(text):
        return "/" + encode(text, slot.unquoted)
    for parameter, value in zip(slot.parameters, values, strict=True):
        alone = str(value)
        if Slot((parameter,)).read(alone) != (value,) or _UNWRITABLE.search(alone):
            raise LinkError(
                f"{where}: {parameter.name} is {shorten(value)}"
                f" ({type(value).__name__}); expected {parameter.expected}"
            )
    as_what = "not at all" if read is None else f"as {shorten(read)}"
    raise LinkError(
        f"{where}: {shorten(values)} would be written as {shorten(text)}, and read back {as_what}"
    )


def hint(word: str, known: list[str]) -> str:
    close = get_close_matches(word, dict.fromkeys(known), n=3)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
