"""Importing a catalogue: every format, every kind of bad line, and being killed in between."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console
from support.source_set import only
from support.waited import run

from ogrom.sources.search import address
from shop.protocols import LOCALES, Money, Product, ProductPage, ProductQuery, Sort
from shop.run import import_cmd
from shop.run.import_cmd import import_catalogue
from shop.sources import importing
from shop.sources.catalogue import generate
from shop.sources.importing import BadLine, Progress, Report, Unusable, import_file

Stores = Callable[[Path, str], Any]
Invoke = Callable[[Path], Result]
Place = Callable[[Path], dict[str, str]]
SHARED = Path(__file__).parents[3] / "shared" / "data"
ORDERS: tuple[Sort, ...] = ("relevance", "-price", "name")
HEAD = "id\tde\tprice\n"


class Catalogue:
    """A shop's catalogue: files are imported into it, and it tells what a client could see."""

    def __init__(self, stores: Stores, place: Place, folder: Path) -> None:
        self._stores = stores
        self._place = place
        self.folder = folder
        self.state = folder / "state"

    def take(self, text: str | bytes, name: str = "file.tsv") -> Report:
        """Import a file with this content."""
        file = self.folder / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self.take_file(file)

    def take_file(
        self, file: Path, progress: Progress | None = None, state: Path | None = None
    ) -> Report:
        """Import a file, into another state folder's catalogue where one is named."""
        engine = self._place(state or self.state).get("OGROM_SEARCH")
        where = address(engine) if engine else None
        return import_file(file, state or self.state, progress, where)

    @contextmanager
    def products(self, locale: str = "de-DE", state: Path | None = None) -> Iterator[Any]:
        """A locale's products, opened anew."""
        products = self._stores(state or self.state, locale)
        yield products
        products.close()

    def kept(self, product_id: str, locale: str = "de-DE") -> Product | None:
        """One of them."""
        with self.products(locale) as products:
            return run(products.by_id(product_id))

    def everything(self, locale: str, state: Path | None = None) -> list[object]:
        """All that a client could see: each product, and the answers to some questions."""
        with self.products(locale, state) as products:
            pages: list[ProductPage] = [
                run(products.search(ProductQuery(q=text, sort=sort, per_page=100)))
                for text in ("", "rote Kleider", "striped dress", "Lederjacke")
                for sort in ORDERS
            ]
            first = {one.id: run(products.by_id(one.id)) for page in pages for one in page.items}
            return [len(products), pages, first, products.generated]


@pytest.fixture
def catalogue(stores: Stores, place: Place, tmp_path: Path) -> Catalogue:
    """An empty one."""
    return Catalogue(stores, place, tmp_path)


def row(product: Product, **more: Any) -> dict[str, Any]:
    price = product.price
    return {
        "id": product.id,
        "name_de": product.name,
        "description_de": product.description,
        "category": product.category,
        "colour": product.colour,
        "sizes": list(product.sizes),
        "price": f"{price.minor / 100:.2f} {price.currency}" if price else None,
        "added": product.added.isoformat() if product.added else None,
        **more,
    }


def big_file(path: Path, count: int) -> Path:
    """Products in two languages; every 97th line is bad, and every 89th repeats an id."""
    with path.open("w", encoding="utf-8") as file:
        pairs = zip(generate(count, "de-DE"), generate(count, "en-GB"), strict=True)
        for number, (german, english) in enumerate(pairs):
            more: dict[str, Any] = {"name_en": english.name if number % 5 else ""}
            if number % 97 == 96:
                more["price"] = "much"
            if number % 89 == 88:
                more["id"] = "g000007"
            file.write(json.dumps(row(german, **more)) + "\n")
    return path


class TestFormats:
    def test_a_table(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """Tabs between cells, names in the first line."""
        report = catalogue.take(
            "id\tname_de\tdescription_de-DE\tname_en\tbrand\tsizes\tprice\tcurrency\tadded\tstock\n"
            'a1\tRotes Kleid\t"Aus ""feiner"" Wolle"\tRed dress\tVelmora\tS, M;L,S\t19,95\teur\t'
            "2026-03-31\t7\n\n",
        )

        assert {"de-DE": 1, "en-GB": 1} == report.stored
        assert (1, 0, ("stock",)) == (report.read, report.bad, report.ignored)
        german, english = catalogue.kept("a1"), catalogue.kept("a1", "en-GB")
        assert german is not None
        assert english is not None
        assert (
            Product(
                id="a1",
                name="Rotes Kleid",
                description='Aus "feiner" Wolle',
                category="Kleider",
                brand="Velmora",
                colour="Rot",
                material="Wolle",
                sizes=("S", "M", "L"),
                price=Money(1995, "EUR"),
                added=datetime(2026, 3, 31, tzinfo=UTC),
                revision=german.revision,
            )
            == german
        )
        assert ("Red dress", "Dresses", "Red") == (english.name, english.category, english.colour)

    @pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.txt", "a.jsonl.gz", "a.whatever"])
    def test_json_lines(self, catalogue: Catalogue, tmp_path: Path, name: str) -> None:
        """By what is in the file, whatever its name; packed, too."""
        lines = [
            {"id": 7, "de": "Hose", "price": "5 £"},
            {"id": "8", "fr": "jupe", "sizes": [38, None]},
        ]
        text = "".join(f"{json.dumps(line)}\n" for line in lines).encode()
        report = catalogue.take(gzip.compress(text, mtime=0) if "gz" in name else text, name)

        assert {"de-DE": 1, "fr-FR": 1} == report.stored
        assert {"de-DE": 1, "fr-FR": 1} == report.empty
        trousers, skirt = catalogue.kept("7"), catalogue.kept("8", "fr-FR")
        assert trousers is not None
        assert skirt is not None
        assert (Money(500, "GBP"), ("38",), "Jupes") == (
            trousers.price,
            skirt.sizes,
            skirt.category,
        )

    def test_a_spreadsheets_table(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """With a byte order mark, and carriage returns."""
        report = catalogue.take("\ufeffid\tde\r\n1\tHose\r\n2\tRock\r\n")

        assert (2, {"de-DE": 2}, ()) == (report.read, report.stored, report.ignored)

    def test_text_for_all_locales(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """What is named for no language counts in each, save where one has its own."""
        report = catalogue.take("id\ttitle\tname_nl-NL\n1\tBlazer\tColbert\n")

        assert dict.fromkeys(LOCALES, 1) == report.stored
        dutch, french = catalogue.kept("1", "nl-NL"), catalogue.kept("1", "fr-FR")
        assert dutch is not None
        assert french is not None
        assert ("Colbert", "Blazer") == (dutch.name, french.name)

    def test_a_description_alone(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """Is the name."""
        catalogue.take("id\tdescription_de\n1\tEin Kleid\n")
        found = catalogue.kept("1")

        assert found is not None
        assert ("Ein Kleid", "") == (found.name, found.description)

    def test_images_of_products(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """Each is a product; two of one number are not one."""
        report = catalogue.take(
            "product_id\timage_no\tde\n9\t1\tHose\n9\t2\tRock\n9\t1\tHemd\n9\t\tHut\n"
        )

        assert ({"de-DE": 4}, 0) == (report.stored, report.repeated)
        names = [catalogue.kept(name) for name in ("9-1", "9-2", "9-1-2", "9")]
        assert ["Hose", "Rock", "Hemd", "Hut"] == [one.name for one in names if one]

    def test_an_id_that_comes_again(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """The last row of it counts, and the report says so."""
        report = catalogue.take("id\tde\n1\tHose\n2\tRock\n1\tHemd\n")
        found = catalogue.kept("1")

        assert ({"de-DE": 2}, 1) == (report.stored, report.repeated)
        assert found is not None
        assert "Hemd" == found.name

    @pytest.mark.parametrize(
        ("text", "facets"),
        [
            ("Lange Lederjacke in Schwarz", ("Jacken", "Schwarz", "Leder")),
            ("Helles Daunenweste-Kleid aus Baumwolle", ("Kleider", None, "Baumwolle")),
            ("rosa T-Shirt", ("T-Shirts", "Rosa", None)),
            ("Dunkelblaue Cargohosen", ("Hosen", "Dunkelblau", None)),
            ("Etwas ganz anderes", (None, None, None)),
        ],
    )
    def test_what_the_text_says_by_itself(
        self, catalogue: Catalogue, tmp_path: Path, text: str, facets: tuple[str | None, ...]
    ) -> None:
        """Category, colour and material are our own words for them, where no column tells."""
        catalogue.take(f"id\tde\n1\t{text}\n")
        found = catalogue.kept("1")

        assert found is not None
        assert facets == (found.category, found.colour, found.material)

    @pytest.mark.parametrize(
        ("written", "price"),
        [
            ("19.95 EUR", Money(1995, "EUR")),
            ("19,9 eur", Money(1990, "EUR")),
            ("€5", Money(500, "EUR")),
            ("GBP 0.01", Money(1, "GBP")),
            ("1.299,00 €", Money(129900, "EUR")),
            ("1,234,567.80 USD", Money(123456780, "USD")),
            ("12.500 EUR", Money(1250, "EUR")),
            ("900 JPY", Money(900, "JPY")),
            ("1.234 KWD", Money(1234, "KWD")),
            ("", None),
        ],
    )
    def test_prices(
        self, catalogue: Catalogue, tmp_path: Path, written: str, price: Money | None
    ) -> None:
        """In the currency's smallest unit, by either decimal sign."""
        report = catalogue.take(f"{HEAD}1\tHose\t{written}\n")
        found = catalogue.kept("1")

        assert () == report.bad_lines
        assert found is not None
        assert price == found.price


class TestBadLines:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (b"2\tHose", "it has 2 cells, and the header 3"),
            (b"\tHose\t", "it has no id"),
            (b"a b\tHose\t", "'a b' is no id"),
            (b"2\tH\xe4se\t", "it is not UTF-8: byte 0xe4 at place 4"),
            (b"2\tHose\tmuch", "'much' is no price"),
            (b"2\tHose\t-5 EUR", "'-5 EUR' is no price"),
            (b"2\tHose\t5", "the price 5 has no currency"),
            (b"2\tHose\t5.123 EUR", "the price 5.123 EUR has more than 2 decimals"),
            (b"2\tHose\t99999999999999 EUR", "the price 99999999999999 EUR is too high"),
            (b"2\t" + b"x" * importing.LINE_LIMIT * 2 + b"\t", "it is longer than 1,048,576 bytes"),
        ],
    )
    def test_of_a_table(
        self, catalogue: Catalogue, tmp_path: Path, line: bytes, reason: str
    ) -> None:
        """Each is told with its number, and nothing else is lost."""
        report = catalogue.take(HEAD.encode() + b"1\tHose\t\n" + line + b"\n3\tRock\t1 EUR\n")

        assert ({"de-DE": 2}, 3, 1) == (report.stored, report.read, report.bad)
        [bad] = report.bad_lines
        assert 3 == bad.line
        assert bad.reason.startswith(reason)

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("[]", "it is no JSON object"),
            ('{"id": 1', "it is no JSON object"),
            ('{"de": "Hose"}', "it has no id"),
            ('{"id": true, "de": "Hose"}', "id is no text: True"),
            ('{"id": 2, "de": ["Hose"]}', "name is no text: ['Hose']"),
            ('{"id": 2, "de": "Hose", "sizes": {}}', "sizes is no list: {}"),
            ('{"id": 2, "de": "Hose", "added": "soon"}', "'soon' is no date"),
            ('{"id": 2, "de": "Hose", "price": 5, "currency": "Euro"}', "'Euro' is no currency"),
        ],
    )
    def test_of_json_lines(
        self, catalogue: Catalogue, tmp_path: Path, line: str, reason: str
    ) -> None:
        """The same."""
        report = catalogue.take(f'{{"id": 1, "de": "Hose"}}\n\n{line}\n', "a.jsonl")

        assert ({"de-DE": 1}, 1) == (report.stored, report.bad)
        [bad] = report.bad_lines
        assert 3 == bad.line
        assert bad.reason.startswith(reason)

    def test_many(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """All are counted, and the first are told."""
        report = catalogue.take("id\tde\n" + "x\n" * 1_500 + "1\tHose\n")

        assert (1_500, 100, 1_501) == (report.bad, len(report.bad_lines), report.read)
        assert BadLine(2, "it has 1 cells, and the header 2") == report.bad_lines[0]

    @pytest.mark.parametrize(
        ("name", "text", "reason"),
        [
            ("a.tsv", b"", "no column `id`"),
            ("a.tsv", b"name\tprice\nx\ty\n", "no column `id`"),
            ("a.tsv", b"id\tprice\nx\ty\n", "no column of text"),
            ("a.tsv", b"id\tde\n", "not one good line"),
            ("a.tsv", b"id\tde\n1\t \n", "no text in any of de-DE"),
            ("a.tsv", "id\tde\n".encode("utf-16"), "not UTF-8"),
            ("a.jsonl", b"{}\n", "no column `id`"),
            ("a.gz", gzip.compress(b"id\tde\n1\tHose\n" * 999, mtime=0)[:-20], "damaged"),
            (
                "a.gz",
                gzip.compress(b"id\tde\n1\tHose\n" * 999, mtime=0)[:20] + b"x" * 90,
                "damaged",
            ),
        ],
    )
    def test_nothing_can_be_done(
        self, catalogue: Catalogue, tmp_path: Path, name: str, text: bytes, reason: str
    ) -> None:
        """It is said why and what to do, and no store is touched."""
        with pytest.raises(Unusable, match=reason):
            catalogue.take(text, name)
        assert not (tmp_path / "state").exists()

    def test_no_file(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """Nor a folder."""
        with pytest.raises(Unusable, match="There is no file"):
            catalogue.take_file(tmp_path / "no")
        with pytest.raises(Unusable, match="cannot be read"):
            catalogue.take_file(tmp_path)


class TestStores:
    def test_generated_products_give_way(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """In the locales that the file has; the second import adds to the first."""
        for locale in ("de-DE", "fr-FR"):
            with catalogue.products(locale) as products:
                products.fill(generate(5, locale))
        first = catalogue.take("id\tde\n1\tHose\n")
        second = catalogue.take("id\tde\n2\tRock\n")

        assert (("de-DE",), ()) == (first.replaced, second.replaced)
        assert catalogue.kept("g000001") is None
        assert catalogue.kept("1") is not None
        assert catalogue.kept("2") is not None
        assert catalogue.kept("g000001", "fr-FR") is not None

    def test_the_same_file_again(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """Changes nothing, not even the revision, and reports the same."""
        text = "id\tde\n1\tHose\nbad\n"
        first = catalogue.take(text)
        with catalogue.products() as products:
            before = products.revision
        again = catalogue.take(text)

        assert ((), ("de-DE",)) == (first.unchanged, again.unchanged)
        assert (first.stored, first.bad_lines) == (again.stored, again.bad_lines)
        with catalogue.products() as products:
            assert before == products.revision

    def test_a_running_shop_sees_them(self, catalogue: Catalogue) -> None:
        """When it looks again, which it does each second; the revision has changed then."""
        with catalogue.products() as products:
            products.fill(generate(5, "de-DE"))
            before = products.revision
            catalogue.take("id\tde\n1\tHose\n")

            end = time.monotonic() + 30
            while before == products.revision:
                assert time.monotonic() < end
                time.sleep(0.05)
            assert 1 == run(products.search(ProductQuery(q="Hosen"))).total


class TestInterrupted:
    def test_it_goes_on_from_the_last_batch(
        self, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And ends as if nothing had been."""
        monkeypatch.setattr(importing, "BATCH", 50)
        file = big_file(tmp_path / "a.jsonl", 400)
        expected = catalogue.take_file(file, state=tmp_path / "undisturbed")

        class Stop(Exception):
            pass

        def stop(step: str, done: int, total: int) -> None:
            if step == "read" and done > 200:
                raise Stop

        with pytest.raises(Stop):
            catalogue.take_file(file, stop)
        report = catalogue.take_file(file)

        assert 249 == report.resumed
        assert (expected.stored, expected.bad_lines) == (report.stored, report.bad_lines)
        assert (expected.empty, expected.repeated) == (report.empty, report.repeated)
        for locale in ("de-DE", "en-GB"):
            assert catalogue.everything(locale, tmp_path / "undisturbed") == catalogue.everything(
                locale
            )

    def test_a_changed_file_is_another(
        self, catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What was kept of the old one is dropped."""
        monkeypatch.setattr(importing, "BATCH", 2)
        file = tmp_path / "a.tsv"
        file.write_text("id\tde\n1\tHose\n2\tRock\n3\tHemd\n")

        def stop(step: str, done: int, total: int) -> None:
            if step == "index":
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            catalogue.take_file(file, stop)
        file.write_text("id\tde\n1\tHose\n")
        report = catalogue.take_file(file)

        assert 0 == report.resumed
        assert catalogue.kept("3") is None

    @pytest.mark.slow
    @only("embedded", "test_elastic_products kills an import into an engine")
    def test_killed_at_any_moment(self, catalogue: Catalogue, tmp_path: Path) -> None:
        """As often as you like: run again, it ends with the same products in the same order."""
        file = big_file(tmp_path / "a.jsonl", 6_000)
        expected = catalogue.take_file(file, state=tmp_path / "undisturbed")
        program = (
            "import sys; from pathlib import Path; from shop.sources.importing import import_file;"
            "print('go', flush=True); import_file(Path(sys.argv[1]), Path(sys.argv[2]))"
        )
        dice = random.Random(7)
        killed = 0
        for _ in range(12):
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(file), str(catalogue.state)],
                stdout=subprocess.PIPE,
            )
            assert process.stdout is not None
            assert b"go\n" == process.stdout.readline()
            try:
                process.wait(dice.uniform(0.2, 2.5))
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                killed += 1
            process.wait()
            process.stdout.close()
            for locale in ("de-DE", "en-GB"):
                with catalogue.products(locale) as products:
                    assert len(products) in (0, expected.stored[locale])
        report = catalogue.take_file(file)

        assert killed
        assert (expected.stored, expected.bad, expected.repeated) == (
            report.stored, report.bad, report.repeated
        )  # fmt: skip
        for locale in ("de-DE", "en-GB"):
            assert catalogue.everything(locale, tmp_path / "undisturbed") == catalogue.everything(
                locale
            )


class TestCommand:
    @pytest.fixture
    def invoke(self, place: Place, tmp_path: Path) -> Invoke:
        """`shop import FILE`, in an environment that says where to."""
        env = place(tmp_path / "state")
        return lambda file: CliRunner().invoke(import_catalogue, [str(file)], env=env)

    def test_all_well(self, invoke: Invoke, tmp_path: Path) -> None:
        """Exit 0; away from a terminal each step is a line."""
        file = tmp_path / "a.tsv"
        file.write_text("id\tde\textra\n1\tHose\t\n1\tHemd\t\n2\t\t\n")
        result = invoke(file)

        assert 0 == result.exit_code
        assert [
            "Column 'extra' means nothing here and was ignored.",
            "de-DE: 1 products, 1 rows without text.",
            "1 rows had the id of an earlier row and took its place.",
            "3 lines read, 0 bad.",
        ] == result.stdout.splitlines()
        assert 3 == len(result.stderr.splitlines())

    def test_some_bad(self, invoke: Invoke, tmp_path: Path) -> None:
        """Exit 1, each of them told, up to a hundred."""
        file = tmp_path / "a.tsv"
        file.write_text("id\tde\n1\tHose\n" + "2\n" * 101)
        result = invoke(file)

        assert 1 == result.exit_code
        assert "Line 3 left out: it has 1 cells, and the header 2." in result.stdout
        assert "… and 1 more bad lines." in result.stdout

    def test_nothing_done(self, invoke: Invoke, tmp_path: Path) -> None:
        """Exit 2, and what to do."""
        result = invoke(tmp_path / "no.tsv")

        assert 2 == result.exit_code
        assert "Check the name" in result.stderr

    def test_another_import_at_work(
        self, catalogue: Catalogue, invoke: Invoke, tmp_path: Path
    ) -> None:
        """Exit 2 as well."""
        file = tmp_path / "a.tsv"
        file.write_text("id\tde\n1\tHose\n")
        with catalogue.products() as products, products.importing("other"):
            result = invoke(file)

        assert 2 == result.exit_code
        assert "Another process is writing" in result.stderr

    def test_gone_on_with_and_unchanged(self, tmp_path: Path) -> None:
        """The report says both."""
        report = Report(
            read=9, stored={"de-DE": 5, "fr-FR": 4}, empty={}, repeated=0, bad=0, bad_lines=(),
            ignored=(), replaced=("de-DE",), unchanged=("fr-FR",), resumed=1_999,
        )  # fmt: skip

        assert [
            "An earlier import of this file was interrupted; went on after line 1,999.",
            "de-DE: 5 products, in place of the generated ones.",
            "fr-FR: 4 products, as before: this was the last file imported.",
            "9 lines read, 0 bad.",
        ] == list(import_cmd.told(report))

    def test_on_a_terminal_there_is_a_bar(
        self, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Which is gone when all is done."""
        drawn = Console(force_terminal=True, file=(tmp_path / "drawn").open("w"))
        monkeypatch.setattr("rich.console.Console", lambda **_: drawn)
        file = tmp_path / "a.tsv"
        file.write_text("id\tde\n1\tHose\n")
        result = invoke(file)
        drawn.file.close()

        assert (0, "") == (result.exit_code, result.stderr)
        assert "Reading the products" in (tmp_path / "drawn").read_text()


@pytest.mark.slow
def test_a_real_catalogue(catalogue: Catalogue) -> None:
    """12,001 garments in two languages, none lost; what a product is can be read off many texts."""
    file = SHARED / "fashion12k.tsv"
    if not file.is_file():
        pytest.skip(f"{file} is not here: it is no part of the project")
    report = catalogue.take_file(file)

    assert {"de-DE": 12_001, "en-GB": 12_001} == report.stored
    assert (12_001, 0, ("row", "image_url")) == (report.read, report.bad, report.ignored)
    with catalogue.products() as products:
        found = run(products.search(ProductQuery(q="Lederjacken", colour=("Schwarz",))))
    assert found.total > 100
