"""Where an embedded index lives on disk: generations, of which one is live.

Rule 1. A generation is filled as a draft, then published, and never changes again.
Rule 2. `current-<version>` names the live one. It is replaced by a rename, and that is the commit.
Rule 3. A draft is filled in transactions, each with a mark that says how far it has come. Killed
        at any moment, it is found again by its label and goes on from its last mark.
Rule 4. Who writes holds the lock, which the kernel takes back when its holder dies. Readers hold
        nothing: files that they have open outlive their names.
Rule 5. Each version of the schema has its own live generation, so that during a deployment the
        old release goes on with what it can read. Whoever opens a store in which another version
        has a newer catalogue, by its number, makes its own of that: see `ahead`.
Rule 6. What is live by one other version, the last that was published, is never dropped.

    <store>/current-5d41402a               000002-9f3c2e1a
    <store>/lock
    <store>/000002-9f3c2e1a/documents.db   the documents, numbered by id
    <store>/000002-9f3c2e1a/index/         what they are found by
    <store>/000002-9f3c2e1a/about.json     how it was made, the words learnt among it
"""

import fcntl
import os
import shutil
import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import msgspec

from ogrom.sources._errors import Busy
from ogrom.sources._query import Document

_CURRENT = "current"
_ASIDE = ".new"
_DOCUMENTS = "documents.db"

_DRAFT = """
CREATE TABLE draft (id TEXT PRIMARY KEY, body BLOB NOT NULL, clues BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE label (label TEXT NOT NULL, base TEXT NOT NULL, mark INTEGER NOT NULL);
"""

_REOPENED = """
CREATE TABLE draft (id TEXT PRIMARY KEY, body BLOB NOT NULL, clues BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO draft SELECT id, body, clues FROM document;
DROP TABLE document;
"""

# Numbered in the order of ids: the number decides between documents that are equal otherwise.
_NUMBERED = """
CREATE TABLE document
    (number INTEGER PRIMARY KEY, id TEXT UNIQUE NOT NULL, body BLOB NOT NULL, clues BLOB NOT NULL);
INSERT INTO document (id, body, clues) SELECT id, body, clues FROM draft ORDER BY id;
DROP TABLE draft;
"""

_ENCODE = msgspec.msgpack.Encoder()
_DECODE = msgspec.msgpack.Decoder(Document)


class Live(NamedTuple):
    """What `current` says, and by what to tell that it says so no longer."""

    name: str
    stamp: tuple[int, int]


class Numbered(NamedTuple):
    """A document and its number."""

    number: int
    document: Document


class Generations:
    """The generations in one directory, as one version of the schema sees them."""

    def __init__(self, path: Path, version: str) -> None:
        self.path = path
        self._current = path / f"{_CURRENT}-{version}"
        path.mkdir(parents=True, exist_ok=True)

    def stamp(self) -> tuple[int, int]:
        """Changes whenever another generation becomes the live one: one look at the disk."""
        try:
            stat = self._current.stat()
        except FileNotFoundError:
            return 0, 0
        return stat.st_mtime_ns, stat.st_ino

    def live(self) -> Live | None:
        """The live generation; None in an empty store."""
        # The stamp first: what is published in between is then looked at once more, not missed.
        stamp = self.stamp()
        try:
            name = self._current.read_text().strip()
        except FileNotFoundError:
            return None
        return Live(name, stamp)

    def ahead(self) -> str | None:
        """Another version's live generation, where it has a newer catalogue than ours."""
        live = self.live()
        newest = max(self._of_others(), key=number, default="")
        return newest if number(newest) > number(live.name if live else "") else None

    @contextmanager
    def lock(self, *, wait: bool) -> Generator[None]:
        """Be the one who writes; raises Busy where another is and `wait` is false."""
        with (self.path / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(
                    f"Another process is writing to {self.path}. Try again when it is done."
                ) from None
            yield

    def draft(self, label: str, *, keep: bool) -> "Draft":
        """The draft of this label, gone on with or begun; with `keep`, from what is live.

        Other drafts are dropped, and so is one that was begun from what is no longer live.
        """
        live = self.live()
        base = live.name if live else ""
        newest = max(number(base), *map(number, self._of_others()), 0)
        return self._draft(label, base, newest + 1, keep=keep)

    def remake(self, label: str, base: str) -> "Draft":
        """A draft of the same catalogue as `base`, another version's, and with its number."""
        return self._draft(label, base, number(base), keep=True)

    def _draft(self, label: str, base: str, number: int, *, keep: bool) -> "Draft":
        for path in self._drafts():
            if _label(path) == (label, base):
                draft = Draft(path)
                draft.reopen()
                return draft
            shutil.rmtree(path)
        path = self.path / f"{number:06d}-{token_hex(4)}"
        path.mkdir()
        draft = Draft(path)
        draft.begin(label, base, self.path / base / _DOCUMENTS if keep and base else None)
        return draft

    def publish(self, path: Path) -> None:
        """Make a finished draft the live generation, and drop what nobody needs any more."""
        for file in path.rglob("*"):
            _sync(file)
        _sync(path)
        aside = self._current.with_suffix(_ASIDE)
        aside.write_text(path.name)
        _sync(aside)
        aside.replace(self._current)
        _sync(self.path)
        for current in self._currents()[1:]:
            current.unlink()
        for other in self._drafts():
            shutil.rmtree(other)

    def _currents(self) -> list[Path]:
        """What the other versions call live, the last published first."""
        found: list[tuple[int, Path]] = []
        for path in self.path.glob(f"{_CURRENT}*"):
            if path != self._current and path.suffix != _ASIDE:
                with suppress(FileNotFoundError):  # dropped at this moment
                    found.append((path.stat().st_mtime_ns, path))
        return [path for _, path in sorted(found, reverse=True)]

    def _of_others(self) -> list[str]:
        names: list[str] = []
        for path in self._currents():
            with suppress(FileNotFoundError):
                names.append(path.read_text().strip())
        return names

    def _drafts(self) -> list[Path]:
        """Whatever is live by no version."""
        live = self.live()
        kept = {live.name if live else "", *self._of_others()}
        return [path for path in self.path.iterdir() if path.is_dir() and path.name not in kept]


def drafts(path: Path) -> Generations:
    """Where documents are gathered that are to be published elsewhere: nothing here goes live."""
    return Generations(path, "elsewhere")


def number(name: str) -> int:
    """Which catalogue a generation is of; a higher number is a newer one, and 0 is none."""
    return int(name.partition("-")[0] or 0)


class Draft:
    """A generation while it is being filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._db = sqlite3.connect(path / _DOCUMENTS, isolation_level=None)
        self._db.execute("PRAGMA synchronous = NORMAL")

    def begin(self, label: str, base: str, documents: Path | None) -> None:
        """Write down whose draft this is, with the documents that it starts from."""
        if documents is not None:
            self._db.execute("ATTACH ? AS base", (str(documents),))
        with self._transaction():
            self._each(_DRAFT)
            self._db.execute("INSERT INTO label VALUES (?, ?, 0)", (label, base))
            if documents is not None:
                self._db.execute("INSERT INTO draft SELECT id, body, clues FROM base.document")
        if documents is not None:
            self._db.execute("DETACH base")

    def reopen(self) -> None:
        """Let documents be put again into what was already numbered when its writer died."""
        if self._has("document"):
            self._run(_REOPENED)

    @property
    def label(self) -> str:
        """Whose draft this is."""
        [(label,)] = self._db.execute("SELECT label FROM label")
        return str(label)

    @property
    def mark(self) -> int:
        """How far this draft has come; 0 is nowhere yet."""
        [(mark,)] = self._db.execute("SELECT mark FROM label")
        return int(mark)

    def put(self, documents: Iterable[Document], mark: int = 0) -> None:
        """Keep the documents, each in place of the one with its id, and the mark: all or none."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO draft VALUES (?, ?, ?)",
                ((document.id, document.body, _clues(document)) for document in documents),
            )
            self._db.execute("UPDATE label SET mark = max(mark, ?)", (mark,))

    def number(self) -> None:
        """Number the documents by id; nothing can be put any more."""
        self._run(_NUMBERED)
        self._db.execute("VACUUM")

    def documents(self) -> Iterator[Numbered]:
        """All documents, without their bodies, in the order of their numbers."""
        for number, clues in self._db.execute("SELECT number, clues FROM document ORDER BY number"):
            yield Numbered(number, _DECODE.decode(clues))

    def whole(self) -> Iterator[tuple[int, Document, bytes]]:
        """All documents with their numbers, and beside each its body."""
        asked = "SELECT number, clues, body FROM document ORDER BY number"
        for number, clues, body in self._db.execute(asked):
            yield number, _DECODE.decode(clues), body

    def count(self) -> int:
        """How many documents there are, numbered as they must be by now."""
        [(count,)] = self._db.execute("SELECT count(*) FROM document")
        return int(count)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _has(self, table: str) -> bool:
        found = self._db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,))
        return found.fetchone() is not None

    def _run(self, script: str) -> None:
        with self._transaction():
            self._each(script)

    def _each(self, script: str) -> None:
        # `executescript` would commit what has been begun.
        for statement in script.split(";"):
            self._db.execute(statement)

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


class Bodies:
    """The bodies of a published generation's documents."""

    def __init__(self, path: Path) -> None:
        # Immutable is true (rule 1) and spares every lock; two threads never share a cursor.
        uri = f"{(path / _DOCUMENTS).absolute().as_uri()}?mode=ro&immutable=1"
        self._db = sqlite3.connect(uri, uri=True, check_same_thread=False)
        self._db.execute("PRAGMA cache_size = -512")
        self._db.execute("SELECT 1 FROM document").fetchone()  # a missing file shows only now

    def by_id(self, document_id: str) -> bytes | None:
        """The body of the document with this id."""
        row: tuple[bytes] | None = self._db.execute(
            "SELECT body FROM document WHERE id = ?", (document_id,)
        ).fetchone()
        return row and row[0]

    def by_number(self, number: int) -> bytes:
        """The body of the document with this number."""
        [body] = self._db.execute(
            "SELECT body FROM document WHERE number = ?", (number,)
        ).fetchone()
        return bytes(body)

    def __len__(self) -> int:
        [(count,)] = self._db.execute("SELECT count(*) FROM document")
        return int(count)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()


def _clues(document: Document) -> bytes:
    return _ENCODE.encode(msgspec.structs.replace(document, body=b""))


def _label(path: Path) -> tuple[str, str] | None:
    """Whose draft this is; None where it was killed before it could say."""
    try:
        with closing(sqlite3.connect(path / _DOCUMENTS)) as db:
            [(label, base)] = db.execute("SELECT label, base FROM label")
    except (sqlite3.Error, ValueError):
        return None
    return label, base


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
