"""`ogrom dev`, as one works with it: real processes, real files, a real socket that is never closed."""

import json
import threading

import pytest
from click.testing import CliRunner
from support.traced import NOTES, developing

from ogrom.cli import main
from ogrom.cli._app import AppError, declared, load

pytestmark = pytest.mark.slow


def test_a_line_for_each_request(tmp_path):
    """Method, path, status, how long it took, where it ended, and where its trace is."""
    with developing(tmp_path / "app") as running:
        assert 200 == running.get("/notes/1")[0]
        trace = running.newest()
        running.until(lambda: trace["summary"]["id"] in running.log.read_text())
        line = next(each for each in running.log.read_text().splitlines() if each.startswith("GET"))
        assert line.startswith("GET     /notes/1  200  ")
        assert line.endswith(f" ms  ok  {running.url}/-/trace/{trace['summary']['id']}")


def test_a_change_is_served_and_no_request_is_refused(tmp_path):
    """While requests come one after the other; what was traced before is still there."""
    with developing(tmp_path / "app") as running:
        assert 200 == running.get("/notes/1")[0]
        stop, found = threading.Event(), []

        def ask():
            while not stop.is_set():
                try:
                    found.append(running.get("/notes/1")[0])
                except OSError as error:
                    found.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            (running.folder / "notes.py").write_text(NOTES.replace("milk", "bread"))
            running.until(lambda: b"bread" in running.get("/notes/1")[2])
        finally:
            stop.set()
            asking.join()
        assert {200} == set(found)
        assert len(found) > 5
        running.until(lambda: "reloaded in" in running.log.read_text())
        assert running.traces()["last"] >= len(
            found
        )  # those that the process before has answered, too


def test_code_that_cannot_be_run_takes_nobodys_place(tmp_path):
    """The code before answers; the terminal and the page say what is wrong; mended, it is served."""
    with developing(tmp_path / "app") as running:
        assert 200 == running.get("/notes/1")[0]
        file = running.folder / "notes.py"
        file.write_text(f"{NOTES}\nx = (\n")
        running.until(lambda: "was never closed" in running.traces()["broken"])
        assert 200 == running.get("/notes/1")[0]
        assert "Not reloaded" in running.log.read_text()
        file.write_text(NOTES.replace("milk", "bread"))
        running.until(lambda: b"bread" in running.get("/notes/1")[2])
        assert "" == running.traces()["broken"]


def test_code_that_never_ran_is_a_503(tmp_path):
    """With what is wrong, for whoever asks; mended, it is served."""
    with developing(tmp_path / "app", f"import nothing_like_it\n{NOTES}") as running:
        running.until(lambda: "It cannot start" in running.log.read_text())
        status, _, content = running.get("/notes/1")
        assert 503 == status
        assert "No module named 'nothing_like_it'" in json.loads(content)["detail"]
        assert 'notes.py", line 1' in json.loads(content)["detail"]
        (running.folder / "notes.py").write_text(NOTES)
        running.until(lambda: running.get("/notes/1")[0] == 200)


def test_an_exception_is_shown_where_one_looks_first(tmp_path):
    """From the developer's code on, without what called it."""
    with developing(tmp_path / "app") as running:
        assert 500 == running.get("/broken")[0]
        running.until(lambda: "ValueError: it is broken" in running.log.read_text())
        shown = running.log.read_text()
        assert f'{running.folder / "notes.py"}", line' in shown
        assert "ogrom/http" not in shown


def test_it_is_for_this_machine_alone():
    """Unless it is told, in so many words, that others may look."""
    done = CliRunner().invoke(main, ["dev", "x:y", "--host", "0.0.0.0"])
    assert 1 == done.exit_code
    assert "--exposed" in done.output


def test_which_application_is_asked_for(tmp_path, monkeypatch):
    """Where none is named, the message says how to."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["dev"])
    assert 1 == done.exit_code
    assert 'app = "module:name"' in done.output
    (tmp_path / "pyproject.toml").write_text('[tool.ogrom]\napp = "shop.run:application"\n')
    assert "shop.run:application" == declared(tmp_path)


KINDS = """
from contextlib import asynccontextmanager
from ogrom.http import Resource, Service
from ogrom.serve import App, asgi

resource = Resource(name="r", handle_ok=lambda ctx, _: {})
routes = {"/r": resource}
service = Service(routes)
whole = App(service=service)
number = 7

@asynccontextmanager
async def opening():
    yield whole

def application():
    return asgi(opening)

def wants(more):
    return service
"""


async def test_whatever_can_be_served_is_found(tmp_path, monkeypatch):
    """A service, routes, a resource, an app, what opens one, and what makes any of these."""
    (tmp_path / "kinds.py").write_text(KINDS)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("", ":resource", ":routes", ":service", ":whole", ":opening", ":application"):
        found = load(f"kinds{name}", tmp_path)
        async with getattr(found, "make", found)() as app:
            assert "r" == next(app.service.leaves()).name
    load("kinds.py:service", tmp_path)
    for wrong, says in (
        ("kinds:number", "is a int"), ("kinds:nothing", "has no 'nothing'. It has"), ("kinds:rotes", "Did you mean 'routes'"), ("nowhere:x", "no module 'nowhere'"),
        ("kinds:wants", "without arguments"),
    ):  # fmt: skip
        with pytest.raises(AppError, match=says):
            load(wrong, tmp_path)
