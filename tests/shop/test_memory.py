"""The shop's memory stays what it is, however much it is asked."""

from pathlib import Path

import pytest
from support.server import shop_server
from support.shopping import shopping

pytestmark = pytest.mark.slow

REQUESTS = 50_000
MOST = 20e6
"""Bytes that may come on top after the first tenth: 400 a request, if they were kept."""


def resident(pid: int) -> int:
    """Bytes of memory that are the process's own, by the kernel."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields["RssAnon"].split()[0]) * 1000


def test_fifty_thousand_requests_leave_nothing_behind(tmp_path):
    """Products, 304s, searches and comments: `make bench-memory REQUESTS=1000000` for more."""
    with shop_server(tmp_path / "state") as server:
        sizes: list[int] = []
        statuses: dict[int, int] = {}
        for _, found in shopping(server.port, REQUESTS):
            sizes.append(resident(server.process.pid))
            statuses = dict(found)
    assert {200, 201, 304} == set(statuses)
    assert REQUESTS == sum(statuses.values())
    assert max(sizes) - sizes[9] < MOST
