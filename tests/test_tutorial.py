"""What docs/tutorial.md shows is what happens: its files are written, and its commands run."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.server import free_port
from support.tea import git
from support.up import needs_haproxy

from ogrom.http.testing import ask

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL))
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """The files, as one who follows it has them in the end."""
    place = tmp_path_factory.mktemp("books")
    for name, content in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    assert "touch src/books/__init__.py" in TEXT
    (place / "src" / "books" / "__init__.py").touch()
    return place


def shown(command):
    """A command, which the page really has."""
    assert re.search(rf"(\$|&&) {re.escape(command)}( |$|\))", TEXT, re.MULTILINE), command
    return command


def run(project, command, **env):
    """What a command of the page writes, its errors behind it."""
    place = {"PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(project / "src")}
    done = subprocess.run(
        ["sh", "-c", shown(command)],
        cwd=project,
        env={**os.environ, **place, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_file_is_there(project):
    """None has slipped past the pattern above."""
    assert len(re.findall(r"^```(?:python|toml)$", TEXT, re.MULTILINE)) == len(FILES) == 8


def test_its_tests_pass(project):
    """As its reader runs them."""
    assert re.search(r"^3 passed", run(project, "pytest -q"), re.MULTILINE)


def test_its_types_are_right(project):
    """In strict mode, as it says."""
    done = subprocess.run(
        [BIN / "mypy", "--strict", "src/books", "hello.py", "seller.py", "tests"],
        cwd=project,
        env={**os.environ, "MYPYPATH": f"{ROOT / 'src'}:{project / 'src'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr


@contextmanager
def in_background(project, *words):
    """A command of ogrom's that runs on, until the block ends."""
    with (project / "up.log").open("wb") as log:
        process = subprocess.Popen([BIN / "ogrom", *words], cwd=project, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=90)


def asked(url, *, content=None):
    """Status and content of an answer; asked until somebody listens there."""
    headers = {"Content-Type": "application/json"} if content else {}
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, content, headers)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            assert time.monotonic() < end, url
            time.sleep(0.05)


def test_what_it_shows_of_ogrom_dev_is_answered(tmp_path):
    """The ten lines at the beginning."""
    (tmp_path / "hello.py").write_text(FILES["hello.py"])
    port = free_port()
    words = shown("ogrom dev hello.py").split()[1:]
    with in_background(tmp_path, *words, "--port", str(port)):
        found = asked(f"http://127.0.0.1:{port}/hello/you")
        assert (200, '{"hello":"you"}') == found
        assert found[1] in TEXT


def test_its_seller_has_a_price(project):
    """In the type that `protocols.py` names."""
    names = {"__name__": "seller"}
    exec(compile(FILES["seller.py"], "seller.py", "exec"), names)
    assert ["amount", "currency"] == list(ask(names["service"], "GET /prices/9780441013593").json())


def test_it_is_deployed_twice_and_rolled_back(project):
    """On a database that outlives its releases; the wheel of Ogrom comes from the repository."""
    needs_haproxy()
    port, page = free_port(), free_port()
    settings = (project / "pyproject.toml").read_text()
    moved = settings.replace(":8080", f":{port}").replace(":8081", f":{page}")
    (project / "pyproject.toml").write_text(moved)
    (project / ".gitignore").write_text(".ogrom/\n__pycache__/\n*.db*\n*.log\n.*_cache/\n")
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "-w", project / "wheels", ROOT], check=True)
    # What is newest may be another one tomorrow: the versions are those that are tested here.
    only = ROOT / "requirements" / "service.txt"
    lock = "uv pip compile --generate-hashes --find-links wheels --emit-find-links"
    run(project, f"{lock} -o requirements.txt pyproject.toml", UV_CONSTRAINT=str(only))
    git(project, "init", "--quiet")
    commit(project, "Books")
    url = f"http://127.0.0.1:{port}/v1/books"
    with in_background(project, *shown("ogrom up").split()[1:]):
        asked(f"http://127.0.0.1:{page}")
        first = run(project, "ogrom deploy")
        assert "is live; 0 of 0 requests failed" in first
        book = {"title": "Dune", "year": 1965, "isbn": "9780441013593"}
        assert 201 == asked(url, content=json.dumps(book).encode())[0]
        core = project / "src" / "books" / "core.py"
        core.write_text(core.read_text().replace('"title": book', '"name": book'))
        commit(project, "Better books")
        assert "To go back: ogrom rollback" in run(project, "ogrom deploy")
        assert '"name":"Dune"' in asked(f"{url}/1")[1]
        run(project, "ogrom rollback")
        assert '"title":"Dune"' in asked(f"{url}/1")[1]
        assert "kept for ogrom rollback" in run(project, "ogrom status")
        assert '"service.name":"books"' in run(project, "ogrom logs green")


def commit(project, message):
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "-m", message)
