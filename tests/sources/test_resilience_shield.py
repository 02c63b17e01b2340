"""Each protection by itself, and all of them around one source, with a clock that is set by hand."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ogrom import deadline
from ogrom.sources.resilience import (
    Breaker,
    Bulkhead,
    Busy,
    Cache,
    Circuit,
    CircuitOpen,
    Misuse,
    Pass,
    Retry,
    Shield,
    TimedOut,
    Unavailable,
)  # fmt: skip
from ogrom.sources.testing import Clock, Script

DOWN = Unavailable("gone")


@given(st.lists(st.tuples(st.sampled_from(["ok", "bad", "none"]), st.floats(0, 5)), max_size=60))
def test_an_open_circuit_lets_nothing_through_before_its_rest_is_over(steps):
    """And half-open, one call at most."""
    circuit = Circuit(Breaker(least=3, ratio=0.5, window=10, rest=2))
    now, opened_at = 0.0, None
    for how, later in steps:
        now += later
        given_pass = circuit.admit(now)
        if not isinstance(given_pass, Pass):
            assert opened_at is not None
            assert now < opened_at + 2 + 1e-6
            continue
        if circuit.state == "half-open":
            assert not isinstance(circuit.admit(now), Pass)
        before = circuit.opened
        circuit.report(given_pass, now, ok={"ok": True, "bad": False, "none": None}[how])
        if circuit.opened > before:
            opened_at = now


def test_what_was_let_through_earlier_does_not_count_later():
    """Rule 4."""
    circuit = Circuit(Breaker(least=1, rest=2))
    late, early = circuit.admit(0), circuit.admit(0)
    circuit.report(early, 0, ok=False)
    assert "open" == circuit.state
    probe = circuit.admit(2)
    circuit.report(late, 2, ok=True)
    assert "half-open" == circuit.state
    circuit.report(probe, 2, ok=True)
    assert "closed" == circuit.state


async def test_a_thousand_equal_calls_are_one():
    """And one caller's cancellation leaves the others alone."""
    ask = Script(["hello"], held=True)
    call = Shield("s").protect(ask)
    tasks = [asyncio.create_task(call("x")) for _ in range(1000)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    ask.let_go()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert 1 == len(ask.calls)
    assert 999 == answers.count("hello")


async def test_an_error_is_shared_and_the_last_to_leave_ends_the_call():
    """Nobody waits: it is cancelled."""
    ask = Script([DOWN], held=True)
    call = Shield("s").protect(ask)
    tasks = [asyncio.create_task(call()) for _ in range(3)]
    await asyncio.sleep(0)
    ask.let_go()
    assert 3 == sum(
        isinstance(e, Unavailable) for e in await asyncio.gather(*tasks, return_exceptions=True)
    )
    ask.hold()
    alone = asyncio.create_task(call())
    await asyncio.sleep(0.01)
    alone.cancel()
    await asyncio.gather(alone, return_exceptions=True)
    await asyncio.sleep(0)
    assert 1 == ask.cancelled


async def test_only_what_may_be_repeated_is_and_within_the_budget():
    """A tenth more load, and what was saved up."""
    flaky = Script([DOWN, "well"])
    shield = Shield("s", retry=Retry(wait=0.001))
    assert "well" == await shield.protect(flaky)()
    write = Script([DOWN, "well"])
    with pytest.raises(Unavailable):
        await shield.protect(write, repeatable=False)()
    dead = Script([DOWN])
    call = Shield("s", retry=Retry(wait=0.0, burst=2)).protect(dead)
    for number in range(50):
        with pytest.raises(Unavailable):
            await call(number)
    assert 50 < len(dead.calls) <= 50 + 50 * 0.1 + 2
    wrong = Script([Misuse("no")])
    with pytest.raises(Misuse):
        await shield.protect(wrong)()
    assert 1 == len(wrong.calls)


async def test_a_stale_answer_is_given_while_a_new_one_is_fetched_and_while_the_source_is_down():
    """RFC 5861, with the age known."""
    clock, ask = Clock(), Script([1, 2, DOWN])
    call = Shield("s", clock=clock).protect(
        ask, cache=Cache(fresh=10, while_revalidate=10, on_error=100)
    )
    assert 1 == await call()
    clock.pass_(15)
    kept = await call.aged()
    assert (1, 15, True) == (kept.value, kept.age, kept.stale)
    await asyncio.sleep(0.01)
    assert 2 == await call()
    clock.pass_(50)
    kept = await call.aged()
    assert (2, 50, True) == (kept.value, kept.age, kept.stale)
    clock.pass_(100)
    with pytest.raises(Unavailable):
        await call()


async def test_a_cache_holds_so_many_and_absence_only_shortly():
    """The least recently used go first."""
    clock, ask = Clock(), Script([None, 1])
    call = Shield("s", clock=clock).protect(ask, cache=Cache(fresh=10, absent=1, entries=2))
    assert await call("a") is None
    clock.pass_(2)
    assert 1 == await call("a")
    await call("b")
    await call("c")
    before = len(ask.calls)
    await call("a")
    assert before + 1 == len(ask.calls)


async def test_the_breaker_opens_is_told_and_closes_again():
    """Health, and the probe."""
    clock, ask = Clock(), Script([DOWN, DOWN, "well"])
    shield = Shield("s", clock=clock, breaker=Breaker(least=2, rest=2))
    call = shield.protect(ask)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await call()
    with pytest.raises(CircuitOpen) as refused:
        await call()
    assert refused.value.retry_after == 2
    with pytest.raises(CircuitOpen, match="gone"):
        await shield.check()
    clock.pass_(2)
    assert "well" == await call()
    assert "closed" in await shield.check()
    assert {each.name for each in shield.metrics()} >= {"ogrom_source_breaker_state"}


async def test_a_full_bulkhead_refuses():
    """So many at once, so many waiting."""
    ask = Script([1], held=True)
    call = Shield("s", bulkhead=Bulkhead(calls=1, queue=1)).protect(ask, share=False)
    tasks = [asyncio.create_task(call()) for _ in range(3)]
    await asyncio.sleep(0.01)
    ask.let_go()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert (2, 1) == (done.count(1), sum(isinstance(each, Busy) for each in done))


async def test_no_call_outlives_the_deadline():
    """Whoever has less time leaves earlier; it says nothing of the source."""
    ask = Script([1], held=True)
    deadline.set(seconds=0.02)
    with pytest.raises(TimedOut) as late:
        await Shield("s", timeout=5).protect(ask)()
    assert late.value.early
    deadline.set(seconds=None)
    with pytest.raises(TimedOut) as slow:
        await Shield("s", timeout=0.01).protect(ask, share=False)()
    assert not slow.value.early


async def test_a_source_is_made_ready_beside_the_service():
    """Until it is, nothing is asked of it, and it is told why; then all is as always."""
    work = Script([DOWN, DOWN, "made"])
    shield = Shield("s")
    ask = Script(["well"])
    call = shield.protect(ask)
    assert not await shield.prepare(work)
    with pytest.raises(Unavailable, match="not ready yet: Unavailable: gone") as refused:
        await call()
    assert refused.value.retry_after
    with pytest.raises(Unavailable, match="not ready yet"):
        await shield.check()
    assert 0 == up(shield)
    assert [] == ask.calls
    async with asyncio.timeout(30):
        while not up(shield):
            await asyncio.sleep(0.01)
    assert 3 == len(work.calls)
    assert "well" == await call()
    await shield.close()


async def test_what_refuses_is_not_tried_again():
    """At the start it is an error, as no waiting mends it."""
    work = Script([Misuse("another schema")])
    with pytest.raises(Misuse, match="another schema"):
        await Shield("s").prepare(work)
    assert 1 == len(work.calls)


async def test_closing_ends_what_goes_on_beside():
    """Neither preparing nor watching outlives it."""
    shield = Shield("s")
    await shield.prepare(Script([DOWN]))
    shield.watch(Script([1]), 0.01)
    await shield.close()
    assert {asyncio.current_task()} == asyncio.all_tasks()


async def test_it_is_known_how_a_source_is_that_nobody_asks():
    """It is asked for its own sake: when it goes, and when it is back."""
    ask = Script([DOWN, DOWN, DOWN, DOWN, "well"])
    shield = Shield("s", breaker=Breaker(least=3, rest=0.02))
    shield.watch(ask, 0.005)
    async with asyncio.timeout(30):
        while up(shield):
            await asyncio.sleep(0.002)
        with pytest.raises(Unavailable, match="gone"):
            await shield.check()
        while not up(shield):
            await asyncio.sleep(0.002)
    assert "closed" in await shield.check()
    await shield.close()


async def test_who_asks_anyway_spares_the_watch():
    """It asks only where nobody else does."""
    watched, asked = Script([1]), Script([1])
    shield = Shield("s")
    call = shield.protect(asked, share=False)
    shield.watch(watched, 3600)
    await call()
    await asyncio.sleep(0.01)
    assert [] == watched.calls
    await shield.close()


async def test_some_failures_one_upon_the_other_are_told_before_the_breaker_opens():
    """One alone is not."""
    ask = Script([DOWN, "well", DOWN, DOWN, DOWN])
    shield = Shield("s", breaker=Breaker(least=100))
    call = shield.protect(ask)
    for well in (True, True, True, True, False):
        with suppress(Unavailable):
            await call()
        assert well == bool(up(shield))


async def test_what_others_keep_busy_is_well():
    """Unless it is said that being busy counts."""
    for counts in (True, False):
        shield = Shield("s", breaker=Breaker(least=2), counts_busy=counts)
        call = shield.protect(Script([Busy("a row is taken")]))
        for _ in range(4):
            with pytest.raises(Unavailable):
                await call()
        assert counts == (shield.circuit.state == "open")


async def test_an_answer_kept_without_sharing():
    """Nobody joins a call that began before; what was kept is given where the source fails."""
    ask = Script([1], held=True)
    call = Shield("s").protect(ask, cache=Cache(fresh=0, on_error=100), share=False)
    tasks = [asyncio.create_task(call()) for _ in range(3)]
    await asyncio.sleep(0.01)
    ask.let_go()
    assert [1, 1, 1] == await asyncio.gather(*tasks)
    assert 3 == len(ask.calls)
    down = Script([1, DOWN])
    call = Shield("s").protect(down, cache=Cache(fresh=0, on_error=100), share=False)
    assert [1, 1] == [await call(), await call()]
    assert 2 == len(down.calls)


async def test_the_source_knows_how_long_it_has():
    """The attempt's own time-out is its deadline; a source that ends by it had all of its time."""
    left: list[float] = []

    async def ask() -> None:
        left.append(deadline.left() or 0)
        raise TimedOut("mine", early=True)

    deadline.set(seconds=None)
    with pytest.raises(TimedOut) as late:
        await Shield("s", timeout=5).protect(ask, share=False)()
    assert not late.value.early
    with deadline.within(1), pytest.raises(TimedOut) as late:
        await Shield("s", timeout=5).protect(ask, share=False)()
    assert late.value.early
    assert 1 < left[0] <= 5
    assert left[1] <= 1
    assert deadline.left() is None


def up(shield: Shield) -> float:
    """What is told to whoever watches."""
    return next(
        each.samples[0].value for each in shield.metrics() if each.name == "ogrom_source_up"
    )
