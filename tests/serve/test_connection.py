"""Whole connections: whatever is sent on one, in whatever pieces, right or wrong."""

import os
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from support.grammar import Sent, conversation, pieces, wrong
from support.wire import Answer, Served, answers, echo, request
from support.wrong import WRONG

pytestmark = pytest.mark.slow

LIMITS = {"target": 500, "head": 2000, "content": 1000, "head_seconds": 10, "content_seconds": 10}
SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""For so long each property is tried again and again; 0: once, with more examples."""
OFTEN = settings(
    max_examples=50 if SECONDS else 200,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def tried(check: Callable[[Served], None], server: Served) -> None:
    """Try a property, and again until the time is over."""
    end = time.monotonic() + SECONDS
    check(server)
    while time.monotonic() < end:
        check(server)


@pytest.fixture(scope="module")
def server():
    """Ours, with small limits; alive at the end."""
    with echo(limits=LIMITS) as served:
        yield served
        assert [200] == [each.status for each in served.ask(request("/echo/end"))]


def check(requests: list[Sent], found: list[Answer]) -> None:
    """Every request has its answer, in order; a wrong one the last."""
    assert len(requests) == len(found), [each.status for each in found]
    for number, (sent, answer) in enumerate(zip(requests, found, strict=True)):
        assert answer.status in sent.statuses, (sent, answer)
        assert answer.ends == sent.ends, (sent, answer)
        assert answer.fields["date"]
        assert answer.fields.get("content-length"), (sent, answer)
        if sent.id:
            assert sent.id == answer.fields["x-request-id"], f"the answer to another than {number}"
        if sent.said:
            assert sent.said == answer.json
        if answer.status >= 400 and sent.method != "HEAD":
            assert "application/problem+json" == answer.fields["content-type"]


def seen(found: list[Answer]) -> list[tuple[object, ...]]:
    """What of the answers is the same each time: of refusals not the words, which hold an id."""
    return [(each.status, each.ends, each.status < 400 and each.content) for each in found]


def test_a_connection_is_answered_request_by_request_up_to_the_first_wrong_one(
    server: Served,
) -> None:
    """As many answers as requests, in their order, the wrong one's the last; and the same however the
    bytes were cut.
    """
    tried(answered, server)


@given(conversation(), st.data())
@OFTEN
def answered(server: Served, conversation: tuple[list[Sent], bytes], data: st.DataObject) -> None:
    requests, tail = conversation
    whole = b"".join(each.data for each in requests) + tail
    methods = [each.method for each in requests]
    note(repr(whole))
    received = server.raw(whole)
    note(repr(received))
    found = answers(received, methods)
    check(requests, found)
    parts = data.draw(pieces(whole))
    note(repr(parts))
    again = server.raw(*parts, pause=0.001)
    note(repr(again))
    assert seen(found) == seen(answers(again, methods))


@pytest.mark.parametrize("cut", ["whole", "byte by byte", "with more behind it"])
def test_what_is_wrong_is_refused_and_nothing_behind_it_is_read(server: Served, cut: str) -> None:
    """Every way of smuggling that is known: one answer, 4xx or 5xx, and the end."""
    for name in WRONG:
        sent = wrong(name)
        data = request("/echo/before") + sent.data
        more = request("/echo/smuggled") * 2
        if cut == "with more behind it":
            data += more
        parts = [data] if cut != "byte by byte" else [bytes([each]) for each in data[:400]]
        if cut == "byte by byte" and len(data) > 400:
            parts += [data[400:]]
        found = answers(server.raw(*parts))
        assert 2 == len(found), (name, found)
        assert "before" == found[0].json["name"]
        assert found[1].status in sent.statuses, (name, found[1])
        assert found[1].ends, name


def test_bytes_that_were_damaged_on_their_way_are_answered_or_refused(server: Served) -> None:
    """Any bytes changed, left out or doubled: answers that are whole, no 500, and the end; the same
    however the bytes were cut.
    """
    tried(damaged, server)


@given(st.lists(st.sampled_from(sorted(WRONG)), min_size=1, max_size=2), st.data())
@OFTEN
def damaged(server: Served, names: list[str], data: st.DataObject) -> None:
    requests, _ = data.draw(conversation())
    whole = bytearray(b"".join(each.data for each in (*requests, *map(wrong, names))))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        new = data.draw(
            st.sampled_from([*(bytes([n]) for n in b"\r\n\0\t :;,/0aZ\xff\x7f"), b"\r\n", b""])
        )
        whole[at : at + data.draw(st.integers(0, 3))] = new
    note(repr(bytes(whole)))
    received = server.raw(bytes(whole))
    note(repr(received))
    statuses = _statuses(received)
    assert not {500, 502, 503} & set(statuses), statuses
    again = server.raw(*data.draw(pieces(bytes(whole))), pause=0.001)
    note(repr(again))
    assert statuses == _statuses(again)


def _statuses(received: bytes) -> list[int]:
    """Of what may hold answers to HEAD, which cannot be told from here."""
    found = re.findall(rb"HTTP/1\.1 (\d{3}) ", received)
    return [int(each) for each in found if each != b"100"]
