"""`ogrom up` in a process of its own, on releases that are small servers: their path is their kind.

Run by itself: `python tests/support/up.py FOLDER PORT MAXIMUM [PAGE]`.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from ogrom.deploy import ArtifactError, Launch, Release, TargetError
from ogrom.deploy.local import LocalTarget, Settings, Supervisor, serve
from ogrom.deploy.local._haproxy import find
from ogrom.deploy.local._process import marked

KINDS = ("good", "slow-start", "dies", "unhealthy", "hangs", "errors", "slower")


def launcher(release):
    if release.path == "shop":
        return Launch(command=[sys.executable, "-m", "shop.run", "serve"], env={}, cwd="/")
    if release.path.startswith("shop "):
        script = Path(__file__).parent / "shop_release.py"
        command = [sys.executable, str(script), release.path.removeprefix("shop ")]
        return Launch(command=command, env={}, cwd="/")
    if release.path not in KINDS:
        raise ArtifactError(f"{release.path} is missing.")
    script = Path(__file__).parent / "instance.py"
    return Launch(command=[sys.executable, str(script), release.path], env={}, cwd="/")


def release(commit, kind="good"):
    return Release(commit=commit, sha256=sha256(f"{commit} {kind}".encode()).hexdigest(), path=kind)


def needs_haproxy():
    """Skip where HAProxy is missing; with CI=true that is a failure."""
    try:
        find()
    except TargetError as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


class Untimed(LocalTarget):
    """A target that tells no times: on a busy machine those of the shop would condemn any release."""

    async def observe(self):
        seen = await super().observe()
        found = seen.environments
        for name, each in found.items():
            counts = replace(each.counts, buckets=(0,) * len(each.counts.buckets))
            found = {**found, name: replace(each, counts=counts)}
        return replace(seen, environments=found)


class Up:
    """A running `ogrom up`, which may be killed and started again."""

    def __init__(self, folder, port, maximum=4, page=None):
        self.folder, self.port, self.maximum, self.page = folder, port, maximum, page
        self.target = LocalTarget(folder)
        self.process = None

    def start(self):
        self.log = (self.folder.parent / f"{self.folder.name}.log").open("ab")
        words = [str(self.folder), str(self.port), str(self.maximum)]
        words += [str(self.page)] if self.page else []
        self.process = subprocess.Popen(
            [sys.executable, __file__, *words],
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        self.log.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=90)

    def said(self):
        return (self.folder.parent / f"{self.folder.name}.log").read_text()

    async def until(self, holds, seconds=90):
        """Wait for something to be so of what is observed."""
        end = time.monotonic() + seconds
        while True:
            seen = await self.target.observe()
            if holds(seen):
                return seen
            assert time.monotonic() < end, f"{seen}\n{self.said()}"
            await asyncio.sleep(0.05)

    async def live(self, name, made, instances=2, token=1):
        """Have a release live, with all of the traffic."""
        await self.target.start(name, made, instances, token=token)
        await self.until(lambda seen: seen.environments[name].healthy == instances)
        await self.target.shift({name: 100}, token=token)


@contextmanager
def running(folder, port, **options):
    """`ogrom up` while a block runs; all that it started is ended at the end."""
    needs_haproxy()
    folder.mkdir(parents=True)
    up = Up(folder, port, **options)
    up.start()
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.stop()
        for pids in marked(f"{folder}/").values():
            for pid in pids:
                os.kill(pid, signal.SIGKILL)


async def _main(folder, port, maximum, page=None):
    settings = Settings(
        name=folder.name,
        folder=folder,
        listen=f"127.0.0.1:{port}",
        page=f"127.0.0.1:{page}" if page else None,
        minimum=1,
        maximum=maximum,
    )
    up = Supervisor(settings, launcher, lambda line: print(line, flush=True))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, up.stopping.set)
    await up.run(serve)


if __name__ == "__main__":
    try:
        asyncio.run(_main(Path(sys.argv[1]), *map(int, sys.argv[2:])))
    except TargetError as error:
        sys.exit(str(error))
