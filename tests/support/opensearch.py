"""The project's own way to start OpenSearch, for tests."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "ogrom_opensearch", Path(__file__).parents[2] / "tools" / "opensearch.py"
)
assert _SPEC
assert _SPEC.loader
_TOOL = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_TOOL)

Node = _TOOL.Node
CannotStart = _TOOL.CannotStart
