"""Reading a catalogue file into the locales' stores: in batches, and again from where it stopped.

The file is read twice. First whole, for its identity, its length and what it has; then once more,
and what is good of it is kept, a batch at a time. Each locale's batch is kept together with the
number of its last line, so that an import killed at any moment is gone on with by the next one of
the same file, and ends with the same products. Shoppers see a locale's all at once, at the very end.
"""

import asyncio
import gzip
import hashlib
import io
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol
from zlib import error as ZlibError  # noqa: N812 - it is an exception, and should look like one

import msgspec
from msgspec import Struct

from ogrom.sources.search import Address, Draft, connect
from shop.protocols import LOCALES, Product
from shop.sources._columns import BadRow, Columns, Row
from shop.sources.products import TantivyProducts, document
from shop.sources.products_elastic import ElasticProducts

BATCH = 1_000
"""How many lines are read between two marks."""

LINE_LIMIT = 1 << 20
"""Longer lines are bad ones, and not kept in memory."""

SAID = 100
"""How many bad lines a report tells of; it counts them all."""

_READING = 1
"""Changes whenever the same file would make other products."""

Step = Literal["look", "read", "index"]
Progress = Callable[[Step, int, int], None]
"""Called with the step, how much of it is done, and how much there is."""


class Unusable(Exception):
    """Nothing of the file can be imported; the message says what to do."""


class BadLine(Struct, frozen=True):
    """A line that was left out, and why."""

    line: int
    reason: str


class Report(Struct, frozen=True, kw_only=True):
    """What became of a file."""

    read: int
    """Lines, without the header and empty ones."""

    stored: Mapping[str, int]
    """Products by locale: as many as the file has."""

    empty: Mapping[str, int]
    """Rows left out of a locale because nothing is said in its language."""

    repeated: int
    """Rows of an id that an earlier row had. The last one counts."""

    bad: int
    bad_lines: tuple[BadLine, ...]
    """The first of them."""

    ignored: tuple[str, ...]
    """Columns that mean nothing to us."""

    replaced: tuple[str, ...]
    """Locales whose generated products gave way."""

    unchanged: tuple[str, ...]
    """Locales whose last import was this very file."""

    resumed: int
    """The line from which an interrupted import went on; 0 where there was none."""


class _Store(Protocol):
    """Where the products of a locale are put."""

    @property
    def label(self) -> str | None: ...

    @property
    def generated(self) -> bool: ...

    def importing(self, label: str) -> AbstractContextManager[Draft]: ...


class _Line(NamedTuple):
    number: int
    row: Row | None
    reason: str = ""


class _Look(NamedTuple):
    """What the first reading finds out."""

    label: str
    lines: int
    locales: tuple[str, ...]


def store(state: Path, locale: str) -> Path:
    """Where the products of a locale are kept."""
    return state / "products" / locale


def import_file(
    file: Path, state: Path, progress: Progress | None = None, engine: Address | None = None
) -> Report:
    """Import a catalogue file into the stores below `state`, or into the engine where one is named.

    Raises Unusable where nothing can be done with the file, and `ogrom.sources.search.Unavailable`
    where the engine is not there, or another import is at work (`Busy`).
    """
    progress = progress or _unseen
    source = _Source(file)
    look = source.look(progress)
    with ExitStack() as closing:
        if engine is not None:
            remote = closing.enter_context(_remote(engine, state, look.locales))
            return _import(source, look, remote, progress)
        stores: dict[str, TantivyProducts] = {}
        for locale in look.locales:
            stores[locale] = TantivyProducts.open(store(state, locale), locale)
            closing.callback(stores[locale].close)
        return _import(source, look, stores, progress)


class _Remote:
    """Products in an engine, for a program that waits for it and does nothing besides."""

    def __init__(self, runner: asyncio.Runner, products: ElasticProducts, folder: Path) -> None:
        self._runner = runner
        self._products = products
        self._folder = folder
        runner.run(products.look())

    @property
    def label(self) -> str | None:
        return self._products.label

    @property
    def generated(self) -> bool:
        return self._products.generated

    @contextmanager
    def importing(self, label: str) -> Generator[Draft]:
        block = self._products.importing(label, self._folder)
        draft = self._runner.run(block.__aenter__())
        try:
            yield draft
        except BaseException as error:
            self._runner.run(block.__aexit__(type(error), error, error.__traceback__))
            raise
        self._runner.run(block.__aexit__(None, None, None))


@contextmanager
def _remote(engine: Address, state: Path, locales: Sequence[str]) -> Generator[dict[str, _Remote]]:
    with asyncio.Runner() as runner:
        connection = connect(engine)
        connected = runner.run(connection.__aenter__())
        try:
            yield {
                locale: _Remote(
                    runner, ElasticProducts(connected, locale), state / "imports" / locale
                )
                for locale in locales
            }
        finally:
            runner.run(connection.__aexit__(None, None, None))


def _unseen(step: Step, done: int, total: int) -> None:
    """Show nothing."""


def _import(
    source: "_Source", look: _Look, stores: Mapping[str, _Store], progress: Progress
) -> Report:
    unchanged = tuple(locale for locale, one in stores.items() if one.label == look.label)
    replaced = tuple(locale for locale, one in stores.items() if one.generated)
    tally = _Tally(look)
    with ExitStack() as drafts:
        kept: dict[str, tuple[Draft, int]] = {}
        for locale, products in stores.items():
            if locale not in unchanged:
                draft = drafts.enter_context(products.importing(look.label))
                kept[locale] = draft, draft.mark
        for batch in _batches(source.lines()):
            found = tally.take(batch)
            last = batch[-1].number
            for locale, (draft, mark) in kept.items():
                if last > mark:
                    draft.put(map(document, found[locale].values()), last)
            progress("read", last, look.lines)
        progress("index", 0, len(kept))
    progress("index", len(kept), len(kept))
    return Report(
        read=tally.read,
        stored={locale: len(ids) for locale, ids in tally.stored.items()},
        empty=dict(tally.empty),
        repeated=tally.repeated,
        bad=tally.bad,
        bad_lines=tuple(tally.bad_lines),
        ignored=tuple(source.columns.ignored),
        replaced=replaced,
        unchanged=unchanged,
        resumed=min((mark for _, mark in kept.values()), default=0),
    )


class _Tally:
    """What has been read so far. It is all read again after a kill, so that no count is lost."""

    def __init__(self, look: _Look) -> None:
        self._locales = look.locales
        self._ids: Counter[str] = Counter()
        self.read = self.bad = self.repeated = 0
        self.bad_lines: list[BadLine] = []
        self.stored: dict[str, set[str]] = {locale: set() for locale in look.locales}
        self.empty: Counter[str] = Counter()

    def take(self, lines: Sequence[_Line]) -> dict[str, dict[str, Product]]:
        """The batch's products by locale and id."""
        found: dict[str, dict[str, Product]] = {locale: {} for locale in self._locales}
        for line in lines:
            self.read += 1
            row = line.row
            if row is None:
                self._complain(line.number, line.reason)
                continue
            product_id = self._named(row)
            try:
                told = {locale: row.product(locale, product_id) for locale in self._locales}
            except BadRow as bad:
                self._complain(line.number, str(bad))
                continue
            self.repeated += product_id in self._ids
            self._ids[row.id] += 1
            for locale, product in told.items():
                if product is None:
                    self.empty[locale] += 1
                else:
                    found[locale][product_id] = product
                    self.stored[locale].add(product_id)
        return found

    def _complain(self, line: int, reason: str) -> None:
        self.bad += 1
        if len(self.bad_lines) < SAID:
            self.bad_lines.append(BadLine(line, reason))

    def _named(self, row: Row) -> str:
        # Two rows may show the same image of the same product, in different words. Neither is
        # lost: the second is the product's "-2".
        before = self._ids[row.id]
        return f"{row.id}-{before + 1}" if row.repeatable and before else row.id


class _Source:
    """A catalogue file, to be read from its beginning as often as is wanted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.columns = Columns(())

    def look(self, progress: Progress) -> _Look:
        """Read all of it once: is it usable, and what is in it?"""
        try:
            size = self._path.stat().st_size
            label = self._identity(size, progress)
            last = 0
            good: Row | None = None
            locales: set[str] = set()
            for line in self.lines():
                last, good = line.number, line.row or good
                if line.row is not None and len(locales) < len(LOCALES):
                    locales.update(line.row.locales())
        except FileNotFoundError:
            raise Unusable(f"There is no file {self._path}. Check the name.") from None
        except OSError as error:
            raise Unusable(f"{self._path} cannot be read: {error}") from error
        except (EOFError, ZlibError) as error:
            raise Unusable(f"{self._path} is damaged: {error}. Copy it anew.") from error
        if lacking := self.columns.lacking:
            raise Unusable(
                f"{self._path} is no catalogue: {lacking}. Name its columns like `id`, `name_de`, "
                f"`description_de`, `colour`, `price`; it has: {', '.join(self.columns.ignored)}"
            )
        if good is None:
            raise Unusable(f"{self._path} has not one good line after its header. Is it UTF-8?")
        if not locales:
            raise Unusable(f"{self._path} has no text in any of {', '.join(LOCALES)}.")
        return _Look(label, last, tuple(one for one in LOCALES if one in locales))

    def lines(self) -> Iterator[_Line]:
        """Each line that is not empty, as a row or with the reason why it is none."""
        with self._open() as file:
            first, rest = _first_line(file)
            if _is_json(self._path, first):
                yield from self._json(_raw(first, rest))
            else:
                yield from self._table(first, rest)

    def _identity(self, size: int, progress: Progress) -> str:
        digest = hashlib.sha256()
        with self._path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
                progress("look", file.tell(), size)
        return f"{_READING}:{size}:{digest.hexdigest()}"

    @contextmanager
    def _open(self) -> Generator[BinaryIO]:
        with self._path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not packed:
                yield file
                return
            with gzip.open(file) as unpacked, io.BufferedReader(unpacked) as buffered:
                yield buffered

    def _table(self, first: bytes, rest: BinaryIO) -> Iterator[_Line]:
        try:
            names = [_unquoted(cell).strip() for cell in _decode(first).split("\t")]
        except BadRow as bad:
            raise Unusable(f"{self._path} is not UTF-8: {bad}. Convert it with iconv.") from None
        self.columns = columns = Columns(names)
        if columns.lacking:
            return
        for number, raw in _raw(b"", rest):
            try:
                cells = [_unquoted(cell) for cell in _decode(raw).split("\t")]
                row = columns.read(_row(names, cells))
            except BadRow as bad:
                yield _Line(number, None, str(bad))
            else:
                yield _Line(number, row)

    def _json(self, lines: Iterator[tuple[int, bytes]]) -> Iterator[_Line]:
        self.columns = columns = Columns(())
        for number, raw in lines:
            try:
                decoded = _object(_decode(raw))
                for name in decoded:
                    columns.meet(name)
                row = columns.read(decoded)
            except BadRow as bad:
                yield _Line(number, None, str(bad))
            else:
                yield _Line(number, row)


def _first_line(file: BinaryIO) -> tuple[bytes, BinaryIO]:
    return file.readline(LINE_LIMIT).removeprefix(b"\xef\xbb\xbf"), file


def _raw(first: bytes, rest: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Numbered lines, the empty ones left out; of one that is too long, the beginning."""
    if first.strip():
        yield 1, first
    number = 1
    while line := rest.readline(LINE_LIMIT):
        number += 1
        more = line
        while len(more) == LINE_LIMIT and not more.endswith(b"\n"):
            more = rest.readline(LINE_LIMIT)
        if more is not line:
            line = line[:LINE_LIMIT] + b"\n"
        if line.strip():
            yield number, line


def _decode(line: bytes) -> str:
    if len(line) > LINE_LIMIT:
        raise BadRow(f"it is longer than {LINE_LIMIT:,} bytes")
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise BadRow(
            f"it is not UTF-8: byte 0x{line[error.start]:02x} at place {error.start + 1}"
        ) from None


def _object(line: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise BadRow(f"it is no JSON object: {error}") from None


def _row(names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(names):
        raise BadRow(f"it has {len(cells)} cells, and the header {len(names)}")
    return dict(zip(names, cells, strict=True))


def _is_json(path: Path, first: bytes) -> bool:
    """By its first character; a name that says otherwise says nothing about the lines."""
    names = path.name.lower().removesuffix(".gz")
    return first.lstrip().startswith(b"{") or names.endswith((".jsonl", ".ndjson"))


def _unquoted(cell: str) -> str:
    """A cell as spreadsheets write it: in quotes, with those inside doubled."""
    inner = cell[1:-1]
    if len(cell) > 1 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', ""):
        return inner.replace('""', '"')
    return cell


def _batches(lines: Iterator[_Line]) -> Iterator[list[_Line]]:
    """Lines that belong together by their numbers, so that a batch is the same every time."""
    for _, batch in groupby(lines, key=lambda line: line.number // BATCH):
        yield list(batch)
