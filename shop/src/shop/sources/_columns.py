"""From a row of a catalogue file to products: which columns mean what, and what a cell may say.

Rule 1. A column is named for what it holds, and for the language or locale where that matters:
        `name`, `name_de`, `description_fr-FR`; and `de` alone is the text in German.
Rule 2. What is named for no language counts in all of them.
Rule 3. A product's id is in `id`; or in `product_id`, together with `image_no` where there is one.
Rule 4. Other columns are left alone.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, NamedTuple, cast

from ogrom.sources.search import Analysis, learn, tokens
from shop.protocols import LOCALES, Money, Product
from shop.sources import _words as words

_MEANINGS = {
    "id": "id",
    "product_id": "product_id",
    "image_no": "image_no",
    "name": "name",
    "title": "name",
    "text": "name",
    "description": "description",
    "category": "category",
    "brand": "brand",
    "colour": "colour",
    "color": "colour",
    "material": "material",
    "sizes": "sizes",
    "size": "sizes",
    "price": "price",
    "currency": "currency",
    "added": "added",
}
_OF_ALL = frozenset({"id", "product_id", "image_no", "added"})

_PRICE = re.compile(
    r"(?P<before>[A-Za-z]{3}|[€£$])?\s*"
    r"(?P<whole>\d{1,3}(?:(?P<group>[.,' ])\d{3}(?:(?P=group)\d{3})*(?=[.,]\d\d?\b))?|\d+)"
    r"(?:[.,](?P<part>\d+))?"
    r"\s*(?P<after>[A-Za-z]{3}|[€£$])?"
)
_SIGNS = {"€": "EUR", "£": "GBP", "$": "USD"}
_DECIMALS = {"JPY": 0, "KRW": 0, "CLP": 0, "ISK": 0, "BHD": 3, "KWD": 3, "TND": 3}
_MOST = 10**12
_COMPOUNDING = ("de", "nl")
_SHORTEST = 3
_ID = re.compile(r"[^\s/?#]{1,128}")


class BadRow(Exception):
    """The row cannot be a product; the message says why."""


class Column(NamedTuple):
    """What a column holds, and for which locale; None is all."""

    meaning: str
    locale: str | None


class Columns:
    """The columns of one file, as far as they mean anything."""

    def __init__(self, names: Iterable[str]) -> None:
        self._columns: dict[str, Column] = {}
        self.ignored: list[str] = []
        for name in names:
            self.meet(name)

    def meet(self, name: str) -> None:
        """Find out what a column means, unless that is known."""
        if name in self._columns or name in self.ignored:
            return
        column = _column(name)
        # Of two columns for the same thing the first counts.
        if column is None or column in self._columns.values():
            self.ignored.append(name)
        else:
            self._columns[name] = column

    @property
    def lacking(self) -> str | None:
        """What a file must have and this one does not."""
        meanings = {column.meaning for column in self._columns.values()}
        if not meanings & {"id", "product_id"}:
            return "it has no column `id` or `product_id`"
        if not meanings & {"name", "description"}:
            return 'it has no column of text: `name`, `description`, or one named "de", "en-GB", …'
        return None

    def read(self, row: Mapping[str, Any]) -> "Row":
        """The row by what its cells mean; raises BadRow where it names no product."""
        cells: dict[Column, Any] = {}
        for name, value in row.items():
            column = self._columns.get(name)
            if column is not None and value is not None:
                cells[column] = value
        return Row(cells)


class Row:
    """One row of a file: one product, in as many locales as it has text for."""

    def __init__(self, cells: Mapping[Column, Any]) -> None:
        self._cells = cells
        self.repeatable = False
        self.id = self._id()

    def _id(self) -> str:
        found = self._text("id", None)
        if not found and (found := self._text("product_id", None)):
            image = self._text("image_no", None)
            found, self.repeatable = (f"{found}-{image}", True) if image else (found, False)
        if not found:
            raise BadRow("it has no id")
        if not _ID.fullmatch(found):
            raise BadRow(f"{_short(found)} is no id: up to 128 characters without space, /, ? or #")
        return found

    def locales(self) -> list[str]:
        """The locales that the row has text for."""
        return [
            locale
            for locale in LOCALES
            if any(str(self._cell(one, locale) or "").strip() for one in ("name", "description"))
        ]

    def product(self, locale: str, product_id: str) -> Product | None:
        """The product as this locale sees it; None where nothing is said in its language."""
        name, description = self._text("name", locale), self._text("description", locale)
        if not name:
            name, description = description, ""
        if not name:
            return None
        derived = _Derived(locale, f"{name} {description}")
        return Product(
            id=product_id,
            name=name,
            description=description,
            category=self._text("category", locale) or derived("category"),
            brand=self._text("brand", locale) or None,
            colour=self._text("colour", locale) or derived("colour"),
            material=self._text("material", locale) or derived("material"),
            sizes=self._sizes(locale),
            price=self._price(locale),
            added=self._added(),
        )

    def _cell(self, meaning: str, locale: str | None) -> Any:
        cell = self._cells.get(Column(meaning, locale))
        return self._cells.get(Column(meaning, None)) if cell is None else cell

    def _text(self, meaning: str, locale: str | None) -> str:
        cell = self._cell(meaning, locale)
        if cell is None:
            return ""
        if isinstance(cell, bool) or not isinstance(cell, str | int | float):
            raise BadRow(f"{meaning} is no text: {_short(cell)}")
        return _clean(str(cell))

    def _sizes(self, locale: str) -> tuple[str, ...]:
        cell = self._cell("sizes", locale)
        listed = [cell] if cell is None or isinstance(cell, str | int | float) else cell
        if not isinstance(listed, list):
            raise BadRow(f"sizes is no list: {_short(cell)}")
        sizes = (
            _clean(size)
            for one in cast("list[object]", listed)
            for size in re.split("[,;]", str(one or ""))
        )
        return tuple(dict.fromkeys(size for size in sizes if size))

    def _price(self, locale: str) -> Money | None:
        written = self._text("price", locale)
        if not written:
            return None
        match = _PRICE.fullmatch(written)
        if match is None:
            raise BadRow(f"{_short(written)} is no price: write it like 19.95 EUR")
        sign = match["after"] or match["before"] or self._text("currency", locale)
        if not sign:
            raise BadRow(f"the price {written} has no currency: write it like 19.95 EUR")
        currency = _SIGNS.get(sign, sign.upper())
        if not re.fullmatch("[A-Z]{3}", currency):
            raise BadRow(f"{_short(sign)} is no currency: write it like EUR")
        decimals, part = _DECIMALS.get(currency, 2), match["part"] or ""
        if len(part.rstrip("0")) > decimals:
            raise BadRow(f"the price {written} has more than {decimals} decimals")
        whole = re.sub(r"\D", "", match["whole"])
        minor = int(Decimal(f"{whole}.{part or 0}").scaleb(decimals))
        if minor > _MOST:
            raise BadRow(f"the price {written} is too high")
        return Money(minor, currency)

    def _added(self) -> datetime | None:
        written = self._text("added", None)
        if not written:
            return None
        try:
            added = datetime.fromisoformat(written)
            # What names no time zone means UTC: the same on every machine.
            return (added if added.tzinfo else added.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            raise BadRow(f"{_short(written)} is no date: write it like 2026-03-31") from None


class _Derived:
    """What a text says by itself of category, colour and material, where no column says it.

    The first word that is one of our own words for it, alone or as a part of a compound: "Lange
    Lederjacke in Schwarz" is a jacket, of leather and black. What is said otherwise is not found.
    """

    def __init__(self, locale: str, text: str) -> None:
        self._language, self._text = locale[:2], text
        self._found: dict[str, str] | None = None

    def __call__(self, facet: str) -> str | None:
        if self._found is None:
            self._found = self._derive()
        return self._found.get(facet)

    def _derive(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for written in tokens(self._text):
            for facet, value in _meant(self._language, written):
                found.setdefault(facet, value)
        return found


@lru_cache(4096)
def _meant(language: str, written: str) -> tuple[tuple[str, str], ...]:
    """What a word says of which facet: the longest known word that it ends in, then its parts."""
    analysis, known = _known(language)
    word = analysis.word(written)
    if word is None:
        return ()
    # The end is what a compound is: "Jeansjacke" is a jacket, and of denim only then.
    written = written.replace("-", "")
    cuts = range(len(written) - _SHORTEST + 1) if language in _COMPOUNDING else (0,)
    ends = (analysis.stem(written[cut:]) for cut in cuts)
    end = next((end for end in ends if end in known), word.whole)
    return tuple(
        meaning for term in (end, *reversed(word.parts)) for meaning in known.get(term, ())
    )


@cache
def _known(language: str) -> tuple[Analysis, Mapping[str, list[tuple[str, str]]]]:
    """Our words as terms, with what each means."""
    said: list[tuple[str, str, str]] = []
    for garment in words.garments():
        *singular, plural = getattr(garment, language).lstrip("=").split()
        said += [(word, "category", plural) for word in (singular[0], plural)]
    for colour in words.said(words.COLOURS).values():
        bare, *others = getattr(colour, language).lstrip("=").split("/")
        said += [(word, "colour", bare) for word in (bare, *others) if " " not in word]
    for material in words.said(words.MATERIALS).values():
        noun, *others = getattr(material, language).split("/")
        said += [(word, "material", noun) for word in (noun, *others)]
    # Twice, for a word that occurs once might be a misprint.
    analysis = Analysis(learn(language, [word for word, _, _ in said] * 2))
    known: dict[str, list[tuple[str, str]]] = {}
    for written, facet, value in said:
        for word in analysis.words(written):
            meanings = known.setdefault(word.whole, [])
            if facet not in (meaning for meaning, _ in meanings):
                meanings.append((facet, value[:1].upper() + value[1:]))
    return analysis, known


def _column(name: str) -> Column | None:
    plain = name.strip().lower().replace("-", "_")
    if locale := _locale(plain):
        return Column("name", locale)
    if meaning := _MEANINGS.get(plain):
        return Column(meaning, None)
    for locale in LOCALES:
        for suffix in (locale.lower().replace("-", "_"), locale[:2]):
            meaning = _MEANINGS.get(plain.removesuffix(f"_{suffix}"))
            if meaning is not None and meaning not in _OF_ALL:
                return Column(meaning, locale)
    return None


def _locale(plain: str) -> str | None:
    for locale in LOCALES:
        if plain in (locale[:2], locale.lower().replace("-", "_")):
            return locale
    return None


def _clean(text: str) -> str:
    """The text on one line, without what no one can see."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
