"""`ogrom serve`, as a platform starts it: a real process, told by its environment."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.server import free_port

from ogrom.cli import main

pytestmark = pytest.mark.slow

HELLO = """
import logging
from contextlib import asynccontextmanager
from ogrom.http import Resource, Service
from ogrom.serve import App

def greet(ctx, _):
    logging.getLogger("hello").warning("greeted %s", ctx["name"])
    return {"hello": ctx["name"]}

service = Service({"/hello/{name}": Resource(name="hello", handle_ok=greet)})

@asynccontextmanager
async def fails():
    raise KeyError("HELLO_DB")
    yield App(service=service)
"""


@contextmanager
def serving(folder, *words, **env):
    """`ogrom serve` of what is above; what it writes is in `out` and `err`."""
    (folder / "hello.py").write_text(HELLO)
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [Path(sys.executable).parent / "ogrom", "serve", "hello", *words],
            cwd=folder,
            env={**os.environ, **env},
            stdout=out,
            stderr=err,
        )
    try:
        until(lambda: "hello: " in (folder / "err").read_text() or process.poll() is not None)
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def until(holds):
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def asked(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.headers, answer.read()


def test_it_is_told_by_its_environment(tmp_path):
    """Where it listens, which release it is; requests and `logging` are lines of one log."""
    port = free_port()
    with serving(tmp_path, OGROM_LISTEN=f"127.0.0.1:{port}", OGROM_RELEASE="9f3c2e1") as process:
        headers, content = asked(f"http://127.0.0.1:{port}/hello/you")
        assert b'{"hello":"you"}' == content
        assert "9f3c2e1" == headers["Ogrom-Release"]
        process.send_signal(signal.SIGTERM)
        assert 0 == process.wait(timeout=60)
    lines = [json.loads(line) for line in (tmp_path / "out").read_text().splitlines()]
    assert ["greeted you", "GET /hello/you 200"] == [line["message"] for line in lines]
    assert {"9f3c2e1"} == {line["service.version"] for line in lines}
    assert {"hello"} == {line["service.name"] for line in lines}
    assert f"hello: http://127.0.0.1:{port}\n" == (tmp_path / "err").read_text()


def test_several_workers_say_once_where_they_are(tmp_path):
    """And answer on one port."""
    port = free_port()
    with serving(tmp_path, "--workers", "2", PORT=str(port)):
        assert b'{"hello":"you"}' == asked(f"http://127.0.0.1:{port}/hello/you")[1]
        ready = f"http://127.0.0.1:{port}/-/ready"
        until(lambda: json.loads(asked(ready)[1])["worker"] == 1)
        until(lambda: json.loads(asked(ready)[1])["worker"] == 2)
    assert 1 == (tmp_path / "err").read_text().count("hello: http://")


def test_it_serves_for_a_unix_socket(tmp_path):
    """As `ogrom up` has it."""
    place = tmp_path / "s"
    with (
        serving(tmp_path, "--listen", f"unix:{place}"),
        socket.socket(socket.AF_UNIX) as client,
    ):
        client.connect(str(place))
        client.sendall(b"GET /hello/you HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert f"hello: unix:{place}\n" == (tmp_path / "err").read_text()


def test_what_is_installed_comes_before_what_lies_about(tmp_path):
    """A release must run its own code, wherever it is started; here, Python's own module."""
    (tmp_path / "tabnanny.py").write_text(HELLO)
    ogrom = Path(sys.executable).parent / "ogrom"
    done = subprocess.run(
        [ogrom, "serve", "tabnanny:service"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (1, "Error: tabnanny has no 'service'.") == (done.returncode, done.stderr[:33])


def refused(*words):
    done = CliRunner().invoke(main, ["serve", *words])
    assert 1 == done.exit_code
    return done.output


def test_what_cannot_be_served_says_why(tmp_path):
    """In a sentence; where the application itself fails, from its own code on."""
    file = tmp_path / "hello.py"
    file.write_text(HELLO)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "cannot be listened on" in refused(f"{file}:service", "--port", port)
    assert "Did you mean 'service'?" in refused(f"{file}:servise")
    assert "There is no module 'nowhere'" in refused("nowhere:app")
    said = refused(f"{file}:fails", "--port", "0")
    assert "It cannot be served." in said
    assert f'{file}", line 15' in said
    assert said.endswith("KeyError: 'HELLO_DB'\n")
