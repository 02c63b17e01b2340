"""A small application for `ogrom dev` to run, and a process that runs it."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from support.server import free_port

NOTES = '''
from msgspec import Struct

from ogrom.http import Context, Created, NoContent, Resource, Service, Unauthorized, Updated

NOTES = {"1": {"id": "1", "text": "milk", "access_token": "sesame-open-4711"}}
REVISIONS = {"1": 1}


class Draft(Struct, frozen=True, forbid_unknown_fields=True):
    """What is put."""

    text: str


async def find(ctx: Context) -> dict | None:
    return NOTES.get(ctx["id"])


async def who(ctx: Context) -> object:
    field = ctx.request.headers.get("authorization", "")
    return {"name": "anna", "password": field} if field or ctx.method == "GET" else None


async def put(ctx: Context, note: dict) -> object:
    note["text"] = ctx.body(Draft).text
    REVISIONS[note["id"]] += 1
    return Updated(note)


async def fail(ctx: Context) -> object:
    raise ValueError(f"it is broken: {ctx.request.headers.get('cookie')}")


note = Resource(
    name="note", body=Draft, authorized=who, challenge="Bearer", exists=find,
    etag=lambda note: f"r{REVISIONS[note['id']]}", precondition_required=True, put=put,
    languages=("en", "de"), handle_ok=lambda ctx, note: {**note, "url": ctx.path_for("note", id=note["id"])},
)
service = Service({"/notes/{id}": note, "/broken": Resource(name="broken", exists=fail)})
'''


def notes():
    """The service of the small application."""
    names = {"__name__": "notes"}
    exec(NOTES, names)
    return names["service"]


class Running:
    """A running `ogrom dev`."""

    def __init__(self, folder, process, port, log):
        self.folder, self.process, self.port, self.log = folder, process, port, log
        self.url = f"http://127.0.0.1:{port}"

    def get(self, path, method="GET", content=None, **fields):
        """Status, header fields and content of an answer."""
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        request = urllib.request.Request(
            f"{self.url}{path}", content, headers=headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, dict(answer.headers.items()), answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, dict(error.headers.items()), error.read()

    def traces(self):
        """What the list tells."""
        return json.loads(self.get("/-/trace/list")[2])

    def newest(self):
        """The newest trace, whole."""
        return json.loads(self.get(f"/-/trace/{self.traces()['traces'][0]['id']}")[2])

    def until(self, holds, seconds=60):
        """Waits until something is so."""
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)


@contextmanager
def developing(folder: Path, source: str = NOTES, *words: str):
    """`ogrom dev` on a small application; ended when the block is left."""
    folder.mkdir(exist_ok=True)
    (folder / "notes.py").write_text(source)
    port = free_port()
    log = folder / "out.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "ogrom.cli", "dev", "notes:service", "--port", str(port), *words],
            cwd=folder, stdout=out, stderr=subprocess.STDOUT, env={**os.environ, "NO_COLOR": "1"},
        )  # fmt: skip
    running = Running(folder, process, port, log)
    try:
        running.until(lambda: "Its traces" in log.read_text())
        yield running
    finally:
        process.terminate()
        process.wait(timeout=60)
