"""Reading, writing and comparing the validators of conditional requests (RFC 9110 8.8, 13.1).

What a validator *is* stands here; which precondition counts when is the decision graph's business.
Nothing raises for what a client wrote: a malformed entity tag is left out, a malformed date is
None, and both take time linear in the field's length.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, Literal

# Entity tags

# RFC 9110 8.8.3: no space, no quote; a backslash is a character like any other, not an escape.
_ETAGC: Final = r"[!#-~\x80-\xff]"
_FORBIDDEN: Final = re.compile(_ETAGC.replace("[", "[^", 1))
_TAG: Final = re.compile(rf'(W/)?"({_ETAGC}*)"')  # "W" is case-sensitive

# What stands between commas, where a comma in quotes is none. A quote that is never closed reaches
# to the end: thus the pattern cannot fail, and never goes back.
_MEMBER: Final = re.compile(r'((?:[^",]+|"[^"]*(?:"|\Z))*)(?:,|\Z)')


@dataclass(frozen=True, slots=True)
class ETag:
    """An entity tag, which names one state of a representation (RFC 9110 8.8.3)."""

    opaque: str
    weak: bool = False

    def __post_init__(self) -> None:
        if found := _FORBIDDEN.search(self.opaque):
            raise ValueError(
                f"an entity tag may not contain {found[0]!r} (RFC 9110 8.8.3): encode or hash it"
            )

    def __str__(self) -> str:
        return f'W/"{self.opaque}"' if self.weak else f'"{self.opaque}"'

    def strongly_equals(self, other: "ETag") -> bool:
        """Tell whether both name the same bytes, as If-Match asks (RFC 9110 8.8.3.2)."""
        return self.opaque == other.opaque and not self.weak and not other.weak

    def weakly_equals(self, other: "ETag") -> bool:
        """Tell whether one can stand in for the other, as If-None-Match asks (RFC 9110 8.8.3.2)."""
        return self.opaque == other.opaque


def parse_etags(field_value: str) -> tuple[ETag, ...] | Literal["*"]:
    """Read `If-Match` or `If-None-Match`: entity tags, or `"*"` for whatever there is.

    Empty members are allowed (RFC 9110 5.6.1.2). Malformed ones are left out, `*` among others
    being one of them, so that a field of which nothing is left names no tag: If-Match then fails
    and If-None-Match then holds, either of which is the safe side.
    """
    if found := _TAG.fullmatch(field_value):  # by far the most
        return (ETag(found[2], found[1] is not None),)
    if field_value.strip(" \t") == "*":
        return "*"
    return tuple(
        ETag(found[2], found[1] is not None)
        for member in _MEMBER.finditer(field_value)
        if (found := _TAG.fullmatch(member[1].strip(" \t")))
    )


def matches_strongly(candidates: Iterable[ETag], tag: ETag | None) -> bool:
    """Tell whether `If-Match` names the tag (RFC 9110 13.1.1); what has no tag is never named."""
    return tag is not None and any(each.strongly_equals(tag) for each in candidates)


def matches_weakly(candidates: Iterable[ETag], tag: ETag | None) -> bool:
    """Tell whether `If-None-Match` names the tag (RFC 9110 13.1.2)."""
    return tag is not None and any(each.weakly_equals(tag) for each in candidates)


# Dates

_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_SHORT_DAYS: Final = tuple(day[:3] for day in _DAYS)

_DAY: Final = f"(?P<weekday>{'|'.join(_SHORT_DAYS)})"
_LONG_DAY: Final = f"(?P<weekday>{'|'.join(_DAYS)})"
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_TIME: Final = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"

# RFC 9110 5.6.7, case-sensitive and without a space to spare. The first is the one to send; no
# other form has its length.
_IMF_LENGTH: Final = len("Sun, 06 Nov 1994 08:49:37 GMT")
_IMF_FIXDATE: Final = re.compile(
    rf"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"
)
_RFC_850: Final = re.compile(
    rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"
)
_ASCTIME: Final = re.compile(
    rf"{_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})"
)


def parse_http_date(value: str, *, now: datetime | None = None) -> datetime | None:
    """Read a date in any of the three forms that RFC 9110 5.6.7 names; None if it is not one.

    A day that does not exist and a weekday that the day does not have make it none. `now`, with a
    time zone, is what the two-digit years of RFC 850 are measured from.
    """
    if len(value) == _IMF_LENGTH:
        return _imf_fixdate(value)
    if found := _ASCTIME.fullmatch(value):
        return _moment(found, int(found["year"]))
    if found := _RFC_850.fullmatch(value):
        return _moment(found, _whole_year(found, now or datetime.now(UTC)))
    return None


@lru_cache(maxsize=1024)
def _imf_fixdate(value: str) -> datetime | None:
    found = _IMF_FIXDATE.fullmatch(value)
    return found and _moment(found, int(found["year"]))


def _moment(found: re.Match[str], year: int) -> datetime | None:
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if (hour, minute, second) == (23, 59, 60):
        # The grammar's leap second (RFC 9110 5.6.7), which datetime cannot hold. The second before
        # it is the safe side: too early a date never calls a stale copy fresh.
        second = 59
    month, day = _MONTHS.index(found["month"]) + 1, int(found["day"])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return moment if _DAYS[moment.weekday()].startswith(found["weekday"]) else None


def _whole_year(found: re.Match[str], now: datetime) -> int:
    """Choose the last year with these two digits that is at most 50 years ahead (5.6.7)."""
    now = now.astimezone(UTC)
    limit = now.year + 50
    year = limit - (limit - int(found["year"])) % 100
    rest = (
        _MONTHS.index(found["month"]) + 1,
        *(int(found[part]) for part in ("day", "hour", "minute", "second")),
    )
    too_far = year == limit and rest > (now.month, now.day, now.hour, now.minute, now.second)
    return year - 100 if too_far else year


def format_http_date(moment: datetime) -> str:
    """Write an IMF-fixdate (RFC 9110 5.6.7), in whole seconds; ValueError without a time zone."""
    moment = _aware(moment).astimezone(UTC)
    return (
        f"{_SHORT_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1]}"
        f" {moment.year:04} {moment.hour:02}:{moment.minute:02}:{moment.second:02} GMT"
    )


def not_modified_since(last_modified: datetime, date: datetime) -> bool:
    """Tell whether `If-Unmodified-Since` holds (RFC 9110 13.1.4).

    In whole seconds, because that is all of `last_modified` that the client was ever told: a
    change within the second would otherwise always look later (RFC 9110 8.8.2).
    """
    return _aware(last_modified).replace(microsecond=0) <= _aware(date)


def modified_since(last_modified: datetime, date: datetime) -> bool:
    """Tell whether `If-Modified-Since` holds (RFC 9110 13.1.3), in whole seconds."""
    return not not_modified_since(last_modified, date)


def _aware(moment: datetime) -> datetime:
    if moment.utcoffset() is None:
        raise ValueError(
            f"{moment.isoformat()} has no time zone: give it one, as in moment.replace(tzinfo=UTC)"
        )
    return moment
