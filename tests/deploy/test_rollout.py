"""The rollout in memory: its table, every crash, fencing, and what is made of bad releases."""

import asyncio
import random

import pytest

from ogrom.deploy import Counts, Fenced, LeaseHeld
from ogrom.deploy import _history as history
from ogrom.deploy import _journal as journal
from ogrom.deploy._deploying import Deployer, place
from ogrom.deploy._judge import judge, settled
from ogrom.deploy._rollout import ENDS, ROLLOUT, Request, Settings, plan
from ogrom.deploy.testing import BOUNDS, Behaviour, FakeTarget, release

OLD, NEW = release("old0001"), release("new0002")
SETTINGS = Settings(start_seconds=5, back_seconds=2)
WARM = (Request("/v1/products"), Request("/v1/basket", "POST"))


class Crash(BaseException):
    """As kill -9: nothing of the deployer runs any more."""


def deployer(target: FakeTarget, home, **more) -> Deployer:
    return Deployer(target, home, SETTINGS, clock=target.clock, **more)


async def with_old(home, **behaviours: Behaviour) -> FakeTarget:
    target = FakeTarget(behaviours)
    outcome = await deployer(target, home).deploy(OLD, WARM)
    assert "live" == outcome.result
    target.acts.clear()
    return target


def serves(target: FakeTarget) -> str:
    [live] = [each for each in target.environments.values() if each.share == 100]
    assert live.release is not None
    assert live.healthy
    return live.release.commit


def test_the_table_leads_from_every_step_to_an_end():
    """Every row's edges name a row or an end, and no way on success walks in circles."""
    for row in ROLLOUT.values():
        assert {row.works, row.fails} <= {*ROLLOUT, *ENDS}
    for name in ROLLOUT:
        seen = []
        while name in ROLLOUT:
            assert name not in seen
            seen.append(name)
            name = ROLLOUT[name].works


async def test_a_deploy_takes_the_whole_path(tmp_path):
    """Start, check, warm, each weight with its watch, drain, retire; and nothing failed."""
    target = await with_old(tmp_path)
    outcome = await deployer(target, tmp_path).deploy(NEW, WARM)

    assert "live" == outcome.result
    assert "new0002" == serves(target)
    assert outcome.entry is not None
    assert [
        "start", "check", "warm", "shift 5", "watch 5", "shift 25", "watch 25", "shift 100", "watch 100",
        "drain", "retire",
    ] == list(outcome.entry.steps)  # fmt: skip
    assert outcome.entry.requests > 300
    assert "new0002 is live; 0 of" in outcome.message
    assert target.environments["blue"].healthy == 2, "kept for a rollback"


async def test_the_plan_that_is_printed_is_the_one_that_runs(tmp_path):
    """It is the very value that the journal begins with."""
    target = await with_old(tmp_path)
    printed = await deployer(target, tmp_path).plan(NEW, WARM)
    assert [] == target.acts
    await deployer(target, tmp_path).deploy(NEW, WARM)
    newest = max(place(tmp_path, "production").rollouts.iterdir())
    record = journal.read(newest)
    assert record is not None
    assert printed == record.first.plan


async def test_a_deploy_of_what_serves_does_nothing(tmp_path):
    """It says so, and its exit status is 0."""
    target = await with_old(tmp_path)
    outcome = await deployer(target, tmp_path).deploy(OLD)
    assert ("already", 0) == (outcome.result, outcome.status)
    assert [] == target.acts


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(starts=False), "check: instance 1: exit status 1"),
        (Behaviour(ready_after=None), 'GET /-/ready answered 500 for 5 s: "no such column"'),
        (Behaviour(intact=False), "start: the artifact of new0002 is corrupt"),
        (Behaviour(errors=1), "warm: GET /v1/products was answered 500 by instance 1"),
        (Behaviour(errors=0.05), "it failed"),
        (Behaviour(seconds=0.06), "it is slower"),
    ],
)
async def test_a_bad_release_is_undone(tmp_path, behaviour, said):
    """The old one still serves, the new one is gone, and the message says why."""
    target = await with_old(tmp_path, new0002=behaviour)
    outcome = await deployer(target, tmp_path).deploy(NEW, WARM)
    assert ("unchanged", 1) == (outcome.result, outcome.status)
    assert outcome.entry is not None
    assert said in outcome.entry.reason
    assert "Nothing changed: blue (old0001) still serves" in outcome.message
    assert "old0001" == serves(target)
    assert target.environments["green"].release is None
    assert outcome.entry.failed == outcome.entry.failed_by_new
    assert journal.unfinished(place(tmp_path, "production").rollouts) is None


async def test_only_safe_requests_warm(tmp_path):
    """A declared POST is never sent."""
    target = await with_old(tmp_path)
    asked = []
    ask = target.ask

    async def recorded(name, method, path, fields):
        asked.append(method)
        return await ask(name, method, path, fields)

    target.ask = recorded  # type: ignore[method-assign]
    await deployer(target, tmp_path).deploy(NEW, WARM)
    assert {"GET"} == set(asked)


async def test_a_rollback_goes_to_what_was_kept(tmp_path):
    """It starts nothing, shifts at once, and is not undone by a second rollback."""
    target = await with_old(tmp_path)
    await deployer(target, tmp_path).deploy(NEW, WARM)
    target.acts.clear()
    outcome = await deployer(target, tmp_path).rollback(WARM)
    assert "live" == outcome.result
    assert ["shift blue=100 green=0"] == target.acts
    assert "old0001" == serves(target)
    assert "nothing" == (await deployer(target, tmp_path).rollback()).result


async def test_a_rollback_starts_what_is_gone(tmp_path):
    """Where the old environment has ended, its release is started first."""
    target = await with_old(tmp_path)
    await deployer(target, tmp_path).deploy(NEW, WARM)
    await target.stop("blue", token=10**6)
    await deployer(target, tmp_path).rollback(WARM)
    assert "start blue old0001" in target.acts
    assert "old0001" == serves(target)


LINES = 2 * 11 + 2


@pytest.mark.parametrize("asked", ["the same", "another", "resume"])
@pytest.mark.parametrize("after", [False, True], ids=["before the line", "after the line"])
@pytest.mark.parametrize("number", range(LINES))
async def test_killed_at_any_line_of_the_journal(tmp_path, monkeypatch, number, after, asked):
    """A release serves at every moment, the next call ends or undoes it, and nothing is stuck."""
    target = await with_old(tmp_path)
    written = 0
    append = journal.append

    def dying(file, content):
        nonlocal written
        written += 1
        if written == number + 1 and not after:
            raise Crash
        append(file, content)
        if written == number + 1:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(journal, "append", dying)
        with pytest.raises(Crash):
            await deployer(target, tmp_path).deploy(NEW, WARM)
    target.expire()
    assert 100 == sum(each.share for each in target.environments.values())
    assert all(each.healthy for each in target.environments.values() if each.share)

    if asked == "resume":
        outcome = await deployer(target, tmp_path).resume()
        assert outcome.result in {"live", "nothing"}
        assert serves(target) in {"old0001", "new0002"}
    else:
        wanted = NEW if asked == "the same" else release("third03")
        outcome = await deployer(target, tmp_path).deploy(wanted, WARM)
        assert outcome.result in {"live", "already"}
        assert wanted.commit == serves(target)
    assert journal.unfinished(place(tmp_path, "production").rollouts) is None


async def test_a_deployer_that_was_overtaken_touches_nothing(tmp_path):
    """Its lease ran out while it slept; the other one undoes its work, and it stops at once."""
    target = await with_old(tmp_path)
    first = deployer(target, tmp_path)
    sleep, overtaken = target.sleep, False

    async def slept(seconds):
        nonlocal overtaken
        await sleep(seconds)
        if target.environments["green"].share == 5 and not overtaken:
            overtaken = True
            target.expire()
            await deployer(target, tmp_path).resume()
            target.acts.clear()

    first._clock = type(target.clock)(target.clock.now, slept)
    with pytest.raises(Fenced):
        await first.deploy(NEW, WARM)
    assert [] == target.acts
    assert "old0001" == serves(target)


async def test_the_second_deploy_is_refused_by_the_name_of_the_first(tmp_path):
    """The message says who is at work."""
    target = await with_old(tmp_path)
    async with target.lease("anna@host, pid 12, deploy 9f3c2e1"):
        with pytest.raises(LeaseHeld, match="anna@host"):
            await deployer(target, tmp_path).deploy(NEW)


@pytest.mark.parametrize(("share", "ends"), [(0, "unchanged"), (25, "unchanged")])
async def test_a_deployer_that_is_asked_to_stop_goes_back(tmp_path, share, ends):
    """In an orderly way, from wherever it is."""
    target = await with_old(tmp_path)
    one = deployer(target, tmp_path)

    async def slept(seconds):
        await target.sleep(seconds)
        if target.environments["green"].share == share and target.environments["green"].instances:
            one.stop.set()
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    one._clock = type(target.clock)(target.clock.now, slept)
    outcome = await one.deploy(NEW, WARM)
    assert ends == outcome.result
    assert outcome.entry is not None
    assert "interrupted" in outcome.entry.reason
    assert "old0001" == serves(target)


async def test_a_lost_target_is_stuck_until_it_is_back(tmp_path):
    """The message says what to do, and `resume` does it."""
    target = await with_old(tmp_path)
    one = deployer(target, tmp_path)

    async def slept(seconds):
        await target.sleep(seconds)
        target.lost = target.lost or target.environments["green"].share == 25

    one._clock = type(target.clock)(target.clock.now, slept)
    outcome = await one.deploy(NEW, WARM)
    assert ("stuck", 3) == (outcome.result, outcome.status)
    assert "ogrom resume" in outcome.message
    target.lost = False
    assert "nothing" == (await deployer(target, tmp_path).resume()).result
    assert "old0001" == serves(target)


def traffic(rng, requests, errors, factor):
    buckets = [0] * (len(BOUNDS) + 1)
    for _ in range(requests):
        taken = 0.02 * factor * rng.lognormvariate(0, 0.4)
        buckets[next((at for at, each in enumerate(BOUNDS) if taken <= each), len(BOUNDS))] += 1
    return Counts(requests, sum(rng.random() < errors for _ in range(requests)), tuple(buckets))


def condemned(seed, errors, factor, base=0.0):
    """How often a release is found bad, of 300, looked at after every 30 of 450 requests."""
    rng = random.Random(seed)
    bad = 0
    for _ in range(300):
        old, new = traffic(rng, 600, base, 1), Counts(buckets=(0,) * (len(BOUNDS) + 1))
        for _ in range(15):
            more = traffic(rng, 30, errors, factor)
            sums = tuple(a + b for a, b in zip(new.buckets, more.buckets, strict=True))
            new = Counts(new.requests + 30, new.errors + more.errors, sums)
            if judge(old, new, BOUNDS).says == "bad":
                bad += 1
                break
    return bad / 300


def test_the_judge_is_fair():
    """An equal release is hardly ever condemned, one with 5 % errors or three times slower is."""
    assert condemned(1, 0, 1) <= 0.01
    assert condemned(2, 0.02, 1, base=0.02) <= 0.03
    assert condemned(3, 0.05, 1) >= 0.97
    assert condemned(4, 0, 3) >= 0.99


def test_one_unlucky_error_condemns_nobody():
    """Not even of few requests, nor when time is up."""
    old = traffic(random.Random(5), 600, 0, 1)
    few = traffic(random.Random(6), 10, 0, 1)
    verdict = judge(old, Counts(10, 1, few.buckets), BOUNDS)
    assert ("unsure", "good") == (verdict.says, verdict.leans)


def test_instances_are_warm_when_their_tail_settles():
    """Not while it still falls, nor before there were three windows."""
    assert not settled([1 / (n + 1) for n in range(60)], window=20)
    assert not settled([0.01] * 59, window=20)
    assert settled([0.9] + [0.01] * 59, window=20)


def test_a_rollback_never_goes_to_what_was_rolled_back_from(tmp_path):
    """From A, B, C and back to B, the next is A."""
    path = tmp_path / "history.jsonl"
    a, b, c = map(release, "abc")
    for at, (kind, to) in enumerate([("deploy", a), ("deploy", b), ("deploy", c), ("rollback", b)]):
        history.write(
            path,
            history.Entry(
                id=str(at),
                kind=kind,
                result="live",
                who="anna",
                host="h",
                at=journal.now(),
                seconds=1,
                release=to,
                environment="blue",
            ),
        )
    with path.open("a") as file:
        file.write('{"torn')
    assert a == history.before(history.read(path))


def test_a_first_deploy_has_a_shorter_plan():
    """No canary, nothing to compare with, nothing to go back to."""
    planned = plan(asyncio.run(FakeTarget().observe()), NEW, Settings())
    assert planned is not None
    assert ["start", "check", "warm", "shift 100", "discard"] == [each.id for each in planned.steps]
