"""A deployer in a process of its own, to be killed: `deployer.py FOLDER deploy COMMIT KIND [WAIT [WATCH]]`.

Or `deployer.py FOLDER rollback`, `deployer.py FOLDER resume`. It deploys to the target that
`support.up` keeps in FOLDER, prints a line for each step, and ends with the outcome's status.
"""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

from msgspec.structs import replace

from ogrom.deploy import Deployer, DeployError, Request, Settings
from ogrom.deploy.local import LocalTarget

HERE = Path(__file__).resolve().parent
SETTINGS = Settings(
    weights=(10, 50, 100), start_seconds=60, warm_seconds=0.3, watch_seconds=0.4, watch_most=60
)
NEVER_HEALTHY = {"unhealthy": 8, "hangs": 8}
"""How many seconds these kinds are given: nothing would come of more."""


def deployer(folder, *words):
    """Start one; its output is read by `communicate`."""
    return subprocess.Popen(
        [sys.executable, __file__, str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=HERE.parent,
        env=None,
    )


def deployed(folder, *words):
    """One from beginning to end: its exit status and all that it said."""
    process = deployer(folder, *words)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


async def main(folder, what, commit="", kind="good", wait="0", watch="0.4"):
    sys.path.insert(0, str(HERE.parent))
    from support.up import release

    work = Deployer(
        LocalTarget(folder),
        folder.parent.parent,
        replace(
            SETTINGS,
            start_seconds=NEVER_HEALTHY.get(kind, SETTINGS.start_seconds),
            watch_seconds=float(watch),
        ),
        report=lambda event: print(event.event, event.step.id, event.detail, flush=True),
        note=lambda line: print(line, flush=True),
        wait=float(wait),
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.stop.set)
    if what == "deploy":
        outcome = await work.deploy(release(commit, kind), (Request("/work"),))
    else:
        outcome = await getattr(work, what)()
    print(outcome.message, flush=True)
    return outcome.status


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(Path(sys.argv[1]), *sys.argv[2:])))
    except DeployError as error:
        print(error)
        sys.exit(1)
