"""For tests of one source set's own ways."""

import pytest


def only(source_set: str, reason: str) -> pytest.MarkDecorator:
    """The test is run on this source set alone; the reason is for whoever reads it."""
    assert reason
    marks = [pytest.mark.slow] if source_set == "real" else []
    return pytest.mark.parametrize(
        "source_set", [pytest.param(source_set, marks=marks)], indirect=True
    )
