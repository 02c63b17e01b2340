"""Deploying for real: processes, HAProxy, and load from another process that counts every failure."""

import json
import os
import shutil
import signal
import time

import pytest
from support.deployer import deployed, deployer
from support.load import Load
from support.server import free_port
from support.up import release, running

from ogrom.deploy import other

pytestmark = pytest.mark.slow

REQUESTS = ["GET /work", "GET /slow?0.3", "POST /work {}", "GET /work", "POST /work {}"]
"""As everywhere here: on connections that are kept and on new ones, slow answers among them."""


@pytest.fixture
def up(tmp_path):
    with running(tmp_path / "targets" / "production", free_port()) as running_up:
        yield running_up


def load(up):
    """So much that a watch soon has what it needs to be sure."""
    return Load(up.port, REQUESTS, keep=8, new=4)


async def serves(up, commit):
    """The one release with all of the traffic."""
    live = (await up.target.observe()).live
    assert (commit, 100) == (live.release.commit, live.share)


def begun(up, process, commit, step, seconds=120):
    """Wait until a commit's journal says that a step has begun."""
    end = time.monotonic() + seconds
    ended = False
    while True:
        journals = sorted((up.folder / "rollouts").glob(f"*-{commit}.jsonl"))
        for line in journals[-1].read_text().splitlines() if journals else ():
            told = json.loads(line) if line.endswith("}") else {}
            if (step, "begin") == (told.get("step"), told.get("event")):
                return
        if ended or time.monotonic() > end:
            process.kill()
            raise AssertionError(f"{step} did not begin:\n{process.communicate()[0]}")
        ended = process.poll() is not None
        time.sleep(0.005)


async def test_deploys_and_rollbacks_in_a_row_lose_nothing(up):
    """The client counts: no request fails, whatever it was doing when the traffic moved."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    with load(up) as traffic:
        for commit in ("b1", "c2", "d3"):
            status, said = deployed(up.folder, "deploy", commit)
            assert 0 == status, said
            assert f"{commit} is live; 0 of " in said
            await serves(up, commit)
        status, said = deployed(up.folder, "rollback")
        assert 0 == status, said
        await serves(up, "c2")
        assert 0 == deployed(up.folder, "deploy", "e4")[0]
    assert 0 == traffic.result.failed, traffic.result.first_failures
    assert {"a0", "b1", "c2", "d3", "e4"} <= traffic.result.by_release.keys()


async def test_what_serves_already_is_not_deployed_again(up):
    """It says so, and does nothing."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    pids = [each.pid for each in (await up.target.observe()).live.instances]
    status, said = deployed(up.folder, "deploy", "a0")
    assert (0, True) == (status, "a0 is live already" in said)
    assert pids == [each.pid for each in (await up.target.observe()).live.instances]


@pytest.mark.parametrize(
    ("kind", "why", "within_canary"),
    [
        ("dies", "ImportError: no module named prices", 0),
        ("unhealthy", "no such column: price_minor", 0),
        ("hangs", "no answer", 0),
        ("missing", "missing is missing", 0),
        ("errors", "watch", None),
        ("slower", "watch", 0),
    ],
)
async def test_a_bad_release_goes_back_by_itself(up, kind, why, within_canary):
    """Nothing changes, the message says why, and only what the canary answered itself has failed."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    with Load(up.port, ["GET /work", "POST /work {}"], keep=10) as traffic:
        status, said = deployed(up.folder, "deploy", "bad", kind)
        assert 1 == status, said
        assert why in said, said
        assert "Nothing changed: " in said
        assert "(a0) still serves" in said
        await serves(up, "a0")
    result = traffic.result
    if within_canary is None:
        assert 0 < result.failed <= result.by_release["bad"] // 10 + 2, result.first_failures
    else:
        assert within_canary == result.failed, result.first_failures


async def test_the_deployer_is_killed_at_every_step(up):
    """kill -9: the live release goes on serving, and the next call ends or undoes what was begun."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    live = "a0"
    steps = (
        *("start", "check", "warm", "shift 10", "watch 10", "shift 50", "watch 50"),
        *("shift 100", "watch 100", "drain"),
    )
    with load(up) as traffic:
        for number, step in enumerate(steps):
            commit = f"b{number}"
            process = deployer(up.folder, "deploy", commit)
            begun(up, process, commit, step)
            process.send_signal(signal.SIGKILL)
            process.communicate()
            status, said = deployed(up.folder, "resume")
            assert 0 == status, said
            seen = await up.target.observe()
            assert 100 == seen.live.share, said
            now = seen.live.release.commit
            assert now in {live, commit}, said
            if step == "drain":
                assert now == commit  # all traffic had been moved and watched: it goes forward
            elif step in steps[:5]:
                assert now == live
            live = now
        status, said = deployed(up.folder, "deploy", "last")
        assert 0 == status, said
    assert 0 == traffic.result.failed, traffic.result.first_failures


async def test_a_killed_deployers_commit_is_asked_for_again(up):
    """The same deploy goes on from where it was, and ends live."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    process = deployer(up.folder, "deploy", "b1")
    begun(up, process, "b1", "watch 10")
    process.kill()
    process.communicate()
    status, said = deployed(up.folder, "deploy", "b1")
    assert 0 == status, said
    assert "Going on with" in said
    await serves(up, "b1")


async def test_ogrom_up_is_killed_while_a_deploy_goes_on(up):
    """The deployer waits for it to be started again, and ends well; traffic never notices."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    with load(up) as traffic:
        process = deployer(up.folder, "deploy", "b1")
        begun(up, process, "b1", "watch 10")
        up.kill()
        up.start()
        said, _ = process.communicate(timeout=60)
        assert 0 == process.returncode, said
        await serves(up, "b1")
    assert 0 == traffic.result.failed, traffic.result.first_failures


async def test_two_deploys_at_once(up):
    """The second is refused by the name of the first, or waits for it."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    first = deployer(up.folder, "deploy", "b1")
    begun(up, first, "b1", "start")
    status, said = deployed(up.folder, "deploy", "c2")
    assert 1 == status
    assert "deploy b1 is deploying to production" in said
    status, said = deployed(up.folder, "deploy", "c2", "good", "60")
    assert 0 == status, said
    assert 0 == first.wait(timeout=60)
    first.communicate()
    await serves(up, "c2")


async def test_an_interrupted_deploy_goes_back_in_order(up):
    """SIGTERM, as Ctrl-C: the way back of the table, and nothing is left."""
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    process = deployer(up.folder, "deploy", "b1")
    begun(up, process, "b1", "watch 50")
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert 1 == process.returncode, said
    assert "interrupted" in said
    await serves(up, "a0")
    seen = await up.target.observe()
    assert seen.environments[other(seen.live.name)].release is None


async def test_a_full_disk_refuses_the_deploy_and_leaves_all_as_it_was(up, tmp_path):
    """On a file system of its own without room for a journal."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("mounting a small file system needs root")
    assert 0 == deployed(up.folder, "deploy", "a0")[0]
    rollouts = up.folder / "rollouts"
    if 0 != os.system(f"mount -t tmpfs -o size=4k tmpfs {rollouts}"):
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        (rollouts / "filler").write_bytes(b"x" * 4096)
        status, said = deployed(up.folder, "deploy", "b1")
        assert 1 == status, said
        assert "The journal cannot be written" in said
        await serves(up, "a0")
    finally:
        os.system(f"umount {rollouts}")
    assert 0 == deployed(up.folder, "deploy", "b1")[0]
    assert release("b1").commit == (await up.target.observe()).live.release.commit
