"""What `ogrom.http._negotiate` promises. A case named N3 and the like is a known way to fail."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogrom.http._negotiate import (
    _NAMED,
    LONGEST_REMEMBERED,
    MOST_MEMBERS,
    Choice,
    MediaType,
    _media_type,
    _members,
    _ranges,
    _weights,
    choose_charset,
    choose_encoding,
    choose_language,
    choose_media_type,
    content_type,
)

TCHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
tokens = st.text(TCHARS, min_size=1, max_size=8)
values = st.text(
    st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=8
)
media_types = st.builds(
    MediaType,
    tokens.filter(lambda token: token != "*"),
    tokens.filter(lambda token: token != "*"),
    st.dictionaries(tokens.filter(lambda token: token != "q"), values, max_size=3).map(
        lambda parameters: tuple(parameters.items())
    ),
)
offers = st.lists(media_types, min_size=1, max_size=4, unique=True).map(tuple)
qvalues = st.sampled_from(["", ";q=0", ";q=0.2", "; Q=0.5", " ;q=0.999", ";q=1.000"])

HTML, LEVEL_1, JSON, PLAIN = (
    MediaType.parse(text)
    for text in ("text/html", "text/html;level=1", "application/json", "text/plain")
)


def types(*texts: str) -> tuple[MediaType, ...]:
    return tuple(MediaType.parse(text) for text in texts)


# Media types as values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("application/json", MediaType("application", "json")),
        ("\t Text/HTML ", MediaType("text", "html")),
        ("text/html;Level=1", MediaType("text", "html", (("level", "1"),))),
        ("text/html ; a=B;;c=D; ", MediaType("text", "html", (("a", "B"), ("c", "D")))),
        ('a/b;c=""', MediaType("a", "b", (("c", ""),))),
        (r'a/b;c="x, y; \"z\\"', MediaType("a", "b", (("c", 'x, y; "z\\'),))),
        ('a/b;c="\xfc\t"', MediaType("a", "b", (("c", "\xfc\t"),))),
        ("application/vnd.api+json", MediaType("application", "vnd.api+json")),
    ],
)
def test_a_media_type_is_read_as_it_is_defined(text: str, expected: MediaType) -> None:
    """RFC 9110 8.3.1 and 5.6.6: names in any case, optional space around `;`, quoted strings."""
    assert expected == MediaType.parse(text)
    assert expected == content_type(text)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not begin with type/subtype"),
        ("text", "'text' does not begin with type/subtype"),
        ("text/", "does not begin with type/subtype"),
        ("/html", "does not begin with type/subtype"),
        ("te xt/html", "does not begin with type/subtype"),
        ("x" * 99, "'xxx.*[.][.][.]' does not begin"),
        ("text/html, text/plain", "', text/plain' is no parameter"),
        ("text/html/x", "'/x' is no parameter"),
        ("text/html;level", "the parameter level has no value"),
        ("text/html;level=", "the parameter level has no value"),
        ("text/html;level =1", "without spaces around"),
        ("text/html;level= 1", "without spaces around"),
        ('text/html;level="1', "the parameter level has no value"),
        ('text/html;level="1\\', "the parameter level has no value"),
        ('text/html;level="\x00"', "the parameter level has no value"),
        ("text/html;charset=\u0142", "the parameter charset has no value"),
        ("text/html;level=1\u0142", "'\u0142' is no parameter"),
        ("text/html;a=1;A=1", "the parameter a is given twice"),
        ("*/*", "[*]/[*] is a range"),
        ("text/*", "text/[*] is a range"),
    ],
)
def test_what_is_no_media_type_is_refused_with_the_reason(text: str, complaint: str) -> None:
    """RFC 9110 8.3.1. N6, N18: a range is what a client asks for, nobody can send it."""
    with pytest.raises(ValueError, match=complaint):
        MediaType.parse(text)
    assert content_type(text) is None


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        (("Text", "html"), "'Text' is no lower-case token"),
        (("text", "h tml"), "'h tml' is no lower-case token"),
        (("text", "html", (("Level", "1"),)), "'Level' is no lower-case token"),
        (("text", "html", (("level", "1\r\nSet-Cookie: x"),)), "cannot be quoted"),
        (("text", "html", (("level", "\u0142"),)), "cannot be quoted"),
    ],
)
def test_no_media_type_can_be_made_that_could_not_be_sent(
    parts: tuple[str, str], complaint: str
) -> None:
    """RFC 9110 5.6.2 and 5.6.4: in a field value there is no line break, nor most of Unicode."""
    with pytest.raises(ValueError, match=complaint):
        MediaType(*parts)


def test_a_media_type_is_written_canonically() -> None:
    """RFC 9110 5.6.6: a value that is no token is quoted, quotes and backslashes are escaped."""
    assert r'text/html;a=b;c="d \"e\\";f=""' == str(
        MediaType.parse(r'Text/HTML ; A=b; C="d \"e\\" ; f=""')
    )


@given(media_types)
def test_a_media_type_survives_writing_and_reading(media_type: MediaType) -> None:
    """RFC 9110 8.3.1: both directions know one grammar."""
    assert media_type == MediaType.parse(str(media_type)) == content_type(str(media_type))
    assert hash(media_type) == hash(MediaType.parse(str(media_type)))


def test_a_long_content_type_is_read_but_not_remembered() -> None:
    """A client cannot fill the memory with what it sends."""
    value = "x" * LONGEST_REMEMBERED
    assert value == content_type(f'a/b;c="{value}"').parameters[0][1]


# Accept


SPECIFICITY = "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5"


@pytest.mark.parametrize(
    ("accept", "offered", "index", "scores"),
    [
        pytest.param(None, (HTML, JSON), 0, (1, 1), id="no field, no preference"),
        pytest.param("*/*", (HTML, JSON), 0, (1, 1), id="anything"),
        pytest.param("*/*;q=0", (HTML, JSON), None, (0, 0), id="nothing"),
        pytest.param("application/json", (HTML, JSON), 1, (0, 1), id="one of two"),
        pytest.param("image/png", (HTML, JSON), None, (0, 0), id="none of two"),
        pytest.param("text/*", (JSON, HTML), 1, (0, 1), id="a range"),
        pytest.param("text/html;q=0.5, application/json", (HTML, JSON), 1, (0.5, 1), id="weights"),
        pytest.param(
            "application/json;q=0.001, text/html;q=0.002", (JSON, HTML), 1, (0.001, 0.002), id="thousandths"
        ),
        pytest.param("text/html;q=0", (HTML,), None, (0,), id="N1 q=0 refuses"),
        pytest.param("text/html;q=0, */*", (HTML, JSON), 1, (0, 1), id="N1 q=0 beats a wildcard"),
        pytest.param("text/*;q=0.5, text/html;q=0.3", (HTML, PLAIN), 1, (0.3, 0.5), id="N2 specific first"),
        pytest.param("text/html, application/json", (JSON, HTML), 0, (1, 1), id="N2 ties: the server's order"),
        pytest.param("TEXT/HTML", (HTML,), 0, (1,), id="N3 any case"),
        pytest.param("text/html;LEVEL=1", (HTML, LEVEL_1), 1, (0, 1), id="N4 parameters select"),
        pytest.param("text/html", (LEVEL_1,), 0, (1,), id="N4 a range without them matches all"),
        pytest.param("text/html;level=2", (HTML, LEVEL_1), None, (0, 0), id="N4 other value"),
        pytest.param("text/html;level=1;level=2", (LEVEL_1,), None, (0,), id="N4 all must match"),
        pytest.param(
            "text/html;Q=0.5, application/json;q=0.7", (HTML, JSON), 1, (0.5, 0.7), id="N4 Q"
        ),
        pytest.param(
            'text/html;level="1, application/json;q=1", text/plain;q=0.5',
            (JSON, HTML, PLAIN), 2, (0, 0, 0.5), id="N4 quoted comma",
        ),
        pytest.param(
            'a/b;c="\\",x/y"', types("x/y", r'a/b;c="\",x/y"'), 1, (0, 1), id="N4 quoted quote"
        ),
        pytest.param('text/html;level="1"', (LEVEL_1,), 0, (1,), id="N4 quoting says nothing"),
        pytest.param('text/html;level="\\1"', (LEVEL_1,), 0, (1,), id="N4 escaping says nothing"),
        pytest.param(
            "text/html;charset=UTF-8", types("text/html;charset=utf-8"), 0, (1,), id="N4 charset"
        ),
        pytest.param("a/b;c=D", types("a/b;c=d"), None, (0,), id="N4 other values are exact"),
        pytest.param("text/html;q=0.5;level=1", (HTML,), None, (0,), id="N4 after the weight"),
        pytest.param("text/html;q=0.5;level=1", (LEVEL_1,), 0, (0.5,), id="N4 the same, offered"),
        pytest.param("text/html;q=0.5;q=0", (HTML,), 0, (1,), id="N4 two weights are malformed"),
        pytest.param("text/html;charset=UTF-8", (HTML,), 0, (1,), id="N4 UTF-8 goes without saying"),
        pytest.param("text", (JSON, HTML), 0, (1, 1), id="N5 no subtype"),
        pytest.param("*", (JSON, HTML), 0, (1, 1), id="N5 lone star"),
        pytest.param("*/html", (JSON, HTML), None, (0, 0), id="N5 no type is called *"),
        pytest.param("text, text/html", (JSON, HTML), 1, (0, 1), id="N5 malformed among others"),
        pytest.param("text/html;level, application/json", (HTML, JSON), 1, (0, 1), id="N5 no value"),
        pytest.param('text/html, application/json;x="', (JSON, HTML), 1, (0, 1), id="N5 open quote"),
        pytest.param('text/html, a/b;x="\\', (JSON, HTML), 1, (0, 1), id="N5 open escape"),
        pytest.param("", (JSON, HTML), 0, (1, 1), id="N10 empty"),
        pytest.param(" , ,\t,", (JSON, HTML), 0, (1, 1), id="N10 empty members"),
        pytest.param(",,text/html,,", (JSON, HTML), 1, (0, 1), id="N10 empty members among others"),
        *(
            pytest.param(f"text/html;q={q}, application/json;q=0.1", (HTML, JSON), 1, (0, 0.1), id=f"N11 q={q}")
            for q in ("1.1", "1.001", "2", "-1", "0.1234", "1.0000", ".5", "00.5", "x", '"1"', "0.5x", "\u0661")
        ),
        pytest.param("text/html;q=, application/json;q=0.1", (HTML, JSON), 1, (0, 0.1), id="N11 q="),
        pytest.param("text/html;q, application/json;q=0.1", (HTML, JSON), 1, (0, 0.1), id="N11 q"),
        pytest.param("text/html;q=0., application/json;q=1.", (HTML, JSON), 1, (0, 1), id="N11 bare dots"),
        pytest.param("text/html;q=0.2, text/html;q=0.4", (HTML,), 0, (0.4,), id="given twice"),
        pytest.param(
            SPECIFICITY, types("text/html", "text/plain", "text/plain;format=flowed",
            "text/plain;format=fixed", "image/jpeg"), 2, (0.3, 0.7, 1, 0.4, 0.5), id="12.5.1's example",
        ),
        pytest.param("*/*", (), None, (), id="N7 nothing offered, nothing to choose"),
    ],
)  # fmt: skip
def test_accept(
    accept: str | None,
    offered: tuple[MediaType, ...],
    index: int | None,
    scores: tuple[float, ...],
) -> None:
    """RFC 9110 12.5.1 and 12.4.2."""
    choice = choose_media_type(accept, list(offered))

    assert (index, scores) == (choice.index, choice.scores)


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        (
            choose_media_type("*/*;q=0.1, Text/HTML;q=0.80", (HTML,)),
            "text/html;q=0.8 is the most specific range that matches (RFC 9110 12.5.1)",
        ),
        (
            choose_media_type('text/html;q=1.0;x="y', (HTML,)),
            "Accept has no well-formed member: the first offered (RFC 9110 12.5.1)",
        ),
        (
            choose_media_type(None, (HTML,)),
            "there is no Accept: the first offered (RFC 9110 12.5.1)",
        ),
        (
            choose_media_type("image/png", (HTML,)),
            "no offered type is matched by a range above q=0 (RFC 9110 12.5.1)",
        ),
        (choose_language("de-AT", ("de",)), "de-at finds de (RFC 4647 3.4)"),
        (choose_language("*;q=0.5", ("de",)), "*;q=0.5 finds de (RFC 4647 3.4)"),
        (
            choose_language("fr", ("de",)),
            "no offered language is asked for: the field is disregarded (RFC 9110 12.5.4)",
        ),
        (
            choose_language("de;q=0", ("de",)),
            "every offered language is refused by q=0 (RFC 9110 12.4.2)",
        ),
        (
            choose_charset("utf-8;q=0.9", ("UTF-8",)),
            "UTF-8;q=0.9 is the greatest weight (RFC 9110 12.5.2)",
        ),
        (choose_encoding("gzip", ("gzip",)), "gzip is the greatest weight (RFC 9110 12.5.3)"),
        (
            choose_encoding("", ("gzip",)),
            "Accept-Encoding names no coding (RFC 9110 12.5.3)",
        ),
        (
            choose_encoding("*;q=0", ("gzip",)),
            "identity is refused and no coding fits (RFC 9110 12.5.3)",
        ),
    ],
)
def test_every_choice_says_why(choice: Choice, why: str) -> None:
    """A trace can be read by whoever has the RFC at hand."""
    assert why == choice.why


# Accept-Language

SHOP = ("de-DE", "fr-FR", "nl-NL", "en-GB")


@pytest.mark.parametrize(
    ("header", "offered", "index", "scores"),
    [
        pytest.param(None, SHOP, 0, (1, 1, 1, 1), id="no field, no preference"),
        pytest.param("fr-FR", SHOP, 1, (0, 1, 0, 0), id="exact"),
        pytest.param("FR-fr", SHOP, 1, (0, 1, 0, 0), id="N9 any case"),
        pytest.param("fr", SHOP, 1, (0, 1, 0, 0), id="a range begins a tag"),
        pytest.param("f", SHOP, 0, (0, 0, 0, 0), id="a range ends where a subtag does"),
        pytest.param("fr-CA", SHOP, 1, (0, 1, 0, 0), id="cut, then begins a tag"),
        pytest.param("de-AT", ("en", "de"), 1, (0, 1), id="cut, then equals a tag"),
        pytest.param("de-AT", ("de-DE", "de"), 1, (1, 1), id="equal before beginning"),
        pytest.param("de-AT", ("de-DE", "de-CH"), 0, (1, 1), id="begins two: the server's order"),
        pytest.param("zh-Hant-CN", ("zh", "zh-Hant"), 1, (1, 1), id="cut no more than needed"),
        pytest.param("zh-x-private", ("zh-x-other", "zh"), 1, (1, 1), id="single letters are cut along"),
        pytest.param("zh-x-private", ("zh-x-private", "zh"), 0, (1, 1), id="uncut with a single letter"),
        pytest.param("i-klingon", ("i-navajo", "en"), 0, (0, 0), id="nothing is left of it"),
        pytest.param("en;q=0.8, fr;q=0.9", SHOP, 1, (0, 0.9, 0, 0.8), id="weights"),
        pytest.param("en, fr", SHOP, 3, (0, 1, 0, 1), id="N12 ties: the client's order"),
        pytest.param("de-AT, de;q=0.9, en;q=0.8", ("en", "de"), 1, (0.8, 1), id="a browser"),
        pytest.param("de-AT, en;q=0.9", ("en", "de"), 1, (0.9, 1), id="cut before the next is tried"),
        pytest.param("en, en-US;q=0.3", ("en-US", "en-GB"), 1, (0.3, 1), id="left to the longer range"),
        pytest.param("en, fr;q=0.5, en-US;q=0.1", ("en-US", "fr"), 1, (0.1, 0.5), id="left to it, later"),
        pytest.param("*", SHOP, 0, (1, 1, 1, 1), id="N8 anything"),
        pytest.param("en;q=0.5, *;q=0.7", ("en", "fr"), 1, (0.5, 0.7), id="N8 the others by weight"),
        pytest.param("*, fr", ("de", "fr"), 1, (1, 1), id="N8 anything else after what has a name"),
        pytest.param("pl", SHOP, 0, (0, 0, 0, 0), id="N15 disregarded"),
        pytest.param("", SHOP, 0, (1, 1, 1, 1), id="N10 empty"),
        pytest.param("de_DE, en-*, -fr, toolonglanguage, \u0434\u0435", ("en", "de"), 0, (1, 1), id="malformed"),
        pytest.param("fr;q=5, en;q=0.2, de;level=1", ("fr", "en"), 1, (0, 0.2), id="N11 malformed weight"),
        pytest.param("fr;q=0", ("fr", "en"), 1, (0, 0), id="N16 refused, so another"),
        pytest.param("fr;q=0, pl", ("fr-FR", "en"), 1, (0, 0), id="N16 refused by a beginning"),
        pytest.param("fr;q=0, *", ("fr-FR", "en"), 1, (0, 1), id="N16 * is not for what is refused"),
        pytest.param("fr-FR, fr;q=0", ("fr-CA", "fr-FR"), 1, (0, 1), id="N16 longest beginning decides"),
        pytest.param("fr-CA, fr;q=0", ("fr", "en"), 1, (0, 0), id="N16 cutting finds nothing refused"),
        pytest.param("fr, fr-CA;q=0", ("fr-CA", "fr-FR"), 1, (0, 1), id="N16 the next that is begun"),
        pytest.param("fr;q=0, fr;q=0.5", ("fr",), 0, (0.5,), id="given twice"),
        pytest.param("fr;q=0, en;q=0", ("fr", "en-GB"), None, (0, 0), id="N16 all refused"),
        pytest.param("*;q=0", SHOP, None, (0, 0, 0, 0), id="N16 all refused at once"),
        pytest.param("pl, *;q=0", SHOP, None, (0, 0, 0, 0), id="N16 all but one refused"),
        pytest.param("en-US, *;q=0", SHOP, 3, (0, 0, 0, 1), id="N16 * is not for what is found"),
        pytest.param("en", (), None, (), id="nothing offered, nothing to choose"),
    ],
)  # fmt: skip
def test_accept_language(
    header: str | None, offered: tuple[str, ...], index: int | None, scores: tuple[float, ...]
) -> None:
    """RFC 9110 12.5.4 with the lookup of RFC 4647 3.4."""
    choice = choose_language(header, list(offered))

    assert (index, scores) == (choice.index, choice.scores)


# Accept-Charset


@pytest.mark.parametrize(
    ("header", "offered", "index", "scores"),
    [
        pytest.param(None, ("utf-8", "utf-16"), 0, (1, 1), id="no field, no preference"),
        pytest.param("UTF-16", ("utf-8", "utf-16"), 1, (0, 1), id="any case"),
        pytest.param("utf-16, utf-8", ("utf-8", "utf-16"), 0, (1, 1), id="N12 ties: the server's order"),
        pytest.param("utf-8;q=0.5, *;q=0.7", ("utf-8", "utf-16"), 1, (0.5, 0.7), id="anything else"),
        pytest.param("koi8-r", ("utf-8",), 0, (0,), id="N13 disregarded"),
        pytest.param("utf-8;q=0.5", ("iso-8859-1", "utf-8"), 1, (0, 0.5), id="N14 no implicit weight"),
        pytest.param("", ("utf-8",), 0, (1,), id="N10 empty"),
        pytest.param("utf-8;q=0", ("utf-8", "utf-16"), 1, (0, 0), id="refused, so another"),
        pytest.param("utf-8;q=0, *;q=0", ("utf-8", "utf-16"), None, (0, 0), id="all refused"),
        pytest.param("utf-8", (), None, (), id="nothing offered, nothing to choose"),
    ],
)  # fmt: skip
def test_accept_charset(
    header: str | None, offered: tuple[str, ...], index: int | None, scores: tuple[float, ...]
) -> None:
    """RFC 9110 12.5.2."""
    choice = choose_charset(header, list(offered))

    assert (index, scores) == (choice.index, choice.scores)


# Accept-Encoding


@pytest.mark.parametrize(
    ("header", "offered", "index", "scores"),
    [
        pytest.param(None, ("br", "gzip"), 2, (1, 1, 1), id="no field: identity"),
        pytest.param("", ("br", "gzip"), 2, (0, 0, 1), id="N10 empty: identity only"),
        pytest.param(", ,", ("br",), 1, (0, 1), id="N10 empty members: identity only"),
        pytest.param('gzip;level="1"', ("gzip",), 1, (0, 1), id="malformed: identity"),
        pytest.param("gzip", ("br", "gzip"), 1, (0, 1, 0.001), id="one of two"),
        pytest.param("GZip", ("gzip",), 0, (1, 0.001), id="N9 any case"),
        pytest.param("gzip, br", ("br", "gzip"), 0, (1, 1, 0.001), id="N12 ties: the server's order"),
        pytest.param("gzip, br;q=0.9", ("br", "gzip"), 1, (0.9, 1, 0.001), id="weights"),
        pytest.param("gzip;q=0.001", ("gzip",), 0, (0.001, 0.001), id="however little"),
        pytest.param("*", ("br", "gzip"), 0, (1, 1, 1), id="anything"),
        pytest.param("gzip, identity", ("gzip",), 0, (1, 1), id="a real coding before identity"),
        pytest.param("gzip, identity", ("identity", "gzip"), 1, (1, 1), id="whatever the order"),
        pytest.param("gzip;q=0.5, identity", ("gzip",), 1, (0.5, 1), id="identity by weight"),
        pytest.param("gzip;q=0.5", ("Identity", "gzip"), 1, (0.001, 0.5), id="identity offered"),
        pytest.param("zstd", ("br", "gzip"), 2, (0, 0, 0.001), id="unknown: identity"),
        pytest.param("gzip;q=0", ("gzip",), 1, (0, 0.001), id="refused: identity"),
        pytest.param("x-gzip", ("gzip",), 0, (1, 0.001), id="x-gzip is gzip"),
        pytest.param("gzip", ("x-gzip",), 0, (1, 0.001), id="gzip is x-gzip"),
        pytest.param("x-compress;q=0.2", ("compress",), 0, (0.2, 0.001), id="x-compress is compress"),
        pytest.param("identity;q=0", ("gzip",), None, (0, 0), id="identity refused"),
        pytest.param("*;q=0", ("gzip",), None, (0, 0), id="all refused"),
        pytest.param("*;q=0, identity", ("gzip",), 1, (0, 1), id="all but identity refused"),
        pytest.param("*;q=0, gzip", ("gzip", "br"), 0, (1, 0, 0), id="all but gzip refused"),
        pytest.param("identity;q=0, *", ("gzip",), 0, (1, 0), id="anything but identity"),
        pytest.param("gzip", (), 0, (0.001,), id="nothing offered but identity"),
    ],
)  # fmt: skip
def test_accept_encoding(
    header: str | None, offered: tuple[str, ...], index: int | None, scores: tuple[float, ...]
) -> None:
    """RFC 9110 12.5.3: the last score, unless it is offered, is identity's."""
    choice = choose_encoding(header, list(offered))

    assert (index, scores) == (choice.index, choice.scores)


# Properties


@given(offers, st.integers(0, 3))
def test_an_offered_type_that_is_asked_for_alone_is_chosen(
    offered: tuple[MediaType, ...], at: int
) -> None:
    """RFC 9110 12.5.1: a range matches the type that it names, or one with more parameters."""
    wanted = offered[at % len(offered)]

    choice = choose_media_type(str(wanted), offered)

    chosen = offered[choice.index]
    assert (wanted.type, wanted.subtype) == (chosen.type, chosen.subtype)
    assert {(name, value.lower()) for name, value in wanted.parameters} <= {
        (name, value.lower()) for name, value in chosen.parameters
    }
    assert 1 == choice.scores[offered.index(wanted)]


members = st.builds(
    "{}{}".format,
    st.sampled_from(
        ["*/*", "text/*", "TEXT/*", "text/html", "text/html;level=1", 'text/html;level="1"',
         "text/html;level=1;a=b", "text/html;a=b", "application/json", "text", 'a/b;c=","']
    ),
    qvalues,
)  # fmt: skip


@given(st.lists(members, max_size=8), st.randoms(use_true_random=False))
def test_the_order_within_accept_says_nothing(
    written: list[str], randomness: random.Random
) -> None:
    """RFC 9110 12.5.1: weight and specificity decide, so a shuffled field has the same outcome."""
    offered = types("application/json", "text/html", "text/html;level=1;a=b", "text/plain")
    shuffled = list(written)
    randomness.shuffle(shuffled)

    assert choose_media_type(", ".join(written), offered) == choose_media_type(
        ",".join(shuffled), offered
    )


grammatical = st.text('*/;,="\\ \tabqQ01.-', max_size=60)


@given(st.one_of(st.text(), grammatical), st.lists(st.text(), max_size=3))
def test_no_field_raises_and_every_choice_is_one_of_the_offered(
    header: str, offered: list[str]
) -> None:
    """Whatever a client writes, the answer is a choice and its score."""
    chosen = (
        (choose_media_type(header, (HTML, JSON)), 2),
        (choose_language(header, offered), len(offered)),
        (choose_charset(header, offered), len(offered)),
        (
            choose_encoding(header, offered),
            len(offered) + ("identity" not in (each.lower() for each in offered)),
        ),
    )
    for choice, count in chosen:
        assert count == len(choice.scores)
        assert all(0 <= score <= 1 for score in choice.scores)
        assert choice.index is None or 0 <= choice.index < count
    assert content_type(header) is None or isinstance(content_type(header), MediaType)


# Hostile fields

LONG = 100_000
HOSTILE = [
    ",", '"', ";", "\\", "*", "=", " ", "a", "a-", "a/b", "a/b,", "a/b;", "a/b;x=1", ";x=1", "a;q=0,",
    '"",', '"\\', '\\"', 'a/b;x=",', " ;", "\t,", "x-", ";q=0.5", "*/*;",
]  # fmt: skip


@pytest.mark.parametrize("shape", HOSTILE)
@pytest.mark.parametrize("start", ["", "a/b", 'a/b;x="', "a", "a/b;q=0.1"])
def test_a_hostile_field_is_answered(start: str, shape: str) -> None:
    """Reading is linear and looks at no more members than it says."""
    header = start + shape * (LONG // len(shape))

    assert MOST_MEMBERS >= len(_members(header))
    assert MOST_MEMBERS >= len(_ranges(header))
    assert MOST_MEMBERS >= len(_weights(header, _NAMED))
    for choice in (
        choose_media_type(header, (HTML, JSON)),
        choose_language(header, SHOP),
        choose_charset(header, ("utf-8",)),
        choose_encoding(header, ("gzip",)),
    ):
        assert 120 >= len(choice.why)
    content_type(header)


@pytest.mark.parametrize("quoted", ["", ';x=","'], ids=["plain", "quoted"])
def test_members_past_the_cap_are_not_read(quoted: str) -> None:
    """RFC 9110 5.6.1.2: a reasonable number of members, empty ones among them."""
    last, late = "," * (MOST_MEMBERS - 2), "," * (MOST_MEMBERS - 1)

    assert 1 == choose_media_type(f"a/b{quoted}{last},text/html", (JSON, HTML)).index
    assert 0 == choose_media_type(f"{last}{last},text/html,{quoted}", (JSON, HTML)).index
    assert choose_media_type(f"a/b{quoted},{late}text/html", (JSON, HTML)).index is None


def test_short_fields_are_remembered_and_long_ones_are_not() -> None:
    """Most requests carry one of few fields; nobody can fill the memory with the rest."""
    short = "text/html".ljust(LONGEST_REMEMBERED)
    before = _media_type.cache_info().currsize

    assert choose_media_type(short, (HTML,)) is choose_media_type(short, (HTML,))
    assert choose_media_type(f"{short} ", (HTML,)) is not choose_media_type(f"{short} ", (HTML,))
    assert before + 1 >= _media_type.cache_info().currsize
