"""The commands of a local target: up, down, logs, scale."""

import asyncio
import fcntl
import re
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from msgspec import DecodeError, json

from ogrom.cli._common import to, told, where
from ogrom.deploy import NAMES, DeployError, Local, Name, launch, local_with
from ogrom.deploy.local import LocalTarget, Settings, Supervisor, serve

_WAIT: Final = 60.0


def _settings(target: str | None) -> tuple[Settings, Path]:
    """What pyproject.toml says of a target, and `$OGROM_HOME`."""
    with told():
        at = where(target)
    return settings_of(at.name, at.local, at.home), at.home


def settings_of(name: str, local: Local, where: Path) -> Settings:
    """A local target's settings.

    Args:
        name: the target's.
        local: what pyproject.toml says of it.
        where: `$OGROM_HOME`.
    """
    least, most = local.bounds
    ogrom = (sys.executable, "-m", "ogrom.cli")
    folder = where / "targets" / name
    return Settings(
        name=name,
        folder=folder,
        listen=local.listen,
        page=local.page,
        minimum=least,
        maximum=most,
        resume=(*ogrom, "resume", "--to", name),
        rollback=(*ogrom, "rollback", "--to", name),
        unfinished=partial(is_unfinished, folder),
    )


def is_unfinished(folder: Path) -> bool:
    """Whether the newest rollout's journal has no end: its last line tells none."""
    journals = sorted((folder / "rollouts").glob("*.jsonl"))
    if not journals:
        return False
    lines = journals[-1].read_bytes().splitlines()
    try:
        return not json.decode(lines[-1] if lines else b"", type=dict[str, Any]).get("end")
    except DecodeError:  # torn: its writer was killed
        return True


def _run(what: Callable[[], Coroutine[Any, Any, None]]) -> None:
    with told():
        asyncio.run(what())


@click.command()
@click.argument("target", required=False)
@click.option("--listen", help="Where clients connect. [default: pyproject.toml's]")
@click.option("--page", help="Where the page is; on loopback. [default: pyproject.toml's]")
@click.option("--deploy", "commit", help="Deploy this commit too, as soon as it is up.")
def up(target: str | None, listen: str | None, page: str | None, commit: str | None) -> None:
    """Keep TARGET running here, until Ctrl-C; the first of pyproject.toml without a name."""
    with told():
        at = where(target)
        local = local_with(at.local, listen, page)
    settings = settings_of(at.name, local, at.home)

    async def main() -> None:
        supervisor = _supervisor(settings, at.home)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, supervisor.stopping.set)
        click.echo(f"{at.name}: http://{local.listen}{at.config.look}")
        click.echo(f"Its page: http://{local.page}")
        async with _deploying(commit, at.name):
            await supervisor.run(serve)

    _run(main)


@asynccontextmanager
async def _deploying(commit: str | None, name: str) -> AsyncGenerator[None]:
    """`ogrom deploy` of the commit in a process of its own, which ends with us at the latest."""
    if commit is None:
        yield
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ogrom.cli", "deploy", commit, "--to", name),
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us; we hand it on
    )
    try:
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def _supervisor(settings: Settings, where: Path) -> Supervisor:
    return Supervisor(settings, partial(launch, home=where), click.echo)


@click.command()
@click.argument("target", required=False)
def down(target: str | None) -> None:
    """End all of TARGET in order: no new connections, what is in flight is answered."""
    settings, where = _settings(target)

    async def main() -> None:
        client = LocalTarget(settings.folder, patience=0.0)
        try:
            await client.down()
        except DeployError:  # nobody keeps it; what it kept may still run
            supervisor = _supervisor(settings, where)
            supervisor.stopping.set()
            await supervisor.run(_nobody)
            return
        until = time.monotonic() + settings.drain_seconds + settings.stop_seconds + 10
        while time.monotonic() < until and _keeps(settings.folder):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)
        click.echo(f"{settings.name} is down.")

    _run(main)


@asynccontextmanager
async def _nobody(_: Supervisor) -> AsyncGenerator[None]:
    yield


def _keeps(folder: Path) -> bool:
    """Whether an `ogrom up` holds the target."""
    with (folder / "up.lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@click.command()
@click.argument("name", type=click.Choice(NAMES), required=False)
@click.option("-f", "follow", is_flag=True, help="Go on with what is added, until Ctrl-C.")
@click.option("-n", "lines", default=50, show_default=True, help="How many lines.")
@to
def logs(name: Name | None, follow: bool, lines: int, target: str | None) -> None:
    """Show what an environment's instances have written; without NAME the live one's."""
    settings, _ = _settings(target)

    async def main() -> None:
        client = LocalTarget(settings.folder)
        live = (await client.observe()).live
        which = name or (live.name if live else NAMES[0])
        seen = {file: file.stat().st_size for file in _files(settings.folder, which)}
        click.echo(await client.tail(which, lines), nl=False)
        while follow:
            await asyncio.sleep(0.25)
            for file in _files(settings.folder, which):
                click.echo(_added(file, seen), nl=False)

    try:
        _run(main)
    except KeyboardInterrupt:
        return


def _files(folder: Path, name: Name) -> list[Path]:
    return sorted((folder / "logs").glob(f"{name}-*.log"))


def _added(file: Path, seen: dict[Path, int]) -> str:
    """The whole lines that were added since; a file that is shorter was begun anew."""
    size, start = file.stat().st_size, seen.get(file, 0)
    if size < start:
        start = 0
    with file.open("rb") as log:
        log.seek(start)
        whole = log.read(size - start).rpartition(b"\n")
    seen[file] = start + len(whole[0]) + len(whole[1])
    lines = (whole[0] + whole[1]).decode(errors="replace").splitlines()
    return "".join(f"{file.stem} | {line}\n" for line in lines)


@click.command()
@click.argument("instances")
@to
def scale(instances: str, target: str | None) -> None:
    """Have so many INSTANCES: a number, or the bounds between which they follow the load: 1..4."""
    found = re.fullmatch(r"(\d{1,2})(?:\.\.(\d{1,2}))?", instances)
    if not found:
        raise click.UsageError(f"{instances!r} is no number of instances. Write 3, or 1..4.")
    least, most = int(found[1]), int(found[2] or found[1])
    settings, _ = _settings(target)

    async def main() -> None:
        client = LocalTarget(settings.folder)
        await client.scale(least, most)
        until = time.monotonic() + _WAIT
        while True:
            live = (await client.observe()).live
            if live is None:
                click.echo(f"{settings.name}: {instances}, as soon as something is live.")
                return
            if live.healthy == live.wanted == len(live.instances):
                click.echo(f"{live.name}: {live.healthy} of {live.wanted} healthy ({instances}).")
                return
            if time.monotonic() > until:
                raise click.ClickException(
                    f"{live.name}: {live.healthy} of {live.wanted} are healthy after {_WAIT:g} s."
                    f" Their log: ogrom logs {live.name}"
                )
            await asyncio.sleep(0.1)

    _run(main)
