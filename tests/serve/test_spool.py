"""Lines on disk: in their order, until they are settled, whoever dies meanwhile."""

import subprocess
import sys
from pathlib import Path

import pytest

from ogrom.serve._spool import Spool

MANY = 1 << 20


def lines(first: int, end: int) -> bytes:
    return b"".join(b"%06d\n" % number for number in range(first, end))


def everything(spool: Spool, position: int = 0) -> bytes:
    """All that is kept from a position on."""
    parts = []
    position = max(position, spool.start)
    while part := spool.read(position):
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def test_what_is_kept_is_read_in_its_order(tmp_path: Path) -> None:
    """Over segments, and from any position."""
    spool = Spool(tmp_path, most=MANY, segment=70)
    for first in range(0, 100, 5):
        assert spool.append(lines(first, first + 5))
    assert lines(0, 100) == everything(spool)
    assert lines(10, 100) == everything(spool, 70)
    assert lines(0, 100)[3:] == everything(spool, 3)
    assert (0, 700, 700) == (spool.start, spool.end, spool.size)
    assert b"" == spool.read(700)


def test_what_is_settled_goes_by_whole_segments(tmp_path: Path) -> None:
    """A position keeps its meaning, and files go."""
    spool = Spool(tmp_path, most=MANY, segment=70)
    for first in range(0, 40, 10):
        spool.append(lines(first, first + 10))
    files = len([*tmp_path.rglob("*.log")])
    spool.settle(100)
    assert (70, 210) == (spool.start, spool.size)
    assert files - 1 == len([*tmp_path.rglob("*.log")])
    assert lines(20, 40) == everything(spool, 140)
    spool.settle(280)
    assert 0 == spool.size
    spool.close()
    assert [] == [*tmp_path.iterdir()]


def test_past_the_limit_it_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    """All of what is given, or none."""
    spool = Spool(tmp_path, most=100, segment=70)
    assert spool.append(lines(0, 10))
    assert not spool.append(lines(10, 20))
    assert lines(0, 10) == everything(spool)
    spool.settle(70)
    assert spool.append(lines(10, 20))
    assert lines(10, 20) == everything(spool, 70)


def test_without_a_disk_memory_has_to_do(tmp_path: Path) -> None:
    """So much of it; the failure is told; later lines go to the disk again, in their order."""
    place = tmp_path / "spool"
    place.write_text("no folder")
    spool = Spool(place, most=MANY, memory=150)
    assert spool.append(lines(0, 10))
    assert str(place) in spool.failure
    assert spool.append(lines(10, 20))
    assert not spool.append(lines(20, 30))
    place.unlink()
    assert spool.append(lines(20, 30))
    assert "" == spool.failure
    assert lines(0, 30) == everything(spool)
    spool.settle(140)
    assert lines(20, 30) == everything(spool, 140)


DIES = """
import os, sys
from pathlib import Path
from ogrom.serve._spool import Spool
spool = Spool(Path(sys.argv[1]), most=1 << 20, segment=70)
for first in range(0, 30, 10):
    spool.append(b"".join(b"%06d\\n" % n for n in range(first, first + 10)))
os.write(spool._segments[-1]._fd, b"cut o") if len(sys.argv) > 2 else None
print("kept", flush=True)
sys.stdin.readline()
os._exit(1)
"""
"""A process that leaves lines, and ends without a word when it is told to."""


def dies(folder: Path, *cut: str) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-c", DIES, str(folder), *cut],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert b"kept\n" == process.stdout.readline()
    return process


def end(process: "subprocess.Popen[bytes]") -> None:
    process.communicate(b"\n", timeout=30)


@pytest.mark.slow
def test_what_the_dead_left_is_taken_over_once(tmp_path: Path) -> None:
    """Not while they live; by one of those who look; without the line that was cut off; after ours."""
    spool, other = Spool(tmp_path, most=MANY), Spool(tmp_path, most=MANY)
    spool.append(lines(90, 91))
    other.append(lines(95, 96))
    process = dies(tmp_path, "cut")
    assert (0, 0) == (spool.adopt(), other.adopt())
    end(process)
    assert (210, 0) == (spool.adopt(), other.adopt())
    assert lines(90, 91) + lines(0, 30) == everything(spool)
    assert spool.append(lines(91, 92))
    assert lines(90, 91) + lines(0, 30) + lines(91, 92) == everything(spool)
    for each in (spool, other):
        each.settle(each.end)
        each.close()
    assert [] == [*tmp_path.iterdir()]


@pytest.mark.slow
def test_an_heir_that_dies_too_leaves_all_of_it(tmp_path: Path) -> None:
    """What is not settled is never gone, however often it has changed hands."""
    end(dies(tmp_path))
    first = Spool(tmp_path, most=MANY)
    first.adopt()
    first.append(lines(30, 31))
    first.close()
    second = Spool(tmp_path, most=MANY)
    assert 217 == second.adopt()
    assert lines(0, 31) == everything(second)
    second.close()


def test_what_is_no_spool_is_left_alone(tmp_path: Path) -> None:
    """A file, and a folder without a lock, of somebody else."""
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "1.log").write_text("mine")
    spool = Spool(tmp_path, most=MANY)
    assert 0 == spool.adopt()
    spool.append(lines(0, 1))
    spool.settle(7)
    spool.close()
    assert {"folder", "notes.txt"} == {each.name for each in tmp_path.iterdir()}


def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    """Lines of a log tell of people."""
    spool = Spool(tmp_path / "log", most=MANY)
    spool.append(lines(0, 1))
    [folder] = (tmp_path / "log").iterdir()
    [file] = folder.glob("*.log")
    assert (0o700, 0o600) == (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777)
    spool.close()
