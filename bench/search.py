"""How well German shoppers' queries are answered, by the very code of the shop.

A catalogue file is imported into a new store, the queries are put to `TantivyProducts`, and what
comes back is compared with judgements: nDCG@10, once with the gain 2^grade - 1, which is the one
that counts, and once with the grade itself. Both halves of the queries are scored by themselves
as well: what helps one and hurts the other was made for single queries.

Run it as `python bench/search.py`; with ENGINE=http://host:9200 the catalogue goes into that engine,
below a prefix of its own that is removed afterwards. Where the data are is said by $CATALOGUE (a table with columns
`product_id`, `image_no` and `row`), $QUERIES and $QRELS.
"""

import asyncio
import csv
import gzip
import os
import sys
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from math import log2
from pathlib import Path
from secrets import token_hex
from statistics import mean, median
from tempfile import TemporaryDirectory
from time import perf_counter

from _bench import report

from ogrom.sources.search import Address, address, connect
from shop.protocols import ProductQuery, Products
from shop.sources.importing import import_file, store
from shop.sources.products import TantivyProducts
from shop.sources.products_elastic import ElasticProducts

DATA = Path(__file__).parents[2] / "shared" / "data"
LOCALE = "de-DE"
DEPTH = 10
ROUNDS = 5

GAINS: Mapping[str, Callable[[int], float]] = {
    "exponential": lambda grade: 2.0**grade - 1,
    "linear": float,
}


def data(variable: str, name: str) -> Path:
    """Where a file is; ends the program where it is not."""
    path = Path(os.environ.get(variable) or DATA / name)
    if not path.is_file():
        print(f"There is no file {path}. Say where it is: {variable}=…", file=sys.stderr)
        sys.exit(2)
    return path


def ids(catalogue: Path) -> dict[str, str]:
    """The number of each row by the id that the import gives it."""
    seen: Counter[str] = Counter()
    rows: dict[str, str] = {}
    with catalogue.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
            image = f"{row['product_id']}-{row['image_no']}"
            seen[image] += 1
            rows[image if seen[image] == 1 else f"{image}-{seen[image]}"] = row["row"]
    return rows


def table(path: Path) -> list[list[str]]:
    """The cells below a table's header, if it has one."""
    with (
        gzip.open(path, "rt", encoding="utf-8")
        if path.suffix == ".gz"
        else path.open(encoding="utf-8") as file
    ):
        cells = [line.rstrip("\n").split("\t") for line in file]
    return cells[1:] if cells and cells[0][0] == "query_id" else cells


def ndcg(grades: Sequence[int], judged: Sequence[int], gain: Callable[[int], float]) -> float:
    """How much of what could be gained in the first places was."""

    def gained(found: Sequence[int]) -> float:
        return sum(gain(one) / log2(place + 2) for place, one in enumerate(found[:DEPTH]))

    return gained(grades) / gained(sorted(judged, reverse=True))


@asynccontextmanager
async def opened(state: Path, where: Address | None) -> AsyncGenerator[Products]:
    """The catalogue that was imported."""
    if where is None:
        products = TantivyProducts.open(store(state, LOCALE), LOCALE)
        try:
            yield products
        finally:
            products.close()
        return
    async with connect(where) as engine:
        yield ElasticProducts(engine, LOCALE)


async def ask(products: Products, text: str) -> tuple[list[str], float]:
    """The ids of the first products, and the seconds that it took to find them."""
    start = perf_counter()
    page = await products.search(ProductQuery(q=text, per_page=DEPTH))
    return [product.id for product in page.items], perf_counter() - start


async def main() -> None:
    """Import, ask, compare."""
    catalogue = data("CATALOGUE", "fashion12k.tsv")
    queries = table(data("QUERIES", "queries_de.tsv"))
    judged: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for query, row, grade in table(data("QRELS", "qrels_de.tsv.gz")):
        judged[query][row] = int(grade)
    rows = ids(catalogue)
    url = os.environ.get("ENGINE")
    where = address(f"{url.rstrip('/')}/bench{token_hex(4)}") if url else None
    answers: dict[str, list[str]] = {}
    times: list[float] = []
    with TemporaryDirectory() as state:
        start = perf_counter()
        await asyncio.to_thread(import_file, catalogue, Path(state), None, where)
        seconds = perf_counter() - start
        for _ in range(ROUNDS):
            # Opened anew, so that nothing is answered from memory.
            async with opened(Path(state), where) as products:
                await products.by_id("")
                for query, text in queries:
                    answers[query], taken = await ask(products, text)
                    times.append(taken)
    if where is not None:
        async with connect(where) as engine:
            for index in await engine.ask(dict[str, object], "GET", f"{where.prefix}-*"):
                await engine.ask(dict[str, object], "DELETE", index)
    scores = {
        name: [
            ndcg(
                [judged[query].get(rows[one], 0) for one in answers[query]],
                list(judged[query].values()),
                gain,
            )
            for query, _ in queries
            if judged[query]
        ]
        for name, gain in GAINS.items()
    }
    parts = {"all": slice(None), "odd": slice(None, None, 2), "even": slice(1, None, 2)}
    report(
        "search_engine" if where else "search",
        f"German search, nDCG@{DEPTH} of {len(scores['exponential'])} queries; "
        f"{median(times) * 1e6:,.0f} µs a query, {seconds:.1f} s to import {len(rows):,} rows",
        ("queries", *GAINS),
        [(part, *(mean(scores[gain][which]) for gain in GAINS)) for part, which in parts.items()],
        {
            **{
                f"ndcg10_{gain}_{part}": mean(scores[gain][which])
                for part, which in parts.items()
                for gain in GAINS
            },
            "query_median_us": median(times) * 1e6,
            "import_s": seconds,
        },
    )


if __name__ == "__main__":
    asyncio.run(main())
