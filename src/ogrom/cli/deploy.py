"""The commands that change what is live: deploy, rollback, resume, promote."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import click
import msgspec

from ogrom import deploy as deploying
from ogrom.cli._common import Where, as_json, to, told, where
from ogrom.cli._progress import planned, showing
from ogrom.deploy import ArtifactError, Deployer, Outcome, Plan, Release, TargetError

_PLAN = click.option(
    "--plan", "only_plan", is_flag=True, help="Print what would be done, and stop."
)
_WAIT = click.option(
    "--wait",
    default=0.0,
    metavar="SECONDS",
    help="How long another deployer is waited for. [default: not at all]",
)

Rolls = Callable[[Deployer], Coroutine[Any, Any, Outcome]]
Plans = Callable[[Deployer], Coroutine[Any, Any, Plan | None]]


@click.command()
@click.argument("commit", default="HEAD")
@to
@_PLAN
@as_json
@_WAIT
def deploy(commit: str, target: str | None, only_plan: bool, as_json: bool, wait: float) -> None:
    """Have COMMIT serve: an id, an abbreviation, a branch or a tag; without it, HEAD.

    It is built first if the store does not have it. Nothing that serves is touched before the new
    release is healthy and warm; if it turns out to be worse, traffic goes back by itself. The exit
    status is 0 when it is live, 1 when nothing has changed, 3 when somebody has to look.
    """
    with told():
        at = where(target)
        release = _built(at, commit, quiet=as_json)
        _roll_out(at, release, only_plan=only_plan, as_json=as_json, wait=wait)


@click.command()
@to
@_PLAN
@as_json
@_WAIT
def rollback(target: str | None, only_plan: bool, as_json: bool, wait: float) -> None:
    """Have the release serve again that served before the present one.

    It is kept running, so this takes seconds.
    """
    with told():
        _roll(
            where(target),
            None,
            Deployer.rollback,
            Deployer.plan_rollback,
            only_plan=only_plan,
            as_json=as_json,
            wait=wait,
        )


@click.command()
@to
@as_json
@_WAIT
def resume(target: str | None, as_json: bool, wait: float) -> None:
    """End, or undo, a rollout whose deployer was killed.

    Every other command that deploys does this first, and `ogrom up` by itself.
    """
    with told():
        _roll(where(target), None, Deployer.resume, None, as_json=as_json, wait=wait)


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@_PLAN
@as_json
@_WAIT
def promote(source: str, target: str, only_plan: bool, as_json: bool, wait: float) -> None:
    """Deploy what is live in FROM to TO: the very same artifact, by its sha256."""
    with told():
        at = where(target)
        live = asyncio.run(where(source).target.observe()).live
        if live is None or live.release is None:
            raise TargetError(
                f"Nothing is live in {source}. Deploy to it first: ogrom deploy --to {source}"
            )
        release = deploying.Store(at.home / "store").get(live.release.commit)
        if release.sha256 != live.release.sha256:
            raise ArtifactError(
                f"{source} serves another artifact of {deploying.short(release.commit)} than the store has"
                f" now ({live.release.sha256[:12]}… and {release.sha256[:12]}…). Deploy to {source} again first."
            )
        _roll_out(at, release, only_plan=only_plan, as_json=as_json, wait=wait)


def _built(at: Where, commit: str, *, quiet: bool) -> Release:
    """The commit's artifact, built where the store has none."""
    store = deploying.Store(at.home / "store")
    try:
        found = deploying.resolve(at.repository, commit)
    except ArtifactError:
        try:  # built elsewhere, or of a branch that is gone
            return store.get(commit)
        except ArtifactError:
            pass
        raise
    say = _quiet if quiet else _say
    if store.has(found.id):
        if found.left_out:
            say(found.left_out)
        return store.get(found.id)
    say(f"{deploying.short(found.id)} is not in the store: building it …")
    return deploying.build(at.repository, found.id, home=at.home, say=say)


def _roll_out(at: Where, release: Release, *, only_plan: bool, as_json: bool, wait: float) -> None:
    """Deploy one release, warmed by the requests that its artifact declares."""
    warm = deploying.requests(release)
    _roll(
        at,
        release,
        lambda deployer: deployer.deploy(release, warm),
        lambda deployer: deployer.plan(release, warm),
        only_plan=only_plan,
        as_json=as_json,
        wait=wait,
    )


def _roll(
    at: Where,
    release: Release | None,
    rolls: Rolls,
    plans: Plans | None,
    *,
    as_json: bool,
    wait: float,
    only_plan: bool = False,
) -> None:
    """Do it, or print the plan of it; ends the process with its exit status."""
    with showing(as_json=as_json) as progress:

        async def run() -> Outcome:
            deployer = Deployer(
                at.target,
                at.home,
                deploying.settings(at.config),
                report=progress.event,
                note=progress.note,
                wait=wait,
            )
            if only_plan and plans is not None:
                return _shown(await plans(deployer), release, as_json=as_json)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, deployer.stop.set)
            return await rolls(deployer)

        outcome = asyncio.run(run())
        if outcome.message:
            progress.outcome(outcome)
    raise SystemExit(outcome.status)


def _shown(plan: Plan | None, release: Release | None, *, as_json: bool) -> Outcome:
    if plan is None:
        what = "There is nothing to go back to" if release is None else "It is live already"
        return Outcome("nothing", f"{what}: nothing would be done.")
    click.echo(msgspec.json.encode(plan).decode() if as_json else planned(plan))
    return Outcome("nothing", "")


def _say(line: str) -> None:
    click.echo(line, err=True)


def _quiet(_: str) -> None:
    """Programs read the events."""
