"""The shop as a later release, whose schema has a step more: `shop_release.py expanded` or `refused`."""

import sys

from ogrom.sources.sql import Step
from shop.run import wiring
from shop.run.cli import main

STATEMENTS = {
    "expanded": "ALTER TABLE comments ADD COLUMN note VARCHAR(99) DEFAULT ''",
    "refused": "ALTER TABLE no_such_table ADD COLUMN note VARCHAR(99) DEFAULT ''",
}

if __name__ == "__main__":
    step = Step(2, "notes beside comments", (STATEMENTS[sys.argv[1]],))
    wiring.STEPS = (*wiring.STEPS, step)
    main(["serve"], prog_name="shop")
