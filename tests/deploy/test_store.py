"""The store: once for each commit, whole or not at all, checked whenever it is read."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from ogrom.deploy import ArtifactError, Store

ONE = "1" * 40
TWO = "12" + "0" * 38


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Empty."""
    return Store(tmp_path / "store")


def artifact(tmp_path: Path, content: bytes = b"one", name: str = "tea-1.zip") -> Path:
    """A file to be put."""
    path = tmp_path / name
    path.write_bytes(content)
    return path


def left(tmp_path: Path) -> set[str]:
    return {path.name for path in (tmp_path / "store").iterdir()}


def test_what_was_put_is_got_by_any_abbreviation(store, tmp_path):
    """As long as it fits one commit only."""
    put = store.put(ONE, artifact(tmp_path))
    assert put == store.get(ONE) == store.get("11")
    assert b"one" == Path(put.path).read_bytes()
    assert {f"{ONE}.json", "tea-1.zip", "lock"} == left(tmp_path)


def test_putting_the_same_again_changes_nothing(store, tmp_path):
    """A build that is done twice is no error."""
    first = store.put(ONE, artifact(tmp_path))
    time = Path(first.path).stat().st_mtime_ns
    assert first == store.put(ONE, artifact(tmp_path))
    assert time == Path(first.path).stat().st_mtime_ns
    assert 1 == len(store.list())


def test_another_artifact_for_the_same_commit_is_refused(store, tmp_path):
    """And the first stays."""
    first = store.put(ONE, artifact(tmp_path))
    with pytest.raises(ArtifactError, match=r"has another artifact already.*remove "):
        store.put(ONE, artifact(tmp_path, b"two"))
    assert first == store.get(ONE)


@pytest.mark.parametrize("what", ["changed", "gone"])
def test_a_damaged_file_is_not_given_out_and_can_be_mended(store, tmp_path, what):
    """The message names the file and says what to do; putting the right one again mends it."""
    path = Path(store.put(ONE, artifact(tmp_path)).path)
    if what == "gone":
        path.unlink()
    else:
        path.write_bytes(b"onf")
    with pytest.raises(ArtifactError, match=rf"{path}.*ogrom build 1111111"):
        store.get(ONE)
    store.put(ONE, artifact(tmp_path))
    assert ONE == store.get(ONE).commit


def test_a_damaged_record_says_which(store, tmp_path):
    """The store cannot know then what the file was."""
    store.put(ONE, artifact(tmp_path))
    (tmp_path / "store" / f"{ONE}.json").write_text("{")
    with pytest.raises(ArtifactError, match=rf"{ONE}.json is damaged.*Remove it, then build"):
        store.get(ONE)


@pytest.mark.parametrize(
    ("commit", "said"),
    [("33", "no artifact of '33'. Build it first: ogrom build 33"), ("1", "fits .* Give more dig")],
)
def test_a_commit_that_is_not_there_or_not_the_only_one(store, tmp_path, commit, said):
    """What to do is in the message."""
    store.put(ONE, artifact(tmp_path))
    store.put(TWO, artifact(tmp_path, b"two", "tea-2.zip"))
    with pytest.raises(ArtifactError, match=said):
        store.get(commit)


def test_the_newest_is_listed_first_and_what_was_removed_is_not(store, tmp_path):
    """Removing what is not there is no error, and other files in the folder are nobody's."""
    store.put(ONE, artifact(tmp_path))
    store.put(TWO, artifact(tmp_path, b"two", "tea-2.zip"))
    (tmp_path / "store" / "notes.json").write_text("mine")
    assert [TWO, ONE] == [record.commit for record in store.list()]
    store.remove(ONE)
    store.remove(ONE)
    assert [TWO] == [record.commit for record in store.list()]
    assert "tea-1.zip" not in left(tmp_path)


@pytest.mark.slow
def test_two_processes_put_the_same_commit_at_once(tmp_path):
    """Both have the same result."""
    path = artifact(tmp_path, b"x" * 5_000_000)
    code = (
        "import sys; from pathlib import Path; from ogrom.deploy import Store; sys.stdin.read(1);"
        "print(Store(Path(sys.argv[1])).put(sys.argv[2], Path(sys.argv[3])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "store"), ONE, str(path)]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.stdin
        process.stdin.write("x")
        process.stdin.flush()
    told = [process.communicate(timeout=120)[0] for process in both]
    assert [0, 0] == [process.returncode for process in both]
    assert f"{Store(tmp_path / 'store').get(ONE)}\n" == told[0] == told[1]
    assert {f"{ONE}.json", "tea-1.zip", "lock"} == left(tmp_path)


def test_a_full_disk_leaves_nothing_behind(store, tmp_path):
    """Here a limit on the size of files; the message says how to get room."""
    path = artifact(tmp_path, b"x" * 200_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ArtifactError, match=r"There is no room.*ogrom prune"):
            store.put(ONE, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {"lock"} == left(tmp_path)
    assert not store.has(ONE)
    assert ONE == store.put(ONE, path).commit


def test_what_a_killed_process_left_aside_is_swept_away(store, tmp_path):
    """By the next one that puts something; what a living one has aside stays."""
    dead = tmp_path / "store" / ".aside-999999999-x"
    alive = tmp_path / "store" / f".aside-{os.getpid()}-x"
    dead.mkdir(parents=True)
    alive.mkdir()
    store.put(ONE, artifact(tmp_path))
    assert not dead.exists()
    assert alive.exists()


def test_a_store_that_cannot_be_written_says_so(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "store").write_text("")
    with pytest.raises(ArtifactError, match=r"The artifact cannot be written"):
        Store(tmp_path / "store").put(ONE, artifact(tmp_path))
