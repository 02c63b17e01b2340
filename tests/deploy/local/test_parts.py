"""The local target's parts that need no process: pure functions, files, the page's guard."""

import asyncio
import os
import subprocess
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.up import needs_haproxy

from ogrom.deploy import Fenced, LeaseHeld, TargetError
from ogrom.deploy.local import LocalTarget, _client, _lease, _logs, _scale
from ogrom.deploy.local import _haproxy as haproxy
from ogrom.deploy.local._client import is_running
from ogrom.deploy.local._counts import BOUNDS, Ledger, Tally, quantile
from ogrom.deploy.local._haproxy import Server, Stat
from ogrom.deploy.local._instance import Backoff
from ogrom.deploy.local._process import identity
from ogrom.deploy.local._state import Identity, State, Wanted, read, run_directory, write
from ogrom.loopback import is_loopback, refusal

# Weights


@given(st.integers(1, 99), st.integers(1, 16), st.integers(1, 16))
def test_shares_hold_for_any_number_of_instances(share, blue, green):
    """Within what whole numbers up to 256 allow: half a step for each server."""
    made = haproxy.weights({"blue": 100 - share, "green": share}, {"blue": blue, "green": green})
    assert max(made.values()) == haproxy.MOST_WEIGHT
    assert min(made.values()) >= 1
    total = made["blue"] * blue + made["green"] * green
    coarse = 100 * max(blue, green) / total
    assert abs(100 * made["green"] * green / total - share) <= coarse


def test_no_share_is_no_weight():
    """And nobody is divided by."""
    assert {"blue": 256, "green": 0} == haproxy.weights(
        {"blue": 100, "green": 0}, {"blue": 2, "green": 0}
    )
    assert {"blue": 0, "green": 0} == haproxy.weights(
        {"blue": 0, "green": 0}, {"blue": 0, "green": 0}
    )


# Whether `ogrom up` runs


async def test_it_is_soon_said_that_nobody_runs(tmp_path):
    """Patience is for one that starts, or has answered before; not for one that ended long ago."""
    for left in (None, "", "no number", str(_ended())):
        if left is not None:
            (tmp_path / "up.lock").write_text(left)
        assert not is_running(tmp_path)
        async with asyncio.timeout(60):
            with pytest.raises(TargetError, match="is not running here: start it"):
                await LocalTarget(tmp_path, patience=600).observe()


async def test_one_that_starts_is_waited_for(tmp_path, monkeypatch):
    """And one that has answered may be started again meanwhile."""
    (tmp_path / "up.lock").write_text(str(os.getpid()))
    assert is_running(tmp_path)
    asked = 0

    async def post(*_):
        nonlocal asked
        asked += 1
        if asked in {1, 2, 4, 5}:
            raise OSError("nobody answers")
        return "a line"

    monkeypatch.setattr(_client, "_STARTING", 0)
    monkeypatch.setattr(_client, "_post", post)
    target = LocalTarget(tmp_path, patience=60)
    assert "a line" == await target.tail("blue", 1)
    (tmp_path / "up.lock").unlink()
    assert "a line" == await target.tail("blue", 1)
    assert 6 == asked


def _ended() -> int:
    """The id of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


# HAProxy


def test_who_gets_traffic_is_told_before_who_loses_it():
    """So that there is always somebody to answer."""
    now = {"blue-1": Server("ready", 256), "green-1": Server("drain")}
    wanted = {"blue-1": Server("drain"), "green-1": Server("ready", 256)}
    said = haproxy.changes({**dict.fromkeys(haproxy.SERVERS, Server()), **now}, wanted)
    assert [
        "set server instances/green-1 weight 256",
        "set server instances/green-1 health up",
        "set server instances/green-1 state ready",
        "set server instances/blue-1 state drain",
    ] == said


def test_nothing_changed_is_nothing_said():
    """And one that was just started is told all."""
    same = dict.fromkeys(haproxy.SERVERS, Server())
    assert [] == haproxy.changes(same, {})
    assert len(haproxy.SERVERS) == len(haproxy.changes({}, {}))


def test_a_program_that_is_named_must_be_there():
    """Each message says what to do."""
    with pytest.raises(TargetError, match="OGROM_HAPROXY=/none is no program"):
        haproxy.find({"OGROM_HAPROXY": "/none"})


def test_haproxy_not_found(monkeypatch):
    """The three ways to get it are named."""
    monkeypatch.setattr(haproxy.shutil, "which", lambda *_, **__: None)
    with pytest.raises(TargetError, match="pip install 'ogrom\\[deploy\\]'"):
        haproxy.find({"PATH": "/none"})


def test_the_configuration_is_right_even_in_a_folder_with_a_space_and_a_quote(tmp_path):
    """HAProxy itself says so, of whichever version there is."""
    run = tmp_path / "it's here"
    run.mkdir()
    file = tmp_path / "haproxy.cfg"
    file.write_text(haproxy.config("127.0.0.1:1", run, {"blue-1": Server("ready", 7)}))
    assert "blue-1' weight 7" in file.read_text()
    needs_haproxy()
    said = subprocess.run(
        [haproxy.find(), "-c", "-f", str(file)], capture_output=True, text=True, check=False
    )
    assert not said.returncode, said.stderr


async def test_haproxy_that_does_not_answer(tmp_path):
    """Is an error of the target."""
    with pytest.raises(TargetError, match="does not answer"):
        await haproxy.command(tmp_path / "none", "show stat")


# Counts


def _proxy(number):
    return Identity(number, 1, "b")


def test_counts_never_go_back():
    """Not when HAProxy is started again, nor when we are."""
    tally = Tally(Ledger())
    tally.took(
        {"blue-1": Stat(requests=5, errors=1), "public": Stat(requests=6, errors=2)}, _proxy(1)
    )
    tally.took({"blue-1": Stat(requests=2), "public": Stat(requests=2)}, _proxy(2))
    assert (7, 1) == (tally.counts("blue").requests, tally.counts("blue").errors)
    again = Tally(tally.ledger)
    again.took({"blue-1": Stat(requests=3), "public": Stat(requests=3)}, _proxy(2))
    assert (8, 9) == (again.counts("blue").requests, again.counts("total").requests)


def test_lines_of_the_log():
    """They come in any pieces; what a client gave up and what never began is left out."""
    tally = Tally(Ledger())
    text = b"blue-1 900 200 --\ngreen-2 1500000 500 --\n<NOSRV> 100 503 SC\nblue-1 5 -1 CD\n<NOSRV> - 400 PR\n"
    for byte in range(len(text)):
        tally.lines(text[byte : byte + 1])
    assert [1, 1, 3] == [sum(tally.counts(each).buckets) for each in ("blue", "green", "total")]
    sample = tally.sample(1.0, {"blue": 100, "green": 0}, {"blue": 3, "green": 0})
    assert 0.0009 <= sample.parts["blue"].p50 <= 0.0009 * 1.13
    assert 1.5 <= sample.parts["green"].p99 <= 1.5 * 1.13
    assert 3 == sample.parts["total"].in_flight
    assert sample.parts["green"].p50 is not None
    assert (
        tally.sample(2.0, {"blue": 100, "green": 0}, {"blue": 0, "green": 0}).parts["blue"].p50
        is None
    )


def test_a_quantile_above_all_bounds_is_the_last():
    """There is no larger one."""
    assert BOUNDS[-1] == quantile([0] * len(BOUNDS) + [1], 0.5)


# Scaling


def _history(load, instances, seconds=70):
    return [_scale.Busy(float(at), load, instances) for at in range(seconds)]


@pytest.mark.parametrize(
    ("load", "count", "expected"),
    [(5, 1, 1), (7, 1, 2), (30, 1, 5), (100, 1, 8), (2, 4, 3), (10, 4, 4), (1, 1, 1), (0, 2, 1)],
)
def test_how_many_are_wanted(load, count, expected):
    """Up at once to what bears the load; down by one."""
    assert expected == _scale.wanted(_history(load, count), 69.0, (1, 8))


def test_up_fast_and_down_slowly():
    """Three seconds are enough for more; a quiet moment is not for less."""
    assert 2 == _scale.wanted(_history(8, 1, 5), 4.0, (1, 4))
    assert 1 == _scale.wanted(_history(8, 1, 2), 1.0, (1, 4))
    assert 4 == _scale.wanted(_history(0, 4, 30), 29.0, (1, 4))
    busy = [*_history(20, 4, 50), *(_scale.Busy(float(at), 0, 4) for at in range(50, 70))]
    assert 4 == _scale.wanted(busy, 69.0, (1, 4))


def test_bounds_hold_at_once():
    """Whatever the load."""
    assert 3 == _scale.wanted(_history(0, 1, 2), 1.0, (3, 4))
    assert 2 == _scale.wanted(_history(50, 4, 2), 1.0, (1, 2))
    assert 2 == _scale.wanted([], 0.0, (2, 4))


def test_backoff():
    """It doubles, up to a limit."""
    assert [0.2, 0.2, 0.4, 30.0] == [Backoff().wait(n) for n in (0, 1, 2, 500)]


# Files


def test_a_state_is_read_as_it_was_written(tmp_path):
    """And one that is no state says what to do."""
    file = tmp_path / "state.json"
    assert State() == read(file, State, State())
    made = State(green=Wanted(share=100), token=4)
    write(file, made)
    assert made == read(file, State, State())
    assert "green" == made.live
    file.write_text("{")
    with pytest.raises(TargetError, match="Move it away"):
        read(file, State, State())
    with pytest.raises(TargetError, match="cannot be written"):
        write(tmp_path / "none" / "x", made)


def test_a_long_path_gets_a_short_directory_for_sockets(tmp_path):
    """Its owner's alone, always the same; one that others can enter is refused."""
    folder = tmp_path / ("x" * 90)
    short = tmp_path.parent.parent / "s"
    short.mkdir(exist_ok=True)
    made = run_directory(folder, short)
    assert made.parent == short
    assert made == run_directory(folder, short)
    assert 0o700 == made.stat().st_mode & 0o777
    made.chmod(0o755)
    with pytest.raises(TargetError, match="you alone can enter"):
        run_directory(folder, short)
    made.rmdir()
    with pytest.raises(TargetError, match="too long"):
        run_directory(folder, tmp_path / ("y" * 90))


def test_a_log_is_kept_short_while_it_is_written_and_loses_nothing(tmp_path):
    """The writer keeps its descriptor."""
    log = tmp_path / "a.log"
    lines = [f"line {number:06}" for number in range(3000)]
    with log.open("ab", buffering=0) as out:
        for number, line in enumerate(lines):
            out.write(f"{line}\n".encode())
            if number == 2000:
                assert _logs.rotate(log, 8192)
                assert not _logs.rotate(log, 8192)
    assert lines == _logs.tail(log, 5000)
    assert lines[-2:] == _logs.tail(log, 2)
    assert log.stat().st_blocks * 512 < log.stat().st_size
    _logs.begin(log)
    assert not log.exists()
    assert [] == _logs.tail(log, 9)  # what another release wrote is none of its lines
    assert (tmp_path / "a.log.before").read_text().endswith(lines[-1] + "\n")
    assert not _logs.rotate(log, 1)
    assert _logs.tail(tmp_path / "none", 3) == []


# The lease


async def test_one_deployer_at_a_time(tmp_path):
    """The other is told who has it, and gets it next, with a larger token."""
    async with _lease.lease(tmp_path, "anna@host, pid 12, deploy 9f3c2e1") as first:
        with pytest.raises(LeaseHeld, match=r"anna@host, pid 12, deploy 9f3c2e1 is deploying"):
            async with _lease.lease(tmp_path, "bob"):
                pass
        first.check()
    async with _lease.lease(tmp_path, "bob") as second:
        assert second.token == first.token + 1


async def test_a_lease_that_was_not_renewed_is_taken_and_the_first_knows(tmp_path):
    """Its holder may only have been slow."""
    async with (
        _lease.lease(tmp_path, "slow", seconds=0.05, renew=60) as first,
        _lease.lease(tmp_path, "next", wait=10) as second,
    ):
        assert second.token == first.token + 1
        with pytest.raises(Fenced, match="another deployer has taken over"):
            first.check()
        second.check()
    assert second.token == _lease.held(tmp_path).token


async def test_a_lease_that_nobody_took_meanwhile_is_good_again(tmp_path):
    """Being slow is no fault."""
    async with _lease.lease(tmp_path, "slow", seconds=0.02, renew=60) as only:
        time.sleep(0.05)
        only.check()


async def test_a_lease_is_renewed_in_the_background(tmp_path):
    """So that it outlives its time."""
    import asyncio

    async with _lease.lease(tmp_path, "busy", seconds=0.5, renew=0.02):
        first = _lease.held(tmp_path).expires
        while _lease.held(tmp_path).expires == first:
            await asyncio.sleep(0.01)


def test_a_dead_deployers_lease_is_taken_at_once(tmp_path):
    """It need not expire."""
    child = os.fork()
    if not child:
        _lease.take(tmp_path, "killed", 600)
        os._exit(0)
    while identity(child) is not None:  # it is a zombie then, and counts as dead
        time.sleep(0.01)
    assert 1 == _lease.held(tmp_path).token
    taken = _lease.take(tmp_path, "next", 600)
    os.waitpid(child, 0)
    assert 2 == taken.token


# The page

GOOD = {
    "Origin": "http://127.0.0.1:8081",
    "Sec-Fetch-Site": "same-origin",
    "Content-Type": "application/json",
    "Ogrom-Token": "t",
}


@pytest.mark.parametrize(
    ("host", "change", "why"),
    [
        ("127.0.0.1:8081", {}, ""),
        ("evil.example:8081", {}, "not this machine"),
        ("127.0.0.1.evil.example", {}, "not this machine"),
        ("127.0.0.1:8081", {"Origin": "http://evil.example"}, "another site"),
        ("127.0.0.1:8081", {"Origin": "null"}, "another site"),
        ("127.0.0.1:8081", {"Origin": "http://127.0.0.1:9999"}, "another site"),
        ("127.0.0.1:8081", {"Sec-Fetch-Site": "cross-site"}, "another site"),
        ("127.0.0.1:8081", {"Content-Type": "text/plain"}, "not application/json"),
        ("127.0.0.1:8081", {"Ogrom-Token": "x"}, "load it again"),
    ],
)
def test_who_may_press_the_buttons(host, change, why):
    """Our own page, of this machine, of this run."""
    said = refusal(host, "POST", {**GOOD, **change}, "t")
    assert why in said
    assert bool(why) == bool(said)


def test_reading_needs_only_our_own_name():
    """DNS rebinding is refused even there."""
    assert not refusal("localhost:1", "GET", {}, "t")
    assert refusal("evil.example", "GET", {}, "t")
    assert is_loopback("[::1]:80")
    assert not is_loopback("[::1")
