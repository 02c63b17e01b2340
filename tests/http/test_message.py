"""Responses: header fields taken apart and written, and what cannot be sent."""

import pytest

from ogrom.http import Head, Response

FIELDS = (("Content-Type", "text/plain"), ("Vary", "Accept, Origin"), ("Link", "<a: b>; c"))
BLOCK = b"Content-Type: text/plain\r\nVary: Accept, Origin\r\nLink: <a: b>; c\r\n"


def test_written_fields_are_the_same_as_those_taken_apart() -> None:
    """Whichever way a response carries them, a reader sees names and values."""
    written = Response(status=200, headers=Head(BLOCK))
    apart = Response(status=200, headers=FIELDS)
    assert written == apart == written
    assert tuple(written.headers) == FIELDS
    assert (len(written.headers), written.headers[1]) == (3, ("Vary", "Accept, Origin"))
    assert hash(written.headers) == hash(FIELDS)
    assert written != Response(status=200, headers=Head(b""))
    assert Response(status=204).headers == Head(b"")


def test_a_server_gets_the_fields_as_bytes() -> None:
    """Without status line and empty line; written once, or as they are needed."""
    assert Response(status=200, headers=Head(BLOCK)).head == BLOCK
    assert Response(status=200, headers=FIELDS).head == BLOCK
    assert Response(status=200, headers=(("A", "ü"),)).head == b"A: \xfc\r\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("A", "b\r\nSet-Cookie: c"),
        ("A", "b\nc"),
        ("A", "\0"),
        ("A:", "b"),
        ("", "b"),
        ("A", "\u20ac"),
    ],
)
def test_what_would_begin_another_field_is_never_written(name: str, value: str) -> None:
    """RFC 9110, section 5.5; RFC 9112, section 11.1."""
    with pytest.raises(ValueError, match=r"latin-1|cannot be sent"):
        Response(status=200, headers=((name, value),)).head  # noqa: B018
