"""The commands of a local target, as processes of their own."""

import os
import signal
import subprocess
import sys
import time

import pytest
from support.server import free_port
from support.up import needs_haproxy

from ogrom.cli.up import is_unfinished
from ogrom.deploy.local._process import marked

pytestmark = pytest.mark.slow

PYPROJECT = """
[tool.ogrom]
name = "shop"
lock = "lock.txt"
command = "shop serve"
[tool.ogrom.targets.production]
kind = "local"
listen = "127.0.0.1:{port}"
page = "127.0.0.1:{page}"
"""


@pytest.fixture
def repository(tmp_path):
    needs_haproxy()
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(port=free_port(), page=free_port()))
    yield tmp_path
    for pids in marked(f"{tmp_path}/").values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def ogrom(repository, *words):
    return subprocess.run(
        [sys.executable, "-m", "ogrom.cli", *words],
        cwd=repository,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OGROM_HOME": str(repository / "home")},
    )


def up(repository):
    with (repository / "up.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "ogrom.cli", "up"],
            cwd=repository,
            stdout=log,
            stderr=log,
            env={**os.environ, "OGROM_HOME": str(repository / "home"), "PYTHONUNBUFFERED": "1"},
        )


def until(holds):
    end = time.monotonic() + 90
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_up_scale_logs_and_down(repository):
    """A target without a release; a rollout that was left half done is taken up."""
    process = up(repository)
    folder = repository / "home" / "targets" / "production"
    said = ogrom(repository, "scale", "2..3")
    assert "2..3, as soon as something is live" in said.stdout, said.stderr
    (folder / "logs" / "blue-1.log").write_text("one\ntwo\n")
    assert "blue-1 | two\n" == ogrom(repository, "logs", "blue", "-n", "1").stdout
    (folder / "rollouts").mkdir()
    (folder / "rollouts" / "1.jsonl").write_text('{"plan":{}}\n{"step":"shift"}\n')
    until(lambda: "A rollout was left half done" in (repository / "up.log").read_text())
    assert "production is down" in ogrom(repository, "down").stdout
    assert 0 == process.wait(timeout=90)
    assert not marked(f"{folder}/")
    said = ogrom(repository, "scale", "2")
    assert said.returncode
    assert "`ogrom up production` is not running here: start it" in said.stderr


def test_down_ends_what_a_killed_up_left(repository):
    """Nobody has to be there to be told."""
    process = up(repository)
    folder = repository / "home" / "targets" / "production"
    until(lambda: marked(f"{folder}/haproxy"))
    process.kill()
    process.wait()
    assert marked(f"{folder}/")
    said = ogrom(repository, "down")
    assert "production is down" in said.stdout, said.stderr
    assert not marked(f"{folder}/")


def test_what_is_no_number(repository):
    """Says how to write one."""
    assert "Write 3, or 1..4" in ogrom(repository, "scale", "many").stderr
    assert "there is no target" in ogrom(repository, "down", "stagin").stderr.lower()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, False),
        ("", True),
        ('{"plan":{}}\n', True),
        ('{"plan":{}}\n{"st', True),
        ('{"plan":{}}\n{"end":"live"}\n', False),
    ],
)
def test_whether_a_rollout_is_unfinished(tmp_path, text, expected):
    """By the newest journal's last line."""
    if text is not None:
        (tmp_path / "rollouts").mkdir()
        (tmp_path / "rollouts" / "1.jsonl").write_text(text)
    assert expected == is_unfinished(tmp_path)
