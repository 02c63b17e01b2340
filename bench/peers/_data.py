"""What every peer serves: the same products, plain, so that each may make of them what it likes."""

import sys

COLOURS = ("Rot", "Blau", "Grün", "Schwarz", "Weiß")
PRODUCTS: dict[str, dict[str, object]] = {
    f"g{number:06d}": {
        "id": f"g{number:06d}",
        "name": f"{COLOURS[number % 5]}es Kleid mit langen Ärmeln",
        "category": "Kleider",
        "brand": f"Marke {number % 40}",
        "colour": COLOURS[number % 5],
        "price": {"minor": 1999 + number, "currency": "EUR"},
    }
    for number in range(1_000)
}
IDS = tuple(PRODUCTS)


def revision(product_id: str) -> str:
    """What the entity tag of a product is made of."""
    return f"r{product_id}"


def found(query: str) -> list[dict[str, object]]:
    """Twenty products, other ones for another query."""
    start = len(query) * 7 % 900
    return [PRODUCTS[each] for each in IDS[start : start + 20]]


def port() -> int:
    """The port to listen on: the one argument of every peer."""
    return int(sys.argv[1])
