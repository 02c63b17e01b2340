"""The local target with real HAProxy, real instances, and real load from another process."""

import asyncio
import os
import signal
import socket
import time

import pytest
from support.load import Load
from support.server import free_port
from support.up import release, running

from ogrom.deploy import ArtifactError, Fenced, TargetError
from ogrom.deploy.local._process import marked

pytestmark = pytest.mark.slow

MIXED = ["GET /fast", "GET /fast", "POST /echo {}", "GET /fast", "GET /slow?0.3"]
READS = ["GET /fast", "GET /fast", "GET /slow?0.2"]


@pytest.fixture
def up(tmp_path):
    with running(tmp_path / "t" / "production", free_port()) as made:
        yield made


async def test_a_release_goes_live_and_another_takes_over_under_load(up):
    """Shares are shifted by weights; the old one drains, is ended, and nobody notices."""
    await up.live("blue", release("aaaaaaa"))
    with Load(up.port, MIXED) as load:
        await up.target.start("green", release("bbbbbbb"), 2, token=2)
        await up.until(lambda seen: seen.environments["green"].healthy == 2)
        await up.target.shift({"blue": 75, "green": 25}, token=2)
        await asyncio.sleep(1)
        await up.target.shift({"green": 100}, token=2)
        seen = await up.until(lambda seen: seen.environments["blue"].in_flight == 0)
        assert "green" == seen.live.name
        await up.target.stop("blue", token=2)
        before = time.time()
        await asyncio.sleep(1)
    assert not load.result.failed, load.result.first_failures
    assert {"aaaaaaa", "bbbbbbb"} == set(load.result.by_release)
    late = [each["releases"] for each in load.result.by_second if each["at"] > before]
    assert all(set(each) <= {"bbbbbbb"} for each in late)
    seen = await up.target.observe()
    assert seen.total.requests >= load.result.sent
    assert 0 == seen.total.errors
    assert sum(seen.total.buckets) > 0.98 * seen.total.requests
    assert seen.environments["blue"].release is None


@pytest.mark.parametrize("share", [5, 25])
async def test_shares_hold(up, share):
    """For any number of instances on either side."""
    await up.live("blue", release("aaaaaaa"), 3)
    await up.target.start("green", release("bbbbbbb"), 1, token=2)
    await up.until(lambda seen: seen.environments["green"].healthy == 1)
    await up.target.shift({"blue": 100 - share, "green": share}, token=2)
    with Load(up.port, ["GET /fast"], pause=0.001) as load:
        await asyncio.sleep(3)
    found = load.result.by_release
    assert share == pytest.approx(100 * found["bbbbbbb"] / sum(found.values()), abs=1.5)


async def test_ogrom_up_is_killed_under_load_and_finds_all_again(up):
    """Traffic goes on without it; nothing is started twice."""
    await up.live("blue", release("aaaaaaa"))
    before = await up.target.observe()
    with Load(up.port, MIXED) as load:
        await asyncio.sleep(0.5)
        up.kill()
        await asyncio.sleep(1)
        up.start()
        after = await up.until(lambda seen: seen.environments["blue"].healthy == 2)
        await asyncio.sleep(1)
    assert not load.result.failed, load.result.first_failures
    pids = [each.pid for each in before.environments["blue"].instances]
    assert pids == [each.pid for each in after.environments["blue"].instances]
    seen = await up.target.observe()
    assert load.result.sent <= seen.total.requests <= load.result.sent + 5
    victim = seen.environments["blue"].instances[0].pid
    os.kill(victim, signal.SIGKILL)
    await up.until(
        lambda seen: (
            seen.environments["blue"].healthy == 2
            and seen.environments["blue"].instances[0].pid != victim
        )
    )


async def test_haproxy_is_killed_and_comes_back_as_it_was(up):
    """With the same shares, and from then on nothing is lost; counts do not go back."""
    await up.live("blue", release("aaaaaaa"))
    await up.target.start("green", release("bbbbbbb"), 1, token=2)
    await up.until(lambda seen: seen.environments["green"].healthy == 1)
    await up.target.shift({"blue": 75, "green": 25}, token=2)
    with Load(up.port, ["GET /fast"], pause=0.001) as load:
        await asyncio.sleep(1.2)
        counted = (await up.target.observe()).total.requests
        mark = f"{up.folder}/haproxy"
        (pid,) = marked(mark)[mark]
        os.kill(pid, signal.SIGKILL)
        seen = await up.until(lambda _: pid not in marked(mark).get(mark, [pid]))
        assert seen.total.requests >= counted
        counted = seen.total.requests
        await up.until(lambda seen: seen.total.requests > counted)  # the new one answers
        back = time.time()
        await up.until(lambda seen: seen.total.requests > counted + 1000)
        await asyncio.sleep(1)
    late = [each for each in load.result.by_second if each["at"] >= back]
    assert late
    assert not sum(each["failed"] for each in late), load.result.first_failures
    total = sum(sum(each["releases"].values()) for each in late)
    new = sum(each["releases"].get("bbbbbbb", 0) for each in late)
    assert 25 == pytest.approx(100 * new / total, abs=2)


async def test_an_instance_is_killed_under_load(up):
    """What may be repeated is; the instance is started again."""
    await up.live("blue", release("aaaaaaa"))
    with Load(up.port, READS) as load:
        for _ in range(3):
            seen = await up.until(lambda seen: seen.environments["blue"].healthy == 2)
            victim = seen.environments["blue"].instances[0].pid
            os.kill(victim, signal.SIGKILL)
            await up.until(
                lambda seen, victim=victim: (
                    seen.environments["blue"].instances[0].pid not in {victim, None}
                )
            )
        await up.until(lambda seen: seen.environments["blue"].healthy == 2)
    assert not load.result.failed, load.result.first_failures
    seen = await up.target.observe()
    assert 3 == seen.environments["blue"].instances[0].restarts


async def test_the_only_instance_is_killed(up):
    """Until it has been started again, clients are told to try again; nothing else is lost, but what
    it was working at on a kept connection, which ends then (RFC 9112, section 9.3.1).
    """
    await up.live("blue", release("aaaaaaa"), 1)
    with Load(up.port, ["GET /fast"], pause=0.02) as load:
        seen = await up.target.observe()
        os.kill(seen.environments["blue"].instances[0].pid, signal.SIGKILL)
        await up.until(
            lambda seen: (
                seen.environments["blue"].healthy == 1
                and seen.environments["blue"].instances[0].restarts == 1
            )
        )
        back = time.time()
        await asyncio.sleep(2.5)
    late = load.result.between(back + 1, back + 10)
    assert late
    assert not sum(each["failed"] for each in late), load.result.first_failures
    others = [each for each in load.result.by_failure if not each.startswith("503")]
    # What was under way on kept connections, four of them: they end, so it may be asked again.
    assert others in ([], ["reuse: IncompleteReadError"]), load.result.by_failure
    assert sum(map(load.result.by_failure.get, others)) <= 4


async def test_scaling_under_load(up):
    """1 to 4 to 1: nothing is lost."""
    await up.live("blue", release("aaaaaaa"), 1)
    with Load(up.port, MIXED) as load:
        await up.target.scale(4, 4)
        await up.until(lambda seen: seen.environments["blue"].healthy == 4)
        await asyncio.sleep(1)
        await up.target.scale(1, 1)
        await up.until(lambda seen: len(seen.environments["blue"].instances) == 1)
        await asyncio.sleep(0.5)
    assert not load.result.failed, load.result.first_failures


async def test_instances_are_added_when_they_are_too_busy(up):
    """16 requests in flight are too many for one instance: there are 3 soon, and nothing is lost."""
    await up.live("blue", release("aaaaaaa"), 1)
    with Load(up.port, ["GET /slow?0.4"], keep=14, new=2) as load:
        seen = await up.until(lambda seen: seen.environments["blue"].healthy >= 3)
        assert seen.maximum >= len(seen.environments["blue"].instances)
    assert not load.result.failed, load.result.first_failures
    assert "blue: 1 to " in up.said()


async def test_other_bounds_hold_from_the_next_start(up):
    """Those of `ogrom scale` hold over a start, until others are declared."""
    await up.live("blue", release("aaaaaaa"), 1)
    await up.target.scale(2, 3)
    up.kill()
    up.start()
    seen = await up.until(lambda seen: seen.environments["blue"].healthy == 2)
    assert (2, 3) == (seen.minimum, seen.maximum)
    up.kill()
    up.maximum = 1
    up.start()
    seen = await up.until(lambda seen: len(seen.environments["blue"].instances) == 1)
    assert (1, 1) == (seen.minimum, seen.maximum)


async def test_a_slow_answer_is_waited_for(up):
    """An instance with a request is not ended."""
    await up.live("blue", release("aaaaaaa"), 1)
    await up.target.start("green", release("bbbbbbb"), 1, token=1)
    await up.until(lambda seen: seen.environments["green"].healthy == 1)
    with Load(up.port, ["GET /slow?2"], keep=2, new=1) as load:
        await up.until(lambda seen: seen.environments["blue"].in_flight == 3)
        await up.target.shift({"green": 100}, token=1)
        await up.target.stop("blue", token=1)
    assert not load.result.failed, load.result.first_failures
    assert "ended in order" in await up.target.tail("blue", 10)


@pytest.mark.parametrize(
    ("kind", "state", "said"),
    [
        ("dies", "stopped", "exit status 3: ImportError: no module named prices"),
        ("unhealthy", "starting", "answered 503: no such column: price_minor"),
        ("hangs", "starting", "no answer in 3 s"),
    ],
)
async def test_a_bad_release_is_seen(up, kind, state, said):
    """What its health check or its end said is there to read; it gets no traffic."""
    await up.target.start("blue", release("aaaaaaa", kind), 1, token=1)
    seen = await up.until(
        lambda seen: any(said in each.detail for each in seen.environments["blue"].instances)
    )
    assert state == seen.environments["blue"].instances[0].state
    with pytest.raises(TargetError, match="no healthy instance"):
        await up.target.shift({"blue": 100}, token=1)
    assert f"starting aaaaaaa {kind}" in await up.target.tail("blue", 10)


async def test_what_is_refused(up):
    """Each with what to do."""
    await up.live("blue", release("aaaaaaa"), 1, token=3)
    with pytest.raises(Fenced, match="another deployer has taken over"):
        await up.target.start("green", release("bbbbbbb"), 1, token=2)
    with pytest.raises(ArtifactError, match="missing"):
        await up.target.start("green", release("bbbbbbb", "none"), 1, token=3)
    with pytest.raises(TargetError, match="has 100 % of the traffic"):
        await up.target.stop("blue", token=3)
    with pytest.raises(TargetError, match="add up to 100"):
        await up.target.shift({"blue": 50}, token=3)
    with pytest.raises(TargetError, match="1 to 16"):
        await up.target.scale(0, 3)
    answers = await up.target.ask("blue", "GET", "/500", {})
    assert [(1, 500, "wrong")] == [(each.instance, each.status, each.detail) for each in answers]


async def test_down_ends_all_and_up_starts_it_as_it_was(up):
    """The release that was live is again, without a deploy."""
    await up.live("blue", release("aaaaaaa"), 2)
    assert 0 == up.stop()
    assert not marked(f"{up.folder}/")
    up.start()
    seen = await up.until(lambda seen: seen.environments["blue"].healthy == 2)
    assert 100 == seen.live.share


async def test_a_port_that_is_taken_is_told_in_haproxys_words(up, tmp_path):
    """And a second `ogrom up` of the same target is refused."""
    await up.target.observe()
    again = type(up)(up.folder, free_port())
    again.start()
    assert again.process.wait(timeout=90)
    assert "runs already (pid" in up.said()
    other = tmp_path / "o" / "staging"
    other.mkdir(parents=True)
    taken = type(up)(other, up.port)
    taken.start()
    assert taken.process.wait(timeout=90)
    assert "cannot bind socket" in taken.said()


async def test_nothing_is_left_where_the_port_is_taken(up):
    """What was live is started again before it is known; it must not outlive `ogrom up`."""
    await up.live("blue", release("aaaaaaa"), 2)
    assert 0 == up.stop()
    with socket.create_server(("127.0.0.1", up.port)):
        up.start()
        assert up.process.wait(timeout=60)
    assert "choose another: ogrom up --listen" in up.said()
    assert "Unclosed" not in up.said()
    assert not marked(f"{up.folder}/")


async def test_what_counts_as_an_error(up):
    """Answers of 500, and answers that break off; of the environment and in total."""
    await up.live("blue", release("aaaaaaa"), 1)
    with Load(up.port, ["GET /500", "GET /cut", "GET /fast"], keep=1, new=0) as load:
        await asyncio.sleep(1)
    result = load.result
    seen = await up.until(lambda seen: seen.total.requests >= result.sent)
    assert result.failed == seen.total.errors
    assert result.failed == seen.environments["blue"].counts.errors
