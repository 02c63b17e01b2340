"""What `ogrom.http._conditional` promises. A case named C5 and the like is a known way to fail."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogrom.http._conditional import (
    ETag,
    format_http_date,
    matches_strongly,
    matches_weakly,
    modified_since,
    not_modified_since,
    parse_etags,
    parse_http_date,
)

A, B, WEAK_A = ETag("a"), ETag("b"), ETag("a", weak=True)

etagcs = st.characters(min_codepoint=0x21, max_codepoint=0xFF, exclude_characters='"\x7f')
etags = st.builds(ETag, st.text(etagcs), st.booleans())


# Entity tags


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param('"a"', (A,), id="one"),
        pytest.param('W/"a"', (WEAK_A,), id="one weak"),
        pytest.param('""', (ETag(""),), id="an empty one"),
        pytest.param("*", "*", id="whatever there is"),
        pytest.param('"a", "b"', (A, B), id="C5 a list"),
        pytest.param('W/"a","b"', (WEAK_A, B), id="C5 a list, mixed"),
        pytest.param(',, "a" ,\t,"b",', (A, B), id="C5 empty members"),
        pytest.param('"a,b", "b"', (ETag("a,b"), B), id="C5 a comma in a tag"),
        pytest.param('"a\\", "b"', (ETag("a\\"), B), id="C5 a backslash escapes nothing"),
        pytest.param('"\xfc\x80"', (ETag("\xfc\x80"),), id="obs-text"),
        pytest.param('  "a"\t', (A,), id="C7 space around it"),
        pytest.param(" *\t", "*", id="C7 space around a star"),
        pytest.param('*, "a"', (A,), id="C7 a star in a list"),
        pytest.param('"a", *', (A,), id="C7 a star in a list, last"),
        pytest.param("*, *", (), id="C7 stars"),
        pytest.param('"*"', (ETag("*"),), id="C7 a star as a tag"),
        pytest.param("a", (), id="C7 unquoted"),
        pytest.param('a, "b"', (B,), id="C7 unquoted among others"),
        pytest.param('w/"a", W/ "a", W"a", W/a', (), id="weakness is written W/"),
        pytest.param('"a b", "b"', (B,), id="a space is none of its characters"),
        pytest.param('"a, c", "b"', (B,), id="nor after a comma"),
        pytest.param('"a""b"', (), id="two without a comma"),
        pytest.param('"a"x, "b"', (B,), id="something behind it"),
        pytest.param('"b", "a', (B,), id="an open one"),
        pytest.param('"a\x7f", "\u0142"', (), id="no characters of a field"),
        pytest.param("", (), id="empty"),
    ],
)
def test_a_field_of_entity_tags_is_read_as_a_list(
    value: str, expected: tuple[ETag, ...] | str
) -> None:
    """RFC 9110 13.1.1, 13.1.2 and 8.8.3."""
    assert expected == parse_etags(value)


@pytest.mark.parametrize(
    ("opaque", "character"), [('a"b', "'\"'"), ("a b", "' '"), ("a\r\n", r"'\\r'"), ("\u0142", "'\u0142'")]
)  # fmt: skip
def test_an_entity_tag_that_could_not_be_sent_names_its_character(
    opaque: str, character: str
) -> None:
    """RFC 9110 8.8.3: no quote, no space, no control character, nothing past U+00FF."""
    with pytest.raises(ValueError, match=f"may not contain {character}"):
        ETag(opaque)


@pytest.mark.parametrize(
    ("one", "other", "strongly", "weakly"),
    [
        (ETag("1", weak=True), ETag("1", weak=True), False, True),
        (ETag("1", weak=True), ETag("2", weak=True), False, False),
        (ETag("1", weak=True), ETag("1"), False, True),
        (ETag("1"), ETag("1", weak=True), False, True),
        (ETag("1"), ETag("1"), True, True),
        (ETag("1"), ETag("2"), False, False),
    ],
)
def test_tags_are_compared_strongly_and_weakly(
    one: ETag, other: ETag, *, strongly: bool, weakly: bool
) -> None:
    """RFC 9110 8.8.3.2, whose table this is."""
    assert strongly == one.strongly_equals(other)
    assert weakly == one.weakly_equals(other)


@pytest.mark.parametrize(
    ("candidates", "tag", "strongly", "weakly"),
    [
        pytest.param((A,), A, True, True, id="the only one"),
        pytest.param((B, A), A, True, True, id="C5 one of the list"),
        pytest.param((B,), A, False, False, id="another"),
        pytest.param((WEAK_A,), A, False, True, id="C6 a weak copy"),
        pytest.param((A,), WEAK_A, False, True, id="C6 a weak original"),
        pytest.param((), A, False, False, id="C7 nothing well-formed"),
        pytest.param((A,), None, False, False, id="C8 nothing there to be named"),
    ],
)
def test_a_field_names_a_tag(
    candidates: tuple[ETag, ...], tag: ETag | None, *, strongly: bool, weakly: bool
) -> None:
    """RFC 9110 13.1.1 compares strongly for If-Match, 13.1.2 weakly for If-None-Match."""
    assert strongly == matches_strongly(iter(candidates), tag)
    assert weakly == matches_weakly(iter(candidates), tag)


@given(st.lists(etags, min_size=1))
def test_tags_survive_writing_and_reading(tags: list[ETag]) -> None:
    """RFC 9110 8.8.3: both directions know one grammar."""
    assert tuple(tags) == parse_etags(", ".join(map(str, tags)))


@given(st.one_of(st.text(), st.text('W/"*, \tab\\')))
def test_no_field_of_tags_raises(value: str) -> None:
    """Whatever a client writes, the answer is no longer than it."""
    assert len(value) >= len(parse_etags(value))


@pytest.mark.parametrize("shape", [",", '"', '"",', '"a"', "\\", "W/", 'W/"', " ", "*", "*,", '",'])
@pytest.mark.parametrize("start", ["", '"', "a"])
def test_a_hostile_field_of_tags_is_read(start: str, shape: str) -> None:
    """Reading is linear: a quote that is never closed ends the field."""
    value = start + shape * (100_000 // len(shape))

    assert value.count('"') // 2 >= len(parse_etags(value))


# Dates

MOMENT = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
NOW = datetime(2026, 3, 15, 12, 30, 30, 500, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun Nov 06 08:49:37 1994",
    ],
)
def test_all_three_forms_of_a_date_are_read(value: str) -> None:
    """C9. RFC 9110 5.6.7, whose examples these are; a day of asctime has two digits or a space."""
    moment = parse_http_date(value)

    assert MOMENT == moment
    assert moment.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "",
        "0",
        "Mon, 06 Nov 1994 08:49:37 GMT",  # it was a Sunday
        "Monday, 06-Nov-94 08:49:37 GMT",
        "Mon Nov  6 08:49:37 1994",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun,  6 Nov 1994 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 EST",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 06 Nov 1994 08:49:37 GMT; length=3",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT;",
        "Sun Nov  6 08:49:37 1994 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:60 GMT",
        "Sun, 06 Nov 1994 23:59:61 GMT",
        "Wed, 00 Nov 1994 08:49:37 GMT",
        "Thu, 31 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT",
        "Sat, 01 Jan 0000 00:00:00 GMT",
        "S\u00fcn, 06 Nov 1994 08:49:37 GMT",
        "Sun, 0\u0666 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date_is_none(value: str) -> None:
    """C9. RFC 9110 5.6.7, case-sensitive; 13.1.3 and 13.1.4 ignore a field that is no date."""
    assert parse_http_date(value, now=NOW) is None


def test_a_leap_second_counts_as_the_second_before_it() -> None:
    """RFC 9110 5.6.7 admits 23:59:60 alone."""
    assert datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC) == parse_http_date(
        "Sat, 31 Dec 2016 23:59:60 GMT"
    )


@pytest.mark.parametrize(
    ("value", "now", "year"),
    [
        pytest.param("Sunday, 15-Mar-26 12:30:30 GMT", NOW, 2026, id="now"),
        pytest.param("Wednesday, 01-Jan-70 00:00:00 GMT", NOW, 2070, id="less than 50 years ahead"),
        pytest.param("Sunday, 15-Mar-76 12:30:30 GMT", NOW, 2076, id="50 years ahead"),
        pytest.param("Monday, 15-Mar-76 12:30:31 GMT", NOW, 1976, id="a second more"),
        pytest.param("Saturday, 01-Jan-77 00:00:00 GMT", NOW, 1977, id="years more"),
        pytest.param("Friday, 31-Dec-99 23:59:59 GMT", NOW, 1999, id="the last century"),
        pytest.param("Tuesday, 29-Feb-00 00:00:00 GMT", NOW, 2000, id="a leap day"),
        pytest.param(
            "Wednesday, 01-Jan-10 00:00:00 GMT", NOW.replace(year=2080), 2110, id="the next century"
        ),
        pytest.param(
            "Monday, 15-Mar-76 12:30:30 GMT",
            datetime(2026, 3, 15, 12, 30, 30, tzinfo=timezone(timedelta(hours=1))),
            1976,
            id="now elsewhere",
        ),
    ],
)
def test_two_digits_of_a_year_are_at_most_50_years_ahead(
    value: str, now: datetime, year: int
) -> None:
    """RFC 9110 5.6.7: what looks further ahead is the most recent year with these digits."""
    assert year == parse_http_date(value, now=now).year


def test_the_clock_tells_what_two_digits_of_a_year_mean() -> None:
    """RFC 9110 5.6.7: without a `now` it is the present."""
    today = datetime.now(UTC).replace(microsecond=0)

    assert today == parse_http_date(f"{today:%A, %d-%b-%y %H:%M:%S} GMT")


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31)),  # noqa: DTZ001
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_a_date_survives_writing_and_reading(naive: datetime, zone: timezone) -> None:
    """RFC 9110 5.6.7: in whole seconds, wherever the moment was measured."""
    moment = naive.replace(tzinfo=UTC) if naive.year in (1900, 9999) else naive.replace(tzinfo=zone)

    assert moment.replace(microsecond=0) == parse_http_date(format_http_date(moment))


def test_a_date_is_written_in_the_preferred_form() -> None:
    """RFC 9110 5.6.7: IMF-fixdate, in GMT."""
    moment = MOMENT.replace(microsecond=999_999).astimezone(timezone(timedelta(hours=-5)))

    assert "Sun, 06 Nov 1994 08:49:37 GMT" == format_http_date(moment)


@given(st.one_of(st.text(), st.text("SunModay, 06-NvG:T19")))
def test_no_date_raises(value: str) -> None:
    """Whatever a client writes, the answer is a moment or None."""
    moment = parse_http_date(value)

    assert moment is None or moment.tzinfo is UTC


@pytest.mark.parametrize("shape", ["S", "Sun, ", " ", "0", "Sunday, 06-Nov-94 ", "GMT"])
def test_a_hostile_date_is_read(shape: str) -> None:
    """Reading is linear, and what is too long to be a date is not remembered."""
    assert parse_http_date(shape * 100_000) is None


@pytest.mark.parametrize(
    ("last_modified", "modified"),
    [
        pytest.param(MOMENT - timedelta(seconds=1), False, id="earlier"),
        pytest.param(MOMENT, False, id="the same"),
        pytest.param(MOMENT.replace(microsecond=999_999), False, id="C10 within the second"),
        pytest.param(MOMENT + timedelta(seconds=1), True, id="later"),
        pytest.param(MOMENT.astimezone(timezone(timedelta(hours=2))), False, id="the same, elsewhere"),
    ],
)  # fmt: skip
def test_dates_are_compared_in_whole_seconds(last_modified: datetime, *, modified: bool) -> None:
    """C10. RFC 9110 13.1.3 and 13.1.4: earlier or equal is unmodified; one negates the other."""
    assert modified == modified_since(last_modified, MOMENT)
    assert modified != not_modified_since(last_modified, MOMENT)


def test_a_date_without_a_time_zone_says_how_to_give_it_one() -> None:
    """A source that forgot the zone must not be answered with a guess (RFC 9110 8.8.2)."""
    naive = MOMENT.replace(tzinfo=None)

    for ask in (
        lambda: format_http_date(naive),
        lambda: not_modified_since(naive, MOMENT),
        lambda: modified_since(MOMENT, naive),
    ):
        with pytest.raises(ValueError, match="1994-11-06T08:49:37 has no time zone: give it one"):
            ask()
