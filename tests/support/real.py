"""Real servers, one of each for all the processes of a test run: tools/sources.py starts and ends them."""

import os
import subprocess
import sys
from pathlib import Path
from secrets import token_hex

import databases
import pytest
import sources
from rsyslog import Rsyslog

from support.database import Server, fresh


class Real:
    """The servers of a test run, started when first wanted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *names: str) -> None:
        """See that these run, or all; skip the test where one is missing, with CI=true fail it."""
        # By a process that ends: none of our own would ever wait for them.
        command = [sys.executable, sources.__file__, "--dir", str(self.folder), "--unkept", "start"]
        done = subprocess.run([*command, *names], capture_output=True, text=True, check=False)
        if done.returncode == sources.MISSING and os.environ.get("CI") != "true":
            pytest.skip(done.stderr.strip().splitlines()[-1])
        assert not done.returncode, done.stderr

    def fresh(self) -> dict[str, str]:
        """The environment of a shop of its own on all of them: a new database, and no index yet."""
        self.start()
        told = sources.environment(self.folder)
        engine, _, _ = told["OGROM_SEARCH"].rpartition("/")
        return {
            **told,
            "OGROM_DB": fresh(told["OGROM_DB"]),
            "OGROM_SEARCH": f"{engine}/t{token_hex(4)}",
        }

    @property
    def database(self) -> Server:
        """The MariaDB or MySQL."""
        return Server(self.folder / databases.product().name)

    @property
    def lines(self) -> Path:
        """Where the log lines go that shops send."""
        return Rsyslog(self.folder / "rsyslog").lines
