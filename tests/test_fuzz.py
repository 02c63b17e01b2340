"""Whatever a client writes is read or refused, in time that grows with its length and no faster."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fuzz import PATIENCE, TARGETS, Target, fuzz, hostile


def texts(target: Target) -> st.SearchStrategy[str]:
    """Of the target's fragments, and of anything that Latin-1 has."""
    part = st.sampled_from(target.fragments) | st.text(st.characters(max_codepoint=255), max_size=3)
    return st.lists(part, max_size=12).map("".join)


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_no_text_does_more_than_be_refused(name, data):
    """Each target says what else has to hold."""
    TARGETS[name].check(data.draw(texts(TARGETS[name])))


@pytest.mark.no_cover
@pytest.mark.slow
@pytest.mark.parametrize("name", TARGETS)
def test_a_hostile_text_takes_no_longer_than_its_length_explains(name):
    """100 kB of the same few fragments: some milliseconds each, and never seconds."""
    chance = random.Random(name)
    for _ in range(40):
        text = hostile(TARGETS[name], chance)
        begun = time.monotonic()
        TARGETS[name].check(text)
        assert time.monotonic() - begun < PATIENCE, text[:200]


def test_the_fuzzer_finds_what_is_wrong_and_shortens_it(monkeypatch):
    """Else it would be of no use that it finds nothing."""

    def check(text):
        assert "b" not in text or "y" not in text[text.index("b") :]

    monkeypatch.setitem(TARGETS, "planted", Target(check, ("aaa", "abc", "xyz")))
    _, _, found = fuzz("planted", 30, 1)
    assert found[0].startswith("planted: 'by'\n")
