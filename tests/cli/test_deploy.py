"""A commit's whole way by the commands: built, deployed, rolled back, promoted, tidied up."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

import pytest
from support.server import free_port
from support.tea import commit, git, share_tools, write
from support.up import needs_haproxy

from ogrom.deploy.local._process import marked

pytestmark = pytest.mark.slow

SERVICE = """
import os
import signal
import socketserver
import sys
from http.server import BaseHTTPRequestHandler


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        said = WORD.encode()
        self.send_response(503 if WORD == "bad" else 200)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def address_string(self):
        return "balancer"


class Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Server(os.environ["OGROM_LISTEN"].removeprefix("unix:"), Answers).serve_forever()


WORD = "green"
"""
TARGETS = """
[tool.ogrom.rollout]
watch_seconds = 0.2
start_seconds = 60
keep = 1
[tool.ogrom.targets.production]
kind = "local"
listen = "127.0.0.1:{}"
page = "127.0.0.1:{}"
instances = 1
[tool.ogrom.targets.staging]
kind = "local"
listen = "127.0.0.1:{}"
page = "127.0.0.1:{}"
instances = 1
"""


class Place:
    """A repository with a service, its targets, and the commands."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = [free_port() for _ in range(4)]
        self.env = {**os.environ, "OGROM_HOME": str(folder / ".ogrom"), "PYTHONUNBUFFERED": "1"}
        self.ups = []

    def commit(self, word):
        made = commit(self.folder, word)
        (self.folder / "tea" / "__init__.py").write_text(SERVICE.replace("green", word))
        git(self.folder, "commit", "--quiet", "--amend", "--all", "--no-edit")
        return git(self.folder, "rev-parse", "HEAD") or made

    def start_seconds(self, seconds):
        """How long a release is given; more than 8 are of no use to one that is never healthy."""
        page = self.folder / "pyproject.toml"
        text = page.read_text()
        page.write_text(re.sub("start_seconds = .*", f"start_seconds = {seconds}", text))

    def ogrom(self, *words):
        return self.end(self.begin(*words))

    def begin(self, *words):
        return subprocess.Popen(
            [sys.executable, "-m", "ogrom.cli", *words],
            cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env,
        )  # fmt: skip

    def end(self, process):
        out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def up(self, *words):
        with (self.folder / f"up-{len(self.ups)}.log").open("ab") as log:
            command = [sys.executable, "-m", "ogrom.cli", "up", *words]
            self.ups.append(
                subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, env=self.env)
            )

    def said(self, port):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
            return answer.read().decode()


@pytest.fixture
def place(tmp_path, tools):
    needs_haproxy()
    folder = tmp_path / "tea"
    write(folder)
    share_tools(folder / ".ogrom", tools)
    made = Place(folder)
    page = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(page + TARGETS.format(*made.ports))
    with (folder / ".gitignore").open("a") as ignored:
        ignored.write("/up-*.log\n")
    git(folder, "init", "--quiet", "--initial-branch=main")
    yield made
    for up in made.ups:
        up.send_signal(signal.SIGTERM)
    for up in made.ups:
        up.wait(timeout=90)
    for pids in marked(f"{tmp_path}/").values():
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def until(holds, seconds=90):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_from_a_commit_to_production_and_back(place):
    """Everything that the guide shows, in its order."""
    first = place.commit("one")
    place.up("production", "--deploy", "HEAD")
    place.up("staging")
    log = place.folder / "up-0.log"
    until(lambda: f"{first[:7]} is live" in log.read_text())
    assert "one" == place.said(place.ports[0])

    second = place.commit("two")
    done = place.ogrom("deploy", "--plan", "--json")
    assert 0 == done.returncode, done.stderr
    plan = json.loads(done.stdout)
    assert ["start", "check", "warm", "shift 5", "watch 5"] == [
        step["id"] for step in plan["steps"][:5]
    ]
    assert "one" == place.said(place.ports[0])  # a plan touches nothing

    done = place.ogrom("deploy", "--json")
    assert 0 == done.returncode, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    outcome = events[-1]
    assert ("live", second) == (outcome["result"], outcome["entry"]["release"]["commit"])
    walked = [each["step"] for each in events if each["event"] == "begin"]
    assert walked == plan["steps"][: len(walked)]  # what was planned is what was done
    assert "two" == place.said(place.ports[0])

    done = place.ogrom("deploy", second[:9])
    assert (0, True) == (done.returncode, "is live already" in done.stdout)
    assert "nothing would be done" in place.ogrom("deploy", "--plan").stdout

    place.start_seconds(8)
    place.commit("bad")
    (place.folder / "stray.txt").write_text("not committed")
    done = place.ogrom("deploy")
    assert 1 == done.returncode
    assert "uncommitted" in done.stderr
    assert f"({second[:7]}) still serves" in done.stderr
    assert "answered 503" in done.stdout
    place.start_seconds(60)
    assert "two" == place.said(place.ports[0])

    assert f"rollback of {first[:12]}" in place.ogrom("rollback", "--plan").stdout
    done = place.ogrom("rollback")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "one" == place.said(place.ports[0])

    status = place.ogrom("status").stdout
    assert f"127.0.0.1:{place.ports[0]}" in status
    assert f"{first[:7]}  100 %  1 of 1 healthy" in status
    found = json.loads(place.ogrom("status", "--json").stdout)
    assert "rollback" == found["last"]["kind"]

    assert 0 == place.ogrom("deploy", "HEAD~1", "--to", "staging").returncode
    done = place.ogrom("promote", "staging", "production")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert "two" == place.said(place.ports[0])

    history = place.ogrom("history").stdout
    assert ["live", "live", "unchanged", "live", "live"] == [
        line.split("  ")[4] for line in history.splitlines() if line[:2] == "20"
    ]
    entries = json.loads(place.ogrom("history", "--json", "-n", "2").stdout)
    assert 2 == len(entries)

    done = place.ogrom("prune", "--keep", "0")
    assert 0 == done.returncode, done.stderr
    assert "removed" in done.stdout  # the bad one
    assert f"{second[:7]}  stays: " in done.stdout
    assert f"{first[:7]}  stays: " in done.stdout
    done = place.ogrom("rollback")
    assert 0 == done.returncode, done.stdout + done.stderr
    assert 0 == place.ogrom("resume").returncode


def test_what_cannot_be_done_is_one_line_that_says_what_to_do(place):
    """No traceback, whatever is missing."""
    place.commit("one")
    cases = {
        ("deploy", "nosuch"): "There is no commit 'nosuch'",
        ("deploy", "--to", "prodution"): "did you mean production",
        ("status",): "`ogrom up production` is not running here",
        ("promote", "staging", "production"): "`ogrom up staging` is not running here",
        ("up", "--page", "0.0.0.0:1"): "for this machine alone",
    }
    begun = [place.begin(*words) for words in cases]  # some wait for what may be starting
    for process, (words, said) in zip(begun, cases.items(), strict=True):
        done = place.end(process)
        assert 1 == done.returncode, words
        assert said in done.stderr, (words, done.stderr)
        assert "Traceback" not in done.stderr
    assert "Nothing was deployed to production yet" in place.ogrom("history").stdout
