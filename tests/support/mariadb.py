"""The project's own way to start MariaDB, for tests."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "ogrom_mariadb", Path(__file__).parents[2] / "tools" / "mariadb.py"
)
assert _SPEC
assert _SPEC.loader
_TOOL = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_TOOL)

Server = _TOOL.Server
Missing = _TOOL.Missing
