"""What is done to the shop's sources, and what must hold whatever is done: see `check`."""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from databases import product
from faults.traffic import KEPT, NEEDS, RATE, Acked, Answer, Traffic, traffic
from faults.world import SECRET, World

from ogrom.sources.sql import connect

DEADLINE = 10.0
"""Seconds in which the shop answers, whatever happens."""

SLACK = 3.0
"""… and what a busy machine may add."""

RECOVERY = 30.0
"""Seconds after which all must be well again; what it really takes is in the table."""

TOLD = 30.0
"""Seconds within which `/-/ready` must tell what is away; what it really takes is far less."""

GROWTH = 200.0
"""Megabytes by which the shop may grow in all faults together."""

Pause = Callable[[], Awaitable[None]]
"""Waits while something is broken: see `do`."""


@dataclass(frozen=True)
class Fault:
    """One of them.

    Args:
        name: what is done.
        dead: the sources that are away, as `/-/ready` calls them.
        full: for how many seconds.
        short: for how many in `make test`; None where it takes long whatever is said.
    """

    name: str
    dead: frozenset[str]
    run: Callable[[World, Pause], Awaitable[None]] = field(repr=False)
    full: float = 10.0
    short: float | None = 4.0

    @property
    def told(self) -> frozenset[str]:
        """What `/-/ready` must tell."""
        return self.dead | {"degraded"} if self.dead else self.dead


@dataclass
class Outcome:
    """What came of it."""

    fault: Fault
    seconds: float
    answers: list[Answer]
    began: float
    mended: float
    acked: Acked
    lost_writes: int
    lost_lines: int
    repeated_lines: int
    dropped_lines: float
    said: set[str]
    """What `/-/ready` said: its status and each source that failed."""
    megabytes: float

    def failed(self, *, needing: bool) -> list[Answer]:
        """Answers that are of no use, of requests that need what was away, or of the others."""
        return [
            each for each in self.answers if each.failed and bool(self.needed(each.kind)) == needing
        ]

    def needed(self, kind: str) -> frozenset[str]:
        """What such requests lack, and cannot have from what was kept."""
        return (NEEDS[kind] & self.fault.dead) - KEPT.get(kind, frozenset())

    @property
    def kept(self) -> int:
        """How many answers were kept ones, while something was away."""
        return sum(each.age is not None and not each.failed for each in self.answers)

    @property
    def slowest(self) -> float:
        """Seconds."""
        return max(each.seconds for each in self.answers)

    @property
    def recovery(self) -> float:
        """After how many seconds since all was back no request failed any more."""
        ends = [each.at + each.seconds for each in self.answers if each.failed]
        return max([0.0, *(end - self.mended for end in ends)])


async def do(
    world: World, fault: Fault, seconds: float, *, before: float = 2.0, rate: float = RATE
) -> Outcome:
    """Break it under load, mend it, wait until all is well, and gather what came of it."""
    over = asyncio.Event()
    dropped, twice = world.figures()["ogrom_ship_dropped_lines_total"], repeated(world)
    async with traffic(world.url, rate) as load:
        working = asyncio.create_task(load.run(over))
        await asyncio.sleep(before)
        began = time.monotonic()

        async def pause() -> None:
            """So many seconds, and until it is known what is away: a busy machine takes its time."""
            await asyncio.sleep(seconds)
            with suppress(TimeoutError):  # `check` says what was not told
                async with asyncio.timeout(TOLD):
                    while not fault.told <= said(load.answers):
                        await asyncio.sleep(0.1)

        await fault.run(world, pause)
        mended = time.monotonic()
        await well(load, mended)
        over.set()
        await working
        lost_writes = await lost(world.db_url, load.acked)
        missing = await asyncio.to_thread(missing_lines, world, load.answers)
        return Outcome(
            fault=fault,
            seconds=seconds,
            answers=load.answers,
            began=began,
            mended=mended,
            acked=load.acked,
            lost_writes=lost_writes,
            lost_lines=missing,
            repeated_lines=repeated(world) - twice,
            dropped_lines=world.figures()["ogrom_ship_dropped_lines_total"] - dropped,
            said=said(load.answers),
            megabytes=world.megabytes(),
        )


def said(answers: Iterable[Answer]) -> set[str]:
    """What `/-/ready` has told in all of these."""
    return {told for each in answers if each.kind == "ready" for told in heard(each)}


def heard(ready: Answer) -> set[str]:
    """The status that it tells, and the checks that have something to complain of."""
    told = json.loads(ready.what)
    wrong = {name for name, said in told["checks"].items() if said.partition(":")[0] in _COMPLAINTS}
    return {told["status"], *wrong}


_COMPLAINTS = {"CircuitOpen", "Unavailable", "ConnectionError"}


async def well(load: Traffic, since: float) -> None:
    """Wait until every kind has been answered twice, one upon the other, by requests sent since then."""
    async with asyncio.timeout(RECOVERY + DEADLINE):
        while True:
            last: dict[str, list[bool]] = {kind: [] for kind in NEEDS}
            for each in load.answers:
                if each.at > since:
                    last[each.kind].append(not each.failed)
            if all(good[-2:] == [True, True] for good in last.values()):
                return
            await asyncio.sleep(0.1)


async def lost(url: str, acked: Acked) -> int:
    """How many writes that were acknowledged are not in the database itself."""
    async with connect(url) as db:
        texts = {
            int(row.partition(" ")[0]): row.partition(" ")[2]
            for row in await db.all(str, "SELECT CAST(id AS CHAR) || ' ' || text FROM comments")
        }
        stars = {
            tuple(row.split(" "))
            for row in await db.all(
                str,
                "SELECT product_id || ' ' || user_id || ' ' || CAST(stars AS CHAR) FROM ratings"
                " WHERE stars IS NOT NULL",
            )
        }
    comments = [one for one, text in acked.comments.items() if texts.get(one) != text]
    ratings = [each for each in acked.ratings.items() if (*each[0], str(each[1])) not in stars]
    return len(comments) + len(ratings)


def repeated(world: World) -> int:
    """How many lines have come that had come before, known by their `event.id`."""
    found, count = world.logged()
    return count - sum(map(len, found.values()))


def missing_lines(world: World, answers: Sequence[Answer], seconds: float = 90) -> int:
    """How many of the requests that were answered have no line at the receiver, after so many seconds."""
    wanted = {each.id for each in answers if each.status and each.kind not in ("live", "ready")}
    end = time.monotonic() + seconds
    while True:
        found, _ = world.logged()
        missing = wanted - found.keys()
        if not missing or time.monotonic() > end:
            break
        time.sleep(0.2)
    assert all(len(found[each]) == 1 for each in wanted - missing), "two events of one request"
    return len(missing)


def check(outcome: Outcome) -> None:
    """What must hold.

    1. No request takes longer than its deadline.
    2. No endpoint fails that does not need what is away, or can do with what was kept.
    3. What fails says that it is 503, and when to come back.
    4. All is well again soon after everything is back, without a restart.
    5. No write is lost that was acknowledged.
    6. No line of the log is lost, but those that are counted as dropped.
    7. `/-/ready` tells that the service is degraded, and by what; and is ready in the end.
    """
    fault = outcome.fault
    assert outcome.slowest <= DEADLINE + SLACK, max(outcome.answers, key=lambda each: each.seconds)
    others = outcome.failed(needing=False)
    assert not others, others[:3]
    for each in outcome.failed(needing=True):
        assert 503 == each.status, each
        assert each.retry_after, each
        assert int(each.retry_after) >= 1, each
    assert outcome.recovery <= RECOVERY
    assert 0 == outcome.lost_writes
    assert outcome.lost_lines <= outcome.dropped_lines
    assert fault.told <= outcome.said, outcome.said
    assert outcome.acked.comments
    assert outcome.acked.ratings


async def no_secrets(world: World) -> None:
    """Passwords and tokens are in no log."""
    password = world.database.known()["password"]
    said = b"".join(each.read_bytes() for each in world.all_logs() if each.exists())
    for secret in (str(password), SECRET, "demo-anna"):
        assert secret.encode() not in said, secret


# What is done.


async def _database_frozen(world: World, pause: Pause) -> None:
    world.signal_database(signal.SIGSTOP)
    await pause()
    world.signal_database(signal.SIGCONT)


async def _database_killed(world: World, pause: Pause) -> None:
    await asyncio.to_thread(world.kill_database)
    await pause()
    await asyncio.to_thread(world.database.start, tls=False)


async def _search_frozen(world: World, pause: Pause) -> None:
    world.signal_node(signal.SIGSTOP)
    await pause()
    world.signal_node(signal.SIGCONT)


async def _search_killed(world: World, pause: Pause) -> None:
    await asyncio.to_thread(world.kill_node)
    await pause()
    await asyncio.to_thread(world.start_node)


def _identity(mode: str) -> Callable[[World, Pause], Awaitable[None]]:
    async def run(world: World, pause: Pause) -> None:
        assert await asyncio.to_thread(world.identity.switch, mode)
        await pause()
        assert await asyncio.to_thread(world.identity.switch, "ok")

    return run


async def _identity_gone(world: World, pause: Pause) -> None:
    world.identity.kill()
    await pause()
    await asyncio.to_thread(world.identity.start)


async def _receiver_gone(world: World, pause: Pause) -> None:
    world.receiver.stop()
    await pause()
    await asyncio.to_thread(world.receiver.start)


async def _receiver_killed(world: World, pause: Pause) -> None:
    for _ in range(3):
        world.receiver.kill()
        await asyncio.to_thread(world.receiver.start)
        await pause()


async def _receiver_frozen(world: World, pause: Pause) -> None:
    world.signal_receiver(signal.SIGSTOP)
    await pause()
    world.signal_receiver(signal.SIGCONT)


async def _receiver_hangs_and_dies(world: World, pause: Pause) -> None:
    world.signal_receiver(signal.SIGSTOP)
    await pause()
    world.receiver.kill()
    await asyncio.to_thread(world.receiver.start)


async def _all(world: World, pause: Pause) -> None:
    world.signal_database(signal.SIGSTOP)
    world.signal_node(signal.SIGSTOP)
    world.identity.kill()
    world.receiver.kill()
    await pause()
    world.signal_database(signal.SIGCONT)
    world.signal_node(signal.SIGCONT)
    await asyncio.to_thread(world.identity.start)
    await asyncio.to_thread(world.receiver.start)


_SQL, _SEARCH, _USERS = frozenset({"sql"}), frozenset({"search"}), frozenset({"users"})
_LOG: frozenset[str] = frozenset({"logstash"})

FAULTS = (
    Fault(f"{product().title} frozen", _SQL, _database_frozen, short=5),
    Fault(f"{product().title} killed, started again", _SQL, _database_killed),
    Fault("OpenSearch frozen", _SEARCH, _search_frozen, short=5),
    Fault("OpenSearch killed, started again", _SEARCH, _search_killed, short=None),
    Fault("identity API answers in 30 s", _USERS, _identity("slow"), short=5),
    Fault("identity API answers garbage", _USERS, _identity("garbage")),
    Fault("identity API answers 500", _USERS, _identity("failing")),
    Fault("identity API gone", _USERS, _identity_gone),
    Fault("logstash gone", _LOG, _receiver_gone, full=60),
    Fault("logstash killed three times", frozenset(), _receiver_killed, full=3.3, short=1.3),
    Fault("logstash frozen", frozenset(), _receiver_frozen),
    Fault("logstash frozen, then killed", frozenset(), _receiver_hangs_and_dies),
    Fault("all four at once", _SQL | _SEARCH | _USERS | _LOG, _all, short=5),
)
