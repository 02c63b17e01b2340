"""The commands that look, and the one that tidies up: status, history, prune."""

import asyncio
from contextlib import AsyncExitStack

import click
import msgspec

from ogrom import deploy
from ogrom.cli._common import Where, as_json, to, told, where
from ogrom.deploy import Entry, Environment, Observation


@click.command()
@to
@as_json
def status(target: str | None, as_json: bool) -> None:
    """Show what is live, with what share of the traffic, and how it is."""
    with told():
        at = where(target)
        observation = asyncio.run(at.target.observe())
        under_way = deploy.unfinished(at.home, at.name)
        entries = deploy.entries(at.home, at.name)
        if as_json:
            found = {
                "target": at.name,
                "observation": observation,
                "under_way": under_way,
                "last": entries[-1] if entries else None,
            }
            click.echo(msgspec.json.encode(found).decode())
            return
        click.echo(f"{at.name}  http://{observation.address}  page http://{observation.page}")
        for environment in observation.environments.values():
            click.echo(_environment(environment, observation))
        if under_way:
            click.echo(f"under way: {under_way}")
        if entries:
            click.echo(f"last: {_entry(entries[-1])}")


@click.command()
@to
@click.option("-n", "most", default=20, show_default=True, help="How many.")
@as_json
def history(target: str | None, most: int, as_json: bool) -> None:
    """Show what was deployed: when, who, from what to what, how it ended, and the counted proof."""
    with told():
        at = where(target)
        entries = deploy.entries(at.home, at.name)[-most:]
    if as_json:
        click.echo(msgspec.json.encode(entries).decode())
        return
    for entry in entries:
        click.echo(_entry(entry))
        if entry.reason:
            click.echo(f"    {entry.reason.splitlines()[0]}")
    if not entries:
        click.echo(f"Nothing was deployed to {at.name} yet: ogrom deploy")


@click.command()
@click.option("--keep", type=click.IntRange(min=0), help="How many. [default: pyproject.toml's]")
def prune(keep: int | None) -> None:
    """Remove artifacts that no target needs, but for the newest.

    What serves, what a rollback goes to and what is being deployed always stays.
    """
    with told():
        at = where()
        for pruned in asyncio.run(_prune(at, at.config.rollout.keep if keep is None else keep)):
            short = deploy.short(pruned.record.commit)
            click.echo(f"{short}  {pruned.record.file}  removed, {pruned.freed / 1e6:.1f} MB")
        for commit, why in deploy.needed(at.home).items():
            click.echo(f"{deploy.short(commit)}  stays: {why}")


async def _prune(at: Where, keep: int) -> list[deploy.Pruned]:
    async with AsyncExitStack() as stack:
        for name in at.config.targets:  # no deploy begins meanwhile
            await stack.enter_async_context(deploy.target(at.home, name).lease("prune", wait=5))
        return deploy.prune(at.home, keep, deploy.needed(at.home))


def _environment(environment: Environment, observation: Observation) -> str:
    release, counts = environment.release, environment.counts
    if release is None:
        return f"  {environment.name:6} empty"
    is_live = observation.live is not None and observation.live.name == environment.name
    lines = [
        f"  {environment.name:6} {deploy.short(release.commit)}  {environment.share:3} %  "
        f"{environment.healthy} of {environment.wanted} healthy  {environment.in_flight} in flight  "
        f"{counts.errors:,} of {counts.requests:,} requests failed"
        + ("  live" if is_live else "  kept for ogrom rollback" if not environment.share else "")
    ]
    lines += [
        f"         {environment.name}-{each.number} {each.state}, {each.restarts} restarts"
        + (f": {each.detail}" if each.detail else "")
        for each in environment.instances
        if each.state != "healthy" or each.restarts
    ]
    return "\n".join(lines)


def _entry(entry: Entry) -> str:
    came_from = f"{deploy.short(entry.old.commit)} -> " if entry.old else ""
    return (
        f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}  {entry.who}@{entry.host}  {entry.kind}  "
        f"{came_from}{deploy.short(entry.release.commit)}  {entry.result}  {entry.seconds:.1f} s  "
        f"{entry.failed:,} of {entry.requests:,} requests failed"
    )
