"""The project's own way to put Varnish in front of a server, for tests."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import debian
import pytest
import varnish

from support.exchange import Wire


@contextmanager
def in_front_of(port: int) -> Iterator[Wire]:
    """A client of a real, empty Varnish in front of that port; without one the test is skipped."""
    cache = varnish.Varnish(("127.0.0.1", port))
    try:
        cache.start()
    except debian.Missing as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"Varnish: {error}")
    client = Wire(cache.port)
    try:
        yield client
    finally:
        client.close()
        cache.stop()
