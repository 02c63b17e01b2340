"""A catalogue made up of our own words: for showing and for trying, of any size.

The same seed makes the same products, whichever locale tells of them and however many there are:
product 7 of 10 is product 7 of 10,000, and "g000007" in all four languages is one garment.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from shop.protocols import Money, Product
from shop.sources import _words as words

SEED = 2_026

_EPOCH = datetime(2025, 1, 1, tzinfo=UTC)
_DAYS = 365
_SIZES = ("XS", "S", "M", "L", "XL", "XXL")
_POUNDS = 0.86
_DEAR = {"leather": 2.2, "silk": 1.6, "cashmere": 2.5, "wool": 1.4}
_UNSIZED = frozenset({"scarf", "beanie"})
_DELICATE = frozenset({"silk", "wool", "cashmere"})

_UNFIT = {
    "cashmere": frozenset({"summer", "rain", "leisure"}),
    "leather": frozenset({"summer", "rain", "leisure", "pleated"}),
    "linen": frozenset({"winter", "rain", "evening"}),
    "silk": frozenset({"winter", "rain", "leisure"}),
    "viscose": frozenset({"winter", "rain"}),
    "wool": frozenset({"summer", "rain", "leisure"}),
}
"""What no one would make of a material."""


class _Idea(NamedTuple):
    """A garment as no language has told of it yet."""

    garment: words.Garment
    colour: str
    material: str
    kind: str | None
    pattern: str | None
    detail: str | None
    in_name: bool
    """Whether the material is part of the garment's name: "Lederjacke", not "Jacke aus Leder"."""

    brand: str
    cut: str
    occasion: str
    care: str
    sizes: tuple[str, ...]
    euro: int
    added: datetime


class _Telling(NamedTuple):
    """How a language tells of an idea."""

    name: str
    description: str
    category: str
    colour: str
    material: str


def generate(count: int, locale: str, seed: int = SEED) -> Iterator[Product]:
    """So many products, as this locale sees them."""
    language = locale[:2]
    tell = _TELL[language]
    for number in range(1, count + 1):
        idea = _think(Random(f"{seed}/{number}"))  # noqa: S311 - nothing here is secret
        told = tell(idea)
        yield Product(
            id=f"g{number:06d}",
            name=_capital(told.name),
            description=told.description,
            category=_capital(told.category),
            brand=idea.brand,
            colour=_capital(told.colour),
            material=_capital(told.material),
            sizes=idea.sizes or (words.ONE_SIZE[language],),
            price=_price(idea.euro, locale),
            added=idea.added,
        )


def _think(random: Random) -> _Idea:
    garment = random.choice(words.garments())
    wears = garment.wears.split()
    material = random.choice([one for one in words.said(words.MATERIALS) if one in wears])
    details = [detail for detail in words.said(words.DETAILS) if detail in wears]
    unfit = _UNFIT.get(material, frozenset())
    kinds = [kind for kind in words.said(words.KINDS) if kind in wears and kind not in unfit]
    kind = _sometimes(random, 0.5, kinds)
    first = random.randrange(3)
    return _Idea(
        garment=garment,
        colour=random.choice(tuple(words.said(words.COLOURS))),
        material=material,
        kind=kind,
        pattern=_sometimes(random, 0.3, tuple(words.said(words.PATTERNS))),
        detail=_sometimes(random, 0.4, details),
        in_name=kind is None and random.random() < 0.6,
        brand=random.choice(words.BRANDS),
        cut=random.choice(tuple(words.said(words.CUTS))),
        occasion=random.choice(tuple(words.said(words.OCCASIONS))),
        care="air" if material == "leather" else "hand" if material in _DELICATE else "machine",
        sizes=() if garment.meaning in _UNSIZED else _SIZES[first : random.randint(4, 6)],
        euro=round(int(garment.price) * _DEAR.get(material, 1.0) * random.uniform(0.6, 1.6)),
        added=_EPOCH + timedelta(minutes=random.randrange(_DAYS * 24 * 60)),
    )


def _sometimes(random: Random, share: float, choices: "list[str] | tuple[str, ...]") -> str | None:
    return random.choice(choices) if choices and random.random() < share else None


def _price(euro: int, locale: str) -> Money:
    if locale == "en-GB":
        return Money(max(1, round(euro * _POUNDS)) * 100 - 1, "GBP")
    return Money(euro * 100 - 5, "EUR")


# -- German: adjectives end as the noun's gender wants, and what qualifies a noun is put before it


_DE_ENDING = {"m": "er", "f": "e", "n": "es"}
_DE_THIS = {"m": "Dieser", "f": "Diese", "n": "Dieses"}


def _german(idea: _Idea) -> _Telling:
    noun, gender, plural = idea.garment.de.split()
    colour = words.said(words.COLOURS)[idea.colour].de
    material, joined = words.said(words.MATERIALS)[idea.material].de.split("/")
    adjectives = [_de_adjective(colour, gender)]
    if idea.pattern:
        adjectives.append(_de_adjective(words.said(words.PATTERNS)[idea.pattern].de, gender))
    name = noun
    if idea.kind:
        name = _de_joined(words.said(words.KINDS)[idea.kind].de, noun)
    elif idea.in_name:
        name = _de_joined(joined, noun)
    name = " ".join([*adjectives, name])
    if not idea.in_name:
        name += f" aus {material}"
    if idea.detail:
        name += f" {words.said(words.DETAILS)[idea.detail].de}"
    cut = words.said(words.CUTS)[idea.cut].de
    occasion = words.said(words.OCCASIONS)[idea.occasion].de
    care = words.said(words.CARE)[idea.care].de
    description = (
        f"{_DE_THIS[gender]} {noun} von {idea.brand} ist {cut} geschnitten und wie gemacht "
        f"{occasion}. {care}"
    )
    return _Telling(name, description, plural, colour.lstrip("="), material)


def _de_adjective(stem: str, gender: str) -> str:
    return stem[1:] if stem.startswith("=") else stem + _DE_ENDING[gender]


def _de_joined(first: str, noun: str) -> str:
    # What has a hyphen or a capital inside keeps it: "Sommer-T-Shirt".
    return f"{first}-{noun}" if "-" in noun else first + noun.lower()


# -- French: what qualifies a noun follows it, and agrees with it


def _french(idea: _Idea) -> _Telling:
    noun, gender, plural = idea.garment.fr.split()
    colour = words.said(words.COLOURS)[idea.colour].fr
    material = words.said(words.MATERIALS)[idea.material].fr
    parts = [noun]
    if idea.kind:
        parts.append(words.said(words.KINDS)[idea.kind].fr)
    parts.append(_form(colour, inflected=gender == "f"))
    if idea.pattern:
        parts.append(_form(words.said(words.PATTERNS)[idea.pattern].fr, inflected=gender == "f"))
    parts.append(f"en {material}")
    if idea.detail:
        parts.append(words.said(words.DETAILS)[idea.detail].fr)
    cut = words.said(words.CUTS)[idea.cut].fr
    occasion = words.said(words.OCCASIONS)[idea.occasion].fr
    care = words.said(words.CARE)[idea.care].fr
    this = "Cette" if gender == "f" else "Ce"
    description = f"{this} {noun} {idea.brand} a une coupe {cut}, idéale {occasion}. {care}"
    return _Telling(" ".join(parts), description, plural, colour.partition("/")[0], material)


# -- Dutch: adjectives end in -e, but not before a lone "het" word; nouns are compounded


def _dutch(idea: _Idea) -> _Telling:
    noun, gender, plural = idea.garment.nl.split()
    colour = words.said(words.COLOURS)[idea.colour].nl
    material, made_of = words.said(words.MATERIALS)[idea.material].nl.split("/")
    parts = [_form(colour, inflected=gender == "c")]
    if idea.pattern:
        parts.append(_form(words.said(words.PATTERNS)[idea.pattern].nl, inflected=gender == "c"))
    if idea.in_name:
        parts.append(made_of)
    name = noun
    if idea.kind:
        kind = words.said(words.KINDS)[idea.kind].nl
        name = f"{kind}-{noun}" if "-" in noun else kind + noun
    parts.append(name)
    if not idea.in_name:
        parts.append(f"van {material}")
    if idea.detail:
        parts.append(words.said(words.DETAILS)[idea.detail].nl)
    cut = words.said(words.CUTS)[idea.cut].nl
    occasion = words.said(words.OCCASIONS)[idea.occasion].nl
    care = words.said(words.CARE)[idea.care].nl
    this = "Deze" if gender == "c" else "Dit"
    description = (
        f"{this} {noun} van {idea.brand} heeft een {cut} pasvorm en is gemaakt {occasion}. {care}"
    )
    return _Telling(" ".join(parts), description, plural, colour.partition("/")[0], material)


# -- English: everything goes before, and a pair of trousers is many


def _english(idea: _Idea) -> _Telling:
    noun, plural = idea.garment.en.split()
    many, noun = noun.startswith("="), noun.lstrip("=")
    colour = words.said(words.COLOURS)[idea.colour].en
    material = words.said(words.MATERIALS)[idea.material].en
    parts = [colour]
    if idea.pattern:
        parts.append(words.said(words.PATTERNS)[idea.pattern].en)
    if idea.in_name:
        parts.append(material)
    if idea.kind:
        parts.append(words.said(words.KINDS)[idea.kind].en)
    parts.append(noun)
    if not idea.in_name:
        parts.append(f"in {material}")
    if idea.detail:
        parts.append(words.said(words.DETAILS)[idea.detail].en)
    cut = words.said(words.CUTS)[idea.cut].en
    occasion = words.said(words.OCCASIONS)[idea.occasion].en
    care = words.said(words.CARE)[idea.care].en
    this = f"These {noun} by {idea.brand} have" if many else f"This {noun} by {idea.brand} has"
    description = f"{this} a {cut} cut, made {occasion}. {care}"
    return _Telling(" ".join(parts), description, plural, colour, material)


def _form(forms: str, *, inflected: bool) -> str:
    bare, _, other = forms.partition("/")
    return other if inflected and other else bare


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_TELL: dict[str, Callable[[_Idea], _Telling]] = {
    "de": _german,
    "fr": _french,
    "nl": _dutch,
    "en": _english,
}
