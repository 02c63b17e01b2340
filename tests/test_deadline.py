"""How much time a request has left."""

import asyncio
from contextvars import copy_context

import pytest

from ogrom import deadline


def test_without_a_deadline_only_the_callers_own_limit_counts():
    """Outside a request nothing ends."""

    def ask():
        deadline.set(seconds=None)
        return deadline.left(), deadline.left(2)

    assert copy_context().run(ask) == (None, 2)


def test_what_is_left_never_passes_the_deadline_and_never_falls_below_zero():
    """The smaller of the two limits."""

    def ask(seconds: float):
        deadline.set(seconds=seconds)
        return deadline.left(5)

    assert copy_context().run(ask, 60) == 5
    assert copy_context().run(ask, 1) == pytest.approx(1, abs=0.5)
    assert copy_context().run(ask, -1) == 0


async def test_a_task_has_the_deadline_of_its_maker():
    """And may have a shorter one of its own, which its maker does not see."""
    deadline.set(seconds=100)

    async def inner() -> float | None:
        seen = deadline.left()
        deadline.set(seconds=1)
        return seen

    assert (await asyncio.create_task(inner())) > 90
    assert deadline.left() > 90


def test_in_a_block_there_is_less_time_and_never_more():
    """After it, all is as before."""

    def ask():
        deadline.set(seconds=10)
        with deadline.within(1):
            less = deadline.left()
            with deadline.within(60):
                same = deadline.left()
            with deadline.within(None):
                none = deadline.left()
        return less, same, none, deadline.left()

    less, same, none, after = copy_context().run(ask)
    assert max(less, same, none) <= 1
    assert 1 < after <= 10
