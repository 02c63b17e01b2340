"""tools/sources.py: started for whoever uses them, found again, and ended by the last."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import databases
import pytest
import sources

pytestmark = pytest.mark.slow

TOOLS = Path(sources.__file__).parent

USER = """
import sys
from pathlib import Path
import sources
folder = Path(sys.argv[1])
with sources.used(folder):
    sources.start(folder, ["identity"])
    print("up", flush=True)
    sys.stdin.read()
"""
TOOLS = str(Path(sources.__file__).parent)


@contextmanager
def user(folder: Path):
    """Somebody who uses them until he is told to leave, or killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": TOOLS},
    )
    with process:
        assert process.stdout.readline() == b"up\n"
        yield process
        process.stdin.close()


def tool(folder: Path, *words: str) -> list[str]:
    """The command that does this."""
    return [sys.executable, sources.__file__, "--dir", str(folder), *words]


def runs(folder: Path) -> bool:
    return "OGROM_USERS" in sources.environment(folder)


def test_the_last_user_ends_them(tmp_path):
    """And not the first; who is killed is no user any more."""
    with user(tmp_path) as killed:
        with user(tmp_path):
            where = sources.environment(tmp_path)
            killed.kill()
            killed.wait()
            with user(tmp_path):
                assert where == sources.environment(tmp_path)
            assert runs(tmp_path)
        assert not runs(tmp_path)


def test_a_watcher_outlives_the_killed(tmp_path):
    """Where the last user is killed, a watcher ends them."""
    with user(tmp_path) as killed:
        subprocess.run(tool(tmp_path, "--unkept", "start", "identity"), check=True)
        assert runs(tmp_path)
        killed.kill()
    end = time.monotonic() + 60
    while runs(tmp_path):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_was_started_by_hand_stays(tmp_path):
    """Until it is stopped by hand; at its port it is found again."""
    said = subprocess.run(
        tool(tmp_path, "start", "identity"), capture_output=True, text=True, check=True
    ).stdout
    where = sources.environment(tmp_path)
    assert f"export OGROM_USERS={where['OGROM_USERS']}\n" in said
    try:
        with user(tmp_path):
            assert where == sources.environment(tmp_path)
        assert runs(tmp_path)
    finally:
        subprocess.run(tool(tmp_path, "stop"), check=True)
    assert not runs(tmp_path)
    with user(tmp_path):
        assert where == sources.environment(tmp_path)


def test_a_command_on_all_of_them(tmp_path):
    """It is told where they are; when it is told to end, they end; and it is the same database again."""
    script = "import os, time; print(os.environ['OGROM_DB'], flush=True); time.sleep(60)"
    command = tool(tmp_path, "run", sys.executable, "-c", script)
    said = []
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            said.append(process.stdout.readline())
            if (
                not said[-1]
                and process.wait() == sources.MISSING
                and os.environ.get("CI") != "true"
            ):
                pytest.skip(process.stderr.read().decode().strip().splitlines()[-1])
            assert 4 == sum(bool(told.tells()) for told in sources.sources(tmp_path).values())
            process.send_signal(signal.SIGTERM)
            told = process.stderr.read().decode()
            assert 128 + signal.SIGTERM == process.wait(60)
        end = time.monotonic() + 30
        while any(one.tells() for one in sources.sources(tmp_path).values()):
            assert time.monotonic() < end
            time.sleep(0.05)
        for name in (databases.product().title, "OpenSearch", "identity API", "rsyslog"):
            assert f"{name}:" in told
        assert said[0].decode().split(":")[2].partition("@")[0] not in told  # the password
    assert said[0] == said[1]


@pytest.mark.parametrize(
    ("env", "status", "said"),
    [
        ({"SQL_SERVER": "oracle"}, 1, "SQL_SERVER=oracle: there are mariadb, mysql."),
        ({"SQL_SERVER": "mysql", "MYSQLD": "/no"}, sources.MISSING, "MYSQLD=/no is no program"),
    ],
)
@pytest.mark.parametrize(
    "command", ["sources.py --dir {} start database", "databases.py start --dir {}"]
)
def test_which_database(tmp_path, command, env, status, said):
    """By the environment, and what is wrong with it in one line."""
    words = [sys.executable, *command.format(tmp_path).split()]
    done = subprocess.run(
        words, cwd=TOOLS, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert status == done.returncode
    assert said in done.stderr
    assert 1 == len(done.stderr.splitlines())
