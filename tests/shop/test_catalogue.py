"""The generated catalogue: the same garments in four languages, and decent grammar."""

import re
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from support.waited import run

from shop.protocols import LOCALES, ProductQuery
from shop.sources import _words as words
from shop.sources.catalogue import generate

MANY = 2_000


@pytest.mark.parametrize("locale", LOCALES)
def test_the_same_seed_makes_the_same_products(locale: str) -> None:
    """Whether there are few or many."""
    assert list(generate(50, locale)) == list(islice(generate(MANY, locale), 50))
    assert list(generate(5, locale)) != list(generate(5, locale, seed=1))


def test_all_locales_tell_of_the_same_garments() -> None:
    """The same ids, brands and days; other words."""
    told = [list(generate(200, locale)) for locale in LOCALES]

    for same in zip(*told, strict=True):
        assert 1 == len({one.id for one in same})
        assert 1 == len({one.brand for one in same})
        assert 1 == len({one.added for one in same})
        assert 1 == len({len(one.sizes) for one in same})
        assert 4 == len({one.description for one in same})


@pytest.mark.parametrize("locale", LOCALES)
def test_every_product_is_whole(locale: str) -> None:
    """An own id, all facets, a price in the locale's currency."""
    found = list(generate(MANY, locale))

    assert MANY == len({one.id for one in found})
    for one in found:
        assert one.name[0].isupper() or one.name[0].isdigit()
        assert all((one.description, one.category, one.brand, one.colour, one.material, one.sizes))
        assert one.price is not None
        assert one.price.minor > 0
        assert ("GBP" if locale == "en-GB" else "EUR") == one.price.currency
        assert "=" not in one.name
        assert "/" not in one.name
        assert "  " not in one.name


def test_german_adjectives_agree_with_their_noun() -> None:
    """ "Rotes Kleid", "rote Jacke", "roter Rock"; "rosa" never changes."""
    genders = {row.de.split()[0].lower(): row.de.split()[1] for row in words.garments()}
    endings = {"m": "er", "f": "e", "n": "es"}
    for one in generate(MANY, "de-DE"):
        first, *rest = one.name.split()
        noun = next(word for word in rest if word[0].isupper() and not word.startswith("Mit"))
        gender = next(
            genders[key]
            for key in sorted(genders, key=len, reverse=True)
            if noun.lower().endswith(key)
        )
        if first not in ("Rosa", "Beige", "Orange"):
            assert re.search(f"[^e]{endings[gender]}$", first), one.name


@pytest.mark.parametrize(
    ("locale", "expected"),
    [
        ("de-DE", {"Sommerkleid", "Lederjacke", "Baumwollhose", "Freizeit-T-Shirt"}),
        ("nl-NL", {"zomerjurk", "leren", "katoenen", "plooirok"}),
        ("fr-FR", {"d'été", "cuir", "fleurie", "fleuri"}),
        ("en-GB", {"dress", "jeans", "striped", "leather"}),
    ],
)
def test_natural_words(locale: str, expected: set[str]) -> None:
    """Compounds and forms as each language makes them."""
    written = {word for one in generate(MANY * 2, locale) for word in one.name.split()}

    assert expected <= written


@pytest.mark.parametrize(
    ("locale", "asked", "first"),
    [
        ("de-DE", "rote Kleider", "^Rotes .*leid"),
        ("de-DE", "gruene Roecke", "^Grüner .*[Rr]ock"),
        ("fr-FR", "robes rouges", "^Robe .*rouge"),
        ("nl-NL", "rode jurken", "^Rode .*jurk"),
        ("en-GB", "red dresses", "^Red .*dress"),
    ],
)
def test_it_can_be_searched(
    stores: Any, tmp_path: Path, locale: str, asked: str, first: str
) -> None:
    """In each language, by plurals and inflected words, without its umlauts too."""
    products = stores(tmp_path, locale)
    products.fill(generate(MANY, locale))
    wanted = sum(re.search(first, one.name) is not None for one in generate(MANY, locale))
    found = run(products.search(ProductQuery(q=asked, per_page=wanted)))
    products.close()

    assert wanted
    assert all(re.search(first, one.name) for one in found.items)
