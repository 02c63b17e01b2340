"""`ogrom build`: a commit becomes an artifact."""

import json
import time
from pathlib import Path

import click

from ogrom import deploy


@click.command()
@click.argument("commit", default="HEAD")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def build(commit: str, as_json: bool) -> None:
    """Build a commit, never the working tree, and store the artifact.

    COMMIT is an id, an abbreviation, a branch or a tag; without it, HEAD. A commit that was built
    before is there already.
    """
    repository = Path.cwd()
    home = deploy.home(repository)
    started = time.monotonic()
    try:
        known = deploy.Store(home / "store").has(deploy.resolve(repository, commit).id)
        release = deploy.build(repository, commit, home=home, say=_say)
    except deploy.DeployError as error:
        raise click.ClickException(str(error)) from None
    seconds = time.monotonic() - started
    path = Path(release.path)
    size = path.stat().st_size
    if as_json:
        found = {
            "commit": release.commit,
            "file": path.name,
            "path": release.path,
            "size": size,
            "sha256": release.sha256,
            "already": known,
            "seconds": round(seconds, 3),
        }
        click.echo(json.dumps(found))
        return
    click.echo(
        f"{deploy.short(release.commit)}  {path.name}  {size / 1e6:.1f} MB  "
        f"sha256 {release.sha256[:12]}…  {'already there' if known else 'stored'} ({seconds:.1f} s)"
    )


def _say(line: str) -> None:
    click.echo(line, err=True)
