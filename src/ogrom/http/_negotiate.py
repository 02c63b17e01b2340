"""Which of the offered representations a request's Accept fields ask for (RFC 9110 12.5).

Every `choose_*` takes the field's value, or None where the request has no such field, and what the
server offers, best first. It is a pure function of the two, so answers for short fields are
remembered. Nothing here raises for what a client wrote: a malformed member is left out, and a field
with no well-formed member says nothing.

A hostile field costs time linear in its length. It is read once, by patterns in which no text can
be matched in two ways, and no more than `MOST_MEMBERS` of its members are looked at.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Final, NamedTuple, Self

# Empty members count: RFC 9110 5.6.1.2 asks for "a reasonable number" of them.
MOST_MEMBERS: Final = 256

# A longer field is not remembered, so that nobody can fill the memory with headers.
LONGEST_REMEMBERED: Final = 512
_REMEMBERED: Final = 1024

_TCHARS: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QDTEXT: Final = r"[\t !#-\[\]-~\x80-\xff]"
_QVALUE: Final = r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?"
_WEIGHT: Final = rf"(?:[ \t]*;[ \t]*[qQ]=({_QVALUE}))?"

_IS_TOKEN: Final = re.compile(_TCHARS)
_IS_VALUE: Final = re.compile(r"[\t -~\x80-\xff]*")
_IS_QVALUE: Final = re.compile(_QVALUE)
_TYPE: Final = re.compile(rf"({_TCHARS})/({_TCHARS})")
_PARAMETER: Final = re.compile(
    rf"[ \t]*;[ \t]*(?:({_TCHARS})"
    rf'(?:=(?:({_TCHARS})|"({_QDTEXT}*(?:\\[\t -~\x80-\xff]{_QDTEXT}*)*)"))?)?'
)
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
_TO_QUOTE: Final = re.compile(r'(["\\])')

# What stands between commas, where a comma in quotes is none. A quote that is never closed reaches
# to the end: thus the pattern cannot fail, and never goes back.
_MEMBER: Final = re.compile(r'((?:[^",]+|"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z))*)(?:,|\Z)', re.DOTALL)
_NAMED: Final = re.compile(rf"[ \t]*({_TCHARS}){_WEIGHT}[ \t]*")
_LANGUAGE: Final = re.compile(rf"[ \t]*([A-Za-z]{{1,8}}(?:-[0-9A-Za-z]{{1,8}})*|\*){_WEIGHT}[ \t]*")

# RFC 9110 8.4.1.1 and 8.4.1.3: the older names of the same codings.
_CODING_ALIASES: Final = {"x-compress": "compress", "x-gzip": "gzip"}

# Identity is acceptable without being named (RFC 9110 12.5.3), yet whoever names a coding wants it:
# it gets the smallest weight that is not a refusal.
_UNNAMED_IDENTITY: Final = 0.001


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type, such as `application/json` or `text/html;level=1` (RFC 9110 8.3.1).

    Type, subtype and the parameters' names are lower-case; values are as they were written.
    """

    type: str
    subtype: str
    parameters: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        for part in (self.type, self.subtype, *(name for name, _ in self.parameters)):
            if not _IS_TOKEN.fullmatch(part) or part != part.lower():
                raise ValueError(f"{_brief(part)!r} is no lower-case token (RFC 9110 5.6.2)")
        if "*" in (self.type, self.subtype):
            raise ValueError(f"{self.type}/{self.subtype} is a range: name a single type")
        seen: set[str] = set()
        for name, value in self.parameters:
            if not _IS_VALUE.fullmatch(value):
                raise ValueError(f"{name}={_brief(value)!r} cannot be quoted (RFC 9110 5.6.4)")
            if name in seen:
                raise ValueError(f"the parameter {name} is given twice (RFC 6838 4.3)")
            seen.add(name)

    def __hash__(self) -> int:
        # Subtypes tell nearly all types apart, and a str remembers its hash: looking up a
        # remembered choice hashes everything that is offered.
        return hash(self.subtype)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read one media type; ValueError says what is wrong with it."""
        type_, subtype, parameters, _ = _read(text, weighted=False)
        return cls(type_, subtype, parameters)

    def __str__(self) -> str:
        return f"{self.type}/{self.subtype}{_written(self.parameters)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The outcome of one dimension, with what a trace needs to explain it."""

    index: int | None  # which of the offered; None: none of them is acceptable
    scores: tuple[float, ...]  # the weight that each of the offered got
    why: str


def choose_media_type(accept: str | None, offered: Sequence[MediaType]) -> Choice:
    """Choose by `Accept` (RFC 9110 12.5.1): the greatest weight, then the server's order.

    The most specific range that matches a type gives it its weight, and of equally specific ones
    the greatest. Where nothing is acceptable, or nothing is offered, the index is None.
    """
    if accept is None or len(accept) <= LONGEST_REMEMBERED:
        return _media_type(accept, tuple(offered))
    return _media_type.__wrapped__(accept, tuple(offered))


def range_for(accept: str, offered: MediaType) -> str:
    """The range of `Accept` that gives a media type its weight, as a trace shows it; "" for none."""
    ranges = sorted(_ranges(accept), key=itemgetter(0, 1, 2, 3), reverse=True)
    return _most_specific(ranges, offered).text


def choose_language(accept_language: str | None, offered: Sequence[str]) -> Choice:
    """Choose by `Accept-Language` (RFC 9110 12.5.4) with the lookup of RFC 4647 3.4.

    The ranges are tried by weight, then in the client's order. Each is cut from its end until it
    equals an offered tag or, which is our extension, begins one: `de-AT` finds `de`, else `de-DE`.
    What a longer range of the field begins is left to that range. `*` stands for the tags that no
    other range finds, after named ranges of its weight.

    Nothing found means that the field is disregarded and the first tag taken that `q=0` does not
    refuse. The index is None only where all are refused, or nothing is offered.
    """
    if accept_language is None or len(accept_language) <= LONGEST_REMEMBERED:
        return _language(accept_language, tuple(offered))
    return _language.__wrapped__(accept_language, tuple(offered))


def choose_charset(accept_charset: str | None, offered: Sequence[str]) -> Choice:
    """Choose by `Accept-Charset` (RFC 9110 12.5.2): the greatest weight, then the server's order.

    No charset has a weight of its own: ISO-8859-1 lost the one that it had in RFC 2616. The field
    is deprecated, so it is disregarded as in `choose_language`.
    """
    if accept_charset is None or len(accept_charset) <= LONGEST_REMEMBERED:
        return _charset(accept_charset, tuple(offered))
    return _charset.__wrapped__(accept_charset, tuple(offered))


def choose_encoding(accept_encoding: str | None, offered: Sequence[str]) -> Choice:
    """Choose by `Accept-Encoding` (RFC 9110 12.5.3): the greatest weight, then the server's order.

    `identity` is always offered: where `offered` lacks it, the index and the scores count it as one
    more at the end, so `index == len(offered)` means identity. Of equal weights any real coding
    goes before identity. Without the field every coding is acceptable, yet we send identity: only
    who asks for a coding is known to decode it. The index is None where identity is refused and
    nothing else is acceptable.
    """
    if accept_encoding is None or len(accept_encoding) <= LONGEST_REMEMBERED:
        return _encoding(accept_encoding, tuple(offered))
    return _encoding.__wrapped__(accept_encoding, tuple(offered))


def content_type(value: str) -> MediaType | None:
    """Read the `Content-Type` of a request (RFC 9110 8.3); None when it is malformed."""
    if len(value) <= LONGEST_REMEMBERED:
        return _content_type(value)
    return _content_type.__wrapped__(value)


@lru_cache(maxsize=_REMEMBERED)
def _content_type(value: str) -> MediaType | None:
    try:
        return MediaType.parse(value)
    except ValueError:
        return None


# Media types


class _Range(NamedTuple):
    """A member of `Accept`. Greater is more specific (RFC 9110 12.5.1)."""

    wildcards: int  # minus their number
    length: int  # parameters
    q: float
    text: str
    type: str
    subtype: str
    parameters: frozenset[tuple[str, str]]


_NO_RANGE: Final = _Range(0, 0, 0.0, "", "", "", frozenset())


@lru_cache(maxsize=_REMEMBERED)
def _media_type(accept: str | None, offered: tuple[MediaType, ...]) -> Choice:
    if not offered:
        return _NOTHING_OFFERED
    ranges = sorted(_ranges(accept or ""), key=itemgetter(0, 1, 2, 3), reverse=True)
    if not ranges:
        return _no_preference("Accept", accept, len(offered), "12.5.1")
    found = [_most_specific(ranges, each) for each in offered]
    scores = tuple(each.q for each in found)
    best = max(scores)
    if not best:
        why = "no offered type is matched by a range above q=0 (RFC 9110 12.5.1)"
        return Choice(None, scores, why)
    index = scores.index(best)
    why = f"{found[index].text} is the most specific range that matches (RFC 9110 12.5.1)"
    return Choice(index, scores, why)


def _most_specific(ranges: list[_Range], offered: MediaType) -> _Range:
    types, subtypes = ("*", offered.type), ("*", offered.subtype)
    parameters = _comparable(offered.parameters)
    for each in ranges:
        if each.type in types and each.subtype in subtypes and each.parameters <= parameters:
            return each
    return _NO_RANGE


def _ranges(accept: str) -> list[_Range]:
    ranges: list[_Range] = []
    for member in _members(accept):
        try:
            type_, subtype, parameters, weight = _read(member, weighted=True)
        except ValueError:
            continue
        if not _IS_QVALUE.fullmatch(weight):
            continue
        asked = _comparable(parameters)
        q = float(weight)
        text = _weighted(f"{type_}/{subtype}{_written(sorted(asked))}", q)
        if type_ == "*" != subtype:
            type_ = ""  # well formed, for "*" is a token; yet no type is called that
        wildcards = -(type_, subtype).count("*")
        ranges.append(_Range(wildcards, len(asked), q, text, type_, subtype, asked))
    return ranges


def _members(accept: str) -> list[str]:
    if '"' not in accept:
        return accept.split(",", MOST_MEMBERS)[:MOST_MEMBERS]
    return [found[1] for found in islice(_MEMBER.finditer(accept), MOST_MEMBERS)]


def _read(text: str, *, weighted: bool) -> tuple[str, str, tuple[tuple[str, str], ...], str]:
    """Take a media type or range apart: type, subtype, parameters, and the weight or `"1"`."""
    text = text.strip(" \t")
    head = _TYPE.match(text)
    if head is None:
        raise ValueError(f"{_brief(text)!r} does not begin with type/subtype (RFC 9110 8.3.1)")
    parameters: list[tuple[str, str]] = []
    weight: str | None = None
    at = head.end()
    while at < len(text):
        found = _PARAMETER.match(text, at)
        if found is None:
            raise ValueError(f"{_brief(text[at:])!r} is no parameter (RFC 9110 5.6.6)")
        at = found.end()
        name, token, quoted = found.groups()
        if name is None:
            continue  # empty
        if weighted and name in ("q", "Q"):  # wherever it stands (RFC 9110 12.5.1)
            if weight is not None:
                raise ValueError("q is given twice")
            weight = token or ""
        elif quoted is not None:
            parameters.append((name.lower(), _QUOTED_PAIR.sub(r"\1", quoted)))
        elif token is not None:
            parameters.append((name.lower(), token))
        else:
            raise ValueError(
                f"the parameter {_brief(name)} has no value: write ;name=token or"
                ' ;name="any text" without spaces around "=" (RFC 9110 5.6.6)'
            )
    return head[1].lower(), head[2].lower(), tuple(parameters), "1" if weight is None else weight


def _comparable(parameters: tuple[tuple[str, str], ...]) -> frozenset[tuple[str, str]]:
    """Names of charsets are case-insensitive (RFC 9110 8.3.2); other values are left alone.

    UTF-8 is what every type here is written in that names no charset: it asks for nothing more.
    """
    asked = ((name, value.lower() if name == "charset" else value) for name, value in parameters)
    return frozenset(each for each in asked if each != ("charset", "utf-8"))


def _written(parameters: Sequence[tuple[str, str]]) -> str:
    return "".join(f";{name}={_quoted(value)}" for name, value in parameters)


def _quoted(value: str) -> str:
    if _IS_TOKEN.fullmatch(value):
        return value
    return '"' + _TO_QUOTE.sub(r"\\\1", value) + '"'


# Languages


class _Finding(NamedTuple):
    """How a range came to an offered tag. The greatest finding is the one to serve."""

    q: float
    turn: int  # minus the range's place in the client's order
    length: int  # how many subtags were left of the range
    exact: bool
    text: str


@lru_cache(maxsize=_REMEMBERED)
def _language(header: str | None, offered: tuple[str, ...]) -> Choice:
    if not offered:
        return _NOTHING_OFFERED
    weights = _weights(header or "", _LANGUAGE)
    if not weights:
        return _no_preference("Accept-Language", header, len(offered), "12.5.4")
    others = weights.pop("*", None)
    ranges = [(tuple(name.split("-")), q) for name, q in weights.items()]
    findings = [_look_up(tuple(tag.lower().split("-")), ranges, others) for tag in offered]
    index = max(range(len(offered)), key=lambda at: findings[at] or _UNFOUND)
    best = findings[index]
    qs = [None if finding is None else finding.q for finding in findings]
    if best is None or not best.q:
        return _unless_refused(qs, "language", "12.5.4")
    why = f"{best.text} finds {offered[index]} (RFC 4647 3.4)"
    return Choice(index, tuple(q or 0.0 for q in qs), why)


def _look_up(
    tag: tuple[str, ...], ranges: list[tuple[tuple[str, ...], float]], others: float | None
) -> _Finding | None:
    """Find the range that asks most for a tag; None when the field does not speak of the tag."""
    # The longest range that begins the tag speaks for it (RFC 4647 3.3.1), also to refuse it.
    own, q = max(
        ((len(each), q) for each, q in ranges if tag[: len(each)] == each), default=(0, 1.0)
    )
    if not q:
        return _REFUSED
    best: _Finding | None = None
    for turn, (each, q) in enumerate(ranges):
        length = _shared(each, tag)
        if q and length and length >= own:
            finding = _Finding(q, -turn, length, length == len(tag), _weighted("-".join(each), q))
            best = finding if best is None else max(best, finding)
    if best is None and others is not None:
        # RFC 4647 3.4: "*" is skipped for as long as other ranges follow.
        return _Finding(others, -len(ranges), 0, exact=False, text=_weighted("*", others))
    return best


def _shared(language_range: tuple[str, ...], tag: tuple[str, ...]) -> int:
    """Count the subtags that are left when the range has been cut to begin the tag."""
    length = 0
    for wanted, given in zip(language_range, tag, strict=False):
        if wanted != given:
            break
        length += 1
    # A cut also takes the single letter before it: "zh-x-private" is cut to "zh".
    while 0 < length < len(language_range) and len(language_range[length - 1]) == 1:
        length -= 1
    return length


_REFUSED: Final = _Finding(0.0, 0, 0, exact=False, text="")
_UNFOUND: Final = _Finding(-1.0, 0, 0, exact=False, text="")


# Charsets and codings


@lru_cache(maxsize=_REMEMBERED)
def _charset(header: str | None, offered: tuple[str, ...]) -> Choice:
    if not offered:
        return _NOTHING_OFFERED
    weights = _weights(header or "", _NAMED)
    if not weights:
        return _no_preference("Accept-Charset", header, len(offered), "12.5.2")
    qs = [weights.get(name.lower(), weights.get("*")) for name in offered]
    scores = tuple(q or 0.0 for q in qs)
    best = max(scores)
    if not best:
        return _unless_refused(qs, "charset", "12.5.2")
    index = scores.index(best)
    why = f"{_weighted(offered[index], best)} is the greatest weight (RFC 9110 12.5.2)"
    return Choice(index, scores, why)


@lru_cache(maxsize=_REMEMBERED)
def _encoding(header: str | None, offered: tuple[str, ...]) -> Choice:
    names = [_CODING_ALIASES.get(name.lower(), name.lower()) for name in offered]
    if "identity" not in names:
        names.append("identity")
    identity = names.index("identity")
    if header is None:
        why = "there is no Accept-Encoding: no coding is asked for (RFC 9110 12.5.3)"
        return Choice(identity, (1.0,) * len(names), why)
    weights = _weights(header, _NAMED, _CODING_ALIASES)
    if not weights:
        scores = tuple(float(name == "identity") for name in names)
        return Choice(identity, scores, "Accept-Encoding names no coding (RFC 9110 12.5.3)")
    unnamed = {"identity": _UNNAMED_IDENTITY}
    scores = tuple(weights.get(each, weights.get("*", unnamed.get(each, 0.0))) for each in names)
    index = max(range(len(names)), key=lambda at: (scores[at], at != identity))
    if not scores[index]:
        return Choice(None, scores, "identity is refused and no coding fits (RFC 9110 12.5.3)")
    why = f"{_weighted(names[index], scores[index])} is the greatest weight (RFC 9110 12.5.3)"
    return Choice(index, scores, why)


# What the dimensions share


def _weights(
    header: str, member: re.Pattern[str], aliases: Mapping[str, str] | None = None
) -> dict[str, float]:
    """Read a list of weighted names, in the client's order; a repeated one keeps its best."""
    weights: dict[str, float] = {}
    for text in header.split(",", MOST_MEMBERS)[:MOST_MEMBERS]:
        if found := member.fullmatch(text):
            name = found[1].lower()
            if aliases:
                name = aliases.get(name, name)
            weights[name] = max(float(found[2] or 1), weights.get(name, 0.0))
    return weights


def _no_preference(field: str, value: str | None, offered: int, section: str) -> Choice:
    says = f"there is no {field}" if value is None else f"{field} has no well-formed member"
    return Choice(0, (1.0,) * offered, f"{says}: the first offered (RFC 9110 {section})")


def _unless_refused(qs: Sequence[float | None], what: str, section: str) -> Choice:
    scores = (0.0,) * len(qs)
    if None in qs:
        why = f"no offered {what} is asked for: the field is disregarded (RFC 9110 {section})"
        return Choice(qs.index(None), scores, why)
    return Choice(None, scores, f"every offered {what} is refused by q=0 (RFC 9110 12.4.2)")


def _weighted(name: str, q: float) -> str:
    return _brief(name) if q == 1 else f"{_brief(name)};q={q:g}"


def _brief(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


_NOTHING_OFFERED: Final = Choice(None, (), "nothing is offered, so there is nothing to negotiate")
