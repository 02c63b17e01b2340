"""Where an embedded index lives on disk: generations, of which one is live.

Rule 1. A generation is filled as a draft, then published, and never changes again.
Rule 2. `current` names the live one. It is replaced by a rename, and that is the commit.
Rule 3. A draft is filled in transactions, each with a mark that says how far it has come. Killed
        at any moment, it is found again by its label and goes on from its last mark.
Rule 4. Who writes holds the lock, which the kernel takes back when its holder dies. Readers hold
        nothing: files that they have open outlive their names.

    <store>/current                        000002-9f3c2e1a
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
from contextlib import closing, contextmanager
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

import msgspec

from ogrom.sources._query import Document

_CURRENT = "current"
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


class Busy(Exception):
    """Another process is writing to this store. Wait for it, or try again later."""


class Live(NamedTuple):
    """What `current` says, and by what to tell that it says so no longer."""

    name: str
    stamp: tuple[int, int]


class Numbered(NamedTuple):
    """A document and its number."""

    number: int
    document: Document


class Generations:
    """The generations in one directory."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)

    def stamp(self) -> tuple[int, int]:
        """Changes whenever another generation becomes the live one: one look at the disk."""
        try:
            stat = (self.path / _CURRENT).stat()
        except FileNotFoundError:
            return 0, 0
        return stat.st_mtime_ns, stat.st_ino

    def live(self) -> Live | None:
        """The live generation; None in an empty store."""
        # The stamp first: what is published in between is then looked at once more, not missed.
        stamp = self.stamp()
        try:
            name = (self.path / _CURRENT).read_text().strip()
        except FileNotFoundError:
            return None
        return Live(name, stamp)

    @contextmanager
    def lock(self, *, wait: bool) -> Generator[None]:
        """Be the one who writes; raises Busy where another is and `wait` is false."""
        with (self.path / "lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"Another process is writing to {self.path}.") from None
            yield

    def draft(self, label: str, *, keep: bool) -> "Draft":
        """The draft of this label, gone on with or begun; with `keep`, from what is live.

        Other drafts are dropped, and so is one that was begun from what is no longer live.
        """
        live = self.live()
        base = live.name if live else ""
        for path in self._others(base):
            if _label(path) == (label, base):
                draft = Draft(path)
                draft.reopen()
                return draft
            shutil.rmtree(path)
        number = int(base.partition("-")[0] or 0) + 1
        path = self.path / f"{number:06d}-{token_hex(4)}"
        path.mkdir()
        draft = Draft(path)
        draft.begin(label, base, self.path / base / _DOCUMENTS if keep and base else None)
        return draft

    def publish(self, path: Path) -> None:
        """Make a finished draft the live generation, and drop all others."""
        for file in path.rglob("*"):
            _sync(file)
        _sync(path)
        aside = self.path / f"{_CURRENT}.new"
        aside.write_text(path.name)
        _sync(aside)
        aside.replace(self.path / _CURRENT)
        _sync(self.path)
        for other in self._others(path.name):
            shutil.rmtree(other)

    def _others(self, live: str) -> list[Path]:
        return [path for path in self.path.iterdir() if path.is_dir() and path.name != live]


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
