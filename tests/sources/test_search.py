"""Search: the analysis of each language, and an index by either engine: on a real disk, in a real OpenSearch."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from secrets import token_hex
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.waited import Waited, WaitedIndex, run

from ogrom.sources import _building, _tantivy
from ogrom.sources._analysis import LANGUAGES
from ogrom.sources.search import (
    Analysis,
    Busy,
    Document,
    Found,
    Lexicon,
    Range,
    Schema,
    Search,
    TantivyIndex,
    address,
    collation,
    learn,
    tokens,
)

Kept: TypeAlias = TantivyIndex | WaitedIndex
Open = Callable[[Path, Schema], Kept]

GERMAN = [
    *["Rotes Kleid aus Leder", "Lederjacke", "Sommerkleid im Sommer", "Jacke mit Ärmel"] * 3,
    *["Strickjacke", "Strickkleid", "Strickhose", "Strickrock", "Hose", "Rock"] * 2,
    *["Kleid mit Streifen", "Blumenkleid mit Blumen", "Baumwolle", "Baumwolle"] * 3,
    *["Baum", "Wolle", "Rock in Grün", "Muster", "Druck"] * 2,
]
DUTCH = ["Zomerjurk voor de zomer", "Jurk", "Jas van leer", "Streep", "Winterjas", "winter"] * 3
COLOURS = ("rot", "blau", "grün")
SIZES = ("S", "M", "L")
SCHEMA = Schema(
    language="de",
    text={"name": 2.0, "more": 1.0},
    facets=("colour", "size"),
    numbers=("price",),
    orders=("price", "name"),
)


def doc(number: int, **more: Any) -> Document:
    """One of many documents, most of which tie with others in every order."""
    colour, price = COLOURS[number % 3], number % 5
    fields: dict[str, Any] = {
        "id": f"d{number:03d}",
        "body": f"body {number}".encode(),
        "text": {"name": f"{colour} {'Kleid' if number % 2 else 'Rock'}", "more": "schön"},
        "facets": {"colour": (colour,), "size": SIZES[: number % 4]},
        "numbers": {"price": price} if price else {},
        "orders": {"price": price, "name": colour} if price else {"name": colour},
    }
    return Document(**{**fields, **more})


def write(index: Kept, documents: Iterable[Document], label: str = "x", **how: Any) -> None:
    if isinstance(index, WaitedIndex):
        index.write(documents, label, **how)
        return
    with (
        index.locked(),
        index.draft(label, origin=how.get("origin", "test"), keep=how.get("keep", True)) as draft,
    ):
        draft.put(documents, how.get("mark", 0))


class Died(Exception):
    """What happens to a writer in the middle of its work."""


def write_and_die(
    index: TantivyIndex,
    documents: Iterable[Document],
    label: str,
    mark: int,
    *,
    indexing: bool = False,
) -> None:
    with index.locked(), index.draft(label, origin="test", keep=True) as draft:
        draft.put(documents, mark)
        if indexing:
            _building.build(draft, SCHEMA, "test")
        raise Died


def no_documents() -> Iterator[Document]:
    yield doc(4)
    raise Died


def texts(*names: str) -> list[Document]:
    return [
        Document(id=str(place), body=name.encode(), text={"name": name})
        for place, name in enumerate(names)
    ]


@pytest.fixture(
    scope="module", params=["embedded", pytest.param("opensearch", marks=pytest.mark.slow)]
)
def opened(request: pytest.FixtureRequest) -> Iterator[Open]:
    """An index by either engine, empty where the folder was not used before."""
    if request.param == "embedded":
        yield lambda folder, schema: TantivyIndex(folder / "store", schema)
        return
    url = request.getfixturevalue("node").start()
    waited = Waited(address(f"{url}/t{token_hex(4)}"))

    def of(folder: Path, schema: Schema) -> WaitedIndex:
        name = blake2b(str(folder).encode(), digest_size=4).hexdigest()
        return WaitedIndex(waited, schema, folder, f"i{name}")

    yield of
    waited.close()


@pytest.fixture
def either(opened: Open, tmp_path: Path) -> Iterator[Kept]:
    """An empty index, by either engine."""
    index = opened(tmp_path, SCHEMA)
    yield index
    index.close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[TantivyIndex]:
    """An empty index in a folder: for what only that has, drafts on disk and a lock."""
    index = TantivyIndex(tmp_path / "store", SCHEMA)
    yield index
    index.close()


@pytest.fixture(scope="module")
def many(opened: Open, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """200 documents, by either engine."""
    index = opened(tmp_path_factory.mktemp("many"), SCHEMA)
    write(index, map(doc, range(200)))
    yield index
    index.close()


def bodies(found: Found) -> list[str]:
    return [body.decode() for body in found.bodies]


class TestAnalysis:
    @pytest.mark.parametrize(
        ("word", "parts"),
        [
            ("Lederjacken", ("led", "jack")),
            ("Sommerkleider", ("somm", "kleid")),
            ("Blumenkleid", ("blum", "kleid")),
            ("Strickrock", ("strick", "rock")),  # "Strick" never stands alone
            ("Sommerlederjacke", ("somm", "led", "jack")),
            ("Sommer-Kleid", ("somm", "kleid")),
            ("Slive-Kleid", ("sliv", "kleid")),  # unknown, but the hyphen says it
            ("T-Rock", ("rock",)),
            ("Kleid", ()),
            ("Baumwolle", ()),  # more common than wool, and nothing else ends in that
            ("Xylophon", ()),
            ("z" * 200, ()),
        ],
    )
    def test_german_compounds(self, word: str, parts: tuple[str, ...]) -> None:
        """Taken apart by what the catalogue itself has taught, and by nothing else."""
        [found] = Analysis(learn("de", GERMAN)).words(word)

        assert parts == found.parts

    @pytest.mark.parametrize(
        ("language", "texts", "one", "other"),
        [
            ("de", GERMAN, "rotes", "rote"),
            ("de", GERMAN, "Röcke", "Rock"),
            ("de", GERMAN, "Roecke", "Rock"),
            ("de", GERMAN, "gruener", "grün"),
            ("de", GERMAN, "weiß", "weiss"),
            ("nl", DUTCH, "jurken", "jurk"),
            ("fr", [], "fleuries", "fleurie"),
            ("fr", [], "été", "ete"),
            ("en", [], "dresses", "dress"),
            ("en", [], "ﬁtted", "FITTED"),
        ],
    )
    def test_forms_of_one_word(self, language: str, texts: list[str], one: str, other: str) -> None:
        """Inflected, accented or written without its umlaut, it is the same term."""
        analysis = Analysis(learn(language, texts))

        assert [word.whole for word in analysis.words(one)] == [
            word.whole for word in analysis.words(other)
        ]

    def test_what_a_participle_is_made_of(self) -> None:
        """ "Gestreift" is found by "Streifen" where the catalogue knows that word."""
        analysis = Analysis(learn("de", GERMAN))

        assert ["streif", "druck", None] == [
            word.root for word in analysis.words("gestreift bedruckt gewickelt")
        ]

    def test_a_common_compound_is_kept_in_parts_and_sought_whole(self) -> None:
        """Who asks for "Netzstrumpf" gets that; who asks for "Strumpf" gets it too."""
        catalogue = ["Netzrock", "Netz"] * 9 + [
            "Lederrock",
            "Jeansrock",
            "Minirock",
            "Rock",
            "Leder",
        ]
        catalogue += ["Leder", "Jeans", "Jeans", "Mini", "Mini", "Rock"]

        [word] = Analysis(learn("de", catalogue)).words("Netzrock")

        assert ("netzrock",) == word.sought
        assert ["netzrock", "netz", "rock"] == list(word.kept)

    def test_dutch_compounds(self) -> None:
        """As German ones."""
        [word] = Analysis(learn("nl", DUTCH)).words("zomerjurken")

        assert ("zomer", "jurk") == word.parts

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_stopwords_say_nothing(self, language: str) -> None:
        """And neither do signs."""
        stop = {"de": "mit und für", "fr": "avec pour les", "nl": "met en van", "en": "with the"}

        said = f"{stop[language]} … -- 🙂 \0 {stop[language].replace(' ', '-')}"

        assert [] == Analysis(Lexicon(language)).words(said)

    def test_learning_does_not_heed_the_order(self) -> None:
        """The same texts teach the same, so that a resumed import ends like any other."""
        assert learn("de", GERMAN) == learn("de", reversed(GERMAN))

    @given(st.text(max_size=200))
    def test_any_text_has_tokens(self, text: str) -> None:
        """None of them empty, and none that the index could not keep."""
        for word in tokens(text):
            assert word
            assert word.encode()
        assert Analysis(learn("de", GERMAN)).terms(text) is not None

    def test_collation(self) -> None:
        """As in a dictionary: accents and capitals decide only between equals."""
        assert ["Ara", "Ära", "Arm", "zebra"] == sorted(
            ["zebra", "Ära", "Arm", "Ara"], key=collation
        )


class TestText:
    def test_documents_with_all_words_come_first(self, either: Kept) -> None:
        """Then those that lack one, because those that have all are few."""
        write(
            either,
            texts("Hose aus Leder", "Rote Hose", "Rotes Kleid", "Kleid", "Sommer-Kleid, rot"),
        )

        found = run(either.search(Search(text="rote Kleider")))

        assert {"Rotes Kleid", "Sommer-Kleid, rot"} == set(bodies(found)[:2])
        assert {"Rote Hose", "Kleid"} == set(bodies(found)[2:])

    def test_where_many_have_all_words_others_are_left_out(self, many: Kept) -> None:
        """34 of 200 are red dresses, and that is the answer."""
        found = run(many.search(Search(text="rote Kleider", limit=100)))

        assert found.total == 33 == len(found.bodies)

    def test_the_thing_counts_more_than_what_it_is_like(self, either: Kept) -> None:
        """Who asks for a striped dress would rather have a dress than stripes."""
        write(
            either,
            texts(*(f"{kind}kleid" for kind in ("Sommer", "Winter", "Leder", "Mini")), "Sommer",
                  "Winter", "Leder", "Mini", "Kleid", "Kleid aus Seide", "gestreifte Hose", *GERMAN)
        )  # fmt: skip

        found = bodies(run(either.search(Search(text="gestreiftes Kleid", limit=5))))

        assert all("leid" in name for name in found)

    def test_compounds_and_their_parts_find_each_other(self, either: Kept) -> None:
        """ "Lederjacke" is "Jacke aus Leder", with or without a space or a hyphen."""
        write(
            either, texts("Lederjacke", "Jacke aus Leder", "Leder-Jacke", "Leder", "Jacke", "Seide")
        )

        for text in ("Lederjacken", "Jacke Leder", "Leder-Jacke"):
            found = bodies(run(either.search(Search(text=text))))
            assert {"Lederjacke", "Jacke aus Leder", "Leder-Jacke"} == set(found[:3])
            assert "Seide" not in found

    def test_words_that_stand_together(self, either: Kept) -> None:
        """ "Rote Hose" is better answered where it is the trousers that are red."""
        write(
            either,
            texts("Rotes Hemd, Baumwolle, zu blauer Hose", "Blaues Hemd, Baumwolle, zu roter Hose"),
        )

        found = run(either.search(Search(text="rote Hose")))

        assert "Blaues Hemd, Baumwolle, zu roter Hose" == bodies(found)[0]

    @pytest.mark.parametrize(
        "text",
        ['"', "(((", "AND OR NOT", "name:x^2~", "*", "+-!", "\0", "🙂", "mit", "\ud800", "--", "a-" * 99],
    )  # fmt: skip
    def test_what_has_no_word_finds_nothing(self, many: Kept, text: str) -> None:
        """Query syntax is text like any other."""
        assert 0 == run(many.search(Search(text=text, facets=("colour",)))).total

    def test_blank_text_is_no_text(self, many: Kept) -> None:
        """All are found, in the order of their ids."""
        found = run(many.search(Search(text=" \t", limit=3)))

        assert (200, ["body 0", "body 1", "body 2"]) == (found.total, bodies(found))

    @given(text=st.text(max_size=200), value=st.text(max_size=20))
    @settings(deadline=None)
    def test_nothing_raises(self, many: Kept, text: str, value: str) -> None:
        """Whatever is asked."""
        query = Search(text=text, filters={"colour": (value, "rot")}, facets=("colour",))

        assert run(many.search(query)).total >= 0

    def test_half_a_character_is_no_value(self, many: Kept) -> None:
        """Nor an id."""
        assert 0 == run(many.search(Search(filters={"colour": ("\ud800",)}))).total
        assert run(many.get("\ud800")) is None


QUERIES = st.builds(
    Search,
    text=st.sampled_from(["", "Kleid", "rote Kleider", "schön", "blau grün"]),
    filters=st.fixed_dictionaries(
        {},
        optional={
            "colour": st.lists(st.sampled_from([*COLOURS, "none"]), unique=True).map(tuple),
            "size": st.lists(st.sampled_from(SIZES), unique=True).map(tuple),
        },
    ),
    ranges=st.fixed_dictionaries(
        {},
        optional={
            "price": st.builds(
                Range, st.none() | st.integers(-(10**30), 5), st.none() | st.integers(0, 10**30)
            )
        },
    ),
    order=st.sampled_from([None, "price", "name"]),
    descending=st.booleans(),
    facets=st.just(("colour", "size")),
)


def passes(document: Document, query: Search, *, but: str | None = None) -> bool:
    price = document.numbers.get("price")
    bounds = query.ranges.get("price", Range())
    return all(
        set(values) & set(document.facets[name])
        for name, values in query.filters.items()
        if values and name != but
    ) and (
        bounds == Range()
        or (
            price is not None
            and (bounds.least is None or price >= bounds.least)
            and (bounds.most is None or price <= bounds.most)
        )
    )


def with_(query: Search, **changes: Any) -> Search:
    fields = {name: getattr(query, name) for name in query.__struct_fields__}
    return Search(**{**fields, **changes})


class TestPages:
    @given(query=QUERIES, size=st.integers(1, 90))
    @settings(deadline=None)
    def test_pages_neither_repeat_nor_miss(self, many: Kept, query: Search, size: int) -> None:
        """Put together they are the whole result, in any order."""
        if isinstance(many, WaitedIndex):
            size += 20  # each page is a round trip there
        whole = run(many.search(with_(query, limit=1_000)))
        pages = [
            run(many.search(with_(query, offset=offset, limit=size)))
            for offset in range(0, whole.total + 1, size)
        ]

        assert whole.bodies == tuple(body for page in pages for body in page.bodies)
        assert whole.total == len(set(whole.bodies))
        assert {whole.total} == {page.total for page in pages}

    @given(QUERIES)
    @settings(deadline=None)
    def test_counts_agree_with_a_count_by_hand(self, many: Kept, query: Search) -> None:
        """Each facet heeds all filters but its own, and lists the most frequent values first."""
        query = with_(query, text="", limit=1_000)
        found = run(many.search(query))
        documents = [doc(number) for number in range(200)]

        assert found.total == sum(passes(document, query) for document in documents)
        for name in ("colour", "size"):
            values = [
                value
                for document in documents
                if passes(document, query, but=name)
                for value in document.facets[name]
            ]
            expected = {value: values.count(value) for value in values}
            assert expected == dict(found.facets[name])
            counts = [count for _, count in found.facets[name]]
            assert counts == sorted(counts, reverse=True)

    @pytest.mark.parametrize("descending", [False, True])
    def test_an_order_with_ties_and_gaps(self, many: Kept, descending: bool) -> None:
        """Ties go by id, and what has no price comes last in either direction."""
        found = run(many.search(Search(order="price", descending=descending, limit=200)))
        documents = [doc(number) for number in range(200)]
        sign = -1 if descending else 1
        expected = sorted(
            documents,
            key=lambda one: (
                "price" not in one.orders, sign * int(one.orders.get("price", 0)), one.id
            ),
        )  # fmt: skip

        assert [one.body for one in expected] == list(found.bodies)

    def test_a_page_past_the_end_is_empty(self, many: Kept) -> None:
        """And still says how many there are."""
        for query in (Search(offset=500), Search(text="Kleid", offset=500), Search(limit=0)):
            found = run(many.search(query))
            assert ((), True) == (found.bodies, found.total > 0)

    def test_near_misses_do_not_come_first_in_other_orders(self, either: Kept) -> None:
        """Ordered by name, only what has all the words is shown, if anything has."""
        documents = [
            Document(id=name, body=b"", text={"name": name}, orders={"name": name})
            for name in ("Blaue Hose", "Rote Hose", "Rotes Hemd")
        ]
        write(either, documents)

        assert 1 == run(either.search(Search(text="rote Hose", order="name"))).total
        assert 3 == run(either.search(Search(text="rote Hose"))).total

    @pytest.mark.slow
    def test_several_segments_answer_as_one(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A catalogue too big for one piece of index has the same order without ties."""
        monkeypatch.setattr(_building, "_HEAP", 15_000_000)
        index = TantivyIndex(tmp_path, SCHEMA)
        filler = [
            " ".join(f"w{number:x}q{word:x}" for word in range(30)) for number in range(9_000)
        ]
        write(index, (doc(number, id=f"d{number:05d}", text={"name": "Kleid" if number % 2 else "Rock Kleid",
              "more": filler[number]}) for number in range(9_000)))  # fmt: skip
        reader = index._reader
        assert reader is not None
        assert reader._searcher.num_segments > 1

        whole = [run(index.search(Search(text="Kleid", limit=9_000))).bodies]
        pages = [run(index.search(Search(text="Kleid", offset=at, limit=1_500))) for at in range(0, 9_000, 1_500)]  # fmt: skip

        assert whole[0] == tuple(body for page in pages for body in page.bodies)
        assert 9_000 == len(set(whole[0]))
        index.close()


class TestStore:
    def test_an_empty_store(self, either: Kept) -> None:
        """Has a revision, and nothing else."""
        assert ("empty", None, None, 0) == (
            either.revision,
            either.origin,
            either.label,
            len(either),
        )
        assert Found((), 0, {"size": ()}) == run(either.search(Search(text="x", facets=("size",))))
        assert run(either.get("d001")) is None

    def test_what_is_published_is_there_again(
        self, opened: Open, either: Kept, tmp_path: Path
    ) -> None:
        """For whoever opens the store next, with the same answers in the same order."""
        write(either, map(doc, range(50)), label="first")
        again = opened(tmp_path, SCHEMA)

        query = Search(text="Kleid", facets=("colour",))
        assert run(either.search(query)) == run(again.search(query))
        assert (either.revision, "test", "first") == (again.revision, again.origin, again.label)
        assert b"body 7" == run(again.get("d007"))
        again.close()

    def test_each_publication_has_its_own_revision(self, either: Kept) -> None:
        """Which never comes back, be the documents the same or gone."""
        seen = {either.revision}
        for keep in (True, True, False):
            write(either, [doc(1)], keep=keep)
            seen.add(either.revision)

        assert 4 == len(seen)

    def test_documents_replace_those_of_their_id(self, either: Kept) -> None:
        """And others stay, if they are to be kept."""
        write(either, map(doc, range(10)))
        write(either, [doc(3, body=b"new"), doc(11)])
        assert (11, b"new", b"body 4") == (
            len(either),
            run(either.get("d003")),
            run(either.get("d004")),
        )

        write(either, [doc(5)], keep=False)
        assert (1, None) == (len(either), run(either.get("d004")))

    def test_an_open_index_sees_what_another_publishes(
        self, index: TantivyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Once it looks again; until then it answers from what it has, though that is deleted."""
        other = TantivyIndex(tmp_path / "store", SCHEMA)
        write(index, [doc(1)])
        monkeypatch.setattr(_tantivy, "LOOK_AGAIN", 0)
        assert 1 == len(other)
        monkeypatch.setattr(_tantivy, "LOOK_AGAIN", 3_600)
        before = other.revision
        write(index, [doc(2)])

        assert (1, before) == (
            run(other.search(Search(text="blau rot grün"))).total,
            other.revision,
        )
        monkeypatch.setattr(_tantivy, "LOOK_AGAIN", 0)
        assert (2, index.revision) == (len(other), other.revision)
        other.close()

    def test_a_draft_that_fails_changes_nothing(self, index: TantivyIndex) -> None:
        """And is gone on with by the next of its label, from its mark."""
        write(index, [doc(1)])
        before = index.revision
        with pytest.raises(Died):
            write_and_die(index, [doc(2)], "big", 7)
        with pytest.raises(Died):
            write_and_die(index, no_documents(), "big", 8)

        assert (1, before) == (len(index), index.revision)
        with index.locked(), index.draft("big", origin="test", keep=True) as draft:
            assert (7, "big") == (draft.mark, draft.label)
            draft.put([doc(3)], mark=9)
        assert [b"body 1", b"body 2", b"body 3"] == list(run(index.search(Search())).bodies)

    def test_a_draft_whose_writer_died_while_indexing(self, index: TantivyIndex) -> None:
        """Can be put to again, and is indexed anew."""
        with pytest.raises(Died):
            write_and_die(index, [doc(1)], "x", 1, indexing=True)
        write(index, [doc(2)])

        assert 2 == len(index)

    def test_other_drafts_are_dropped(self, index: TantivyIndex, tmp_path: Path) -> None:
        """Those of another label, of a base that is no longer live, and half-made ones."""
        for label in ("one", "two"):
            with pytest.raises(Died):
                write_and_die(index, [doc(1)], label, 5)
        (tmp_path / "store" / "000001-dead").mkdir()
        (tmp_path / "store" / "000001-beef").mkdir()
        (tmp_path / "store" / "000001-beef" / "documents.db").write_bytes(b"no database at all")
        write(index, [doc(2)], label="three")

        assert 1 == len(index)
        assert 1 == sum(path.is_dir() for path in (tmp_path / "store").iterdir())

    def test_one_writes_at_a_time(self, index: TantivyIndex, tmp_path: Path) -> None:
        """The second is told so, unless it waits; a lock file that nobody holds is no lock."""
        (tmp_path / "store" / "lock").write_text("stale")
        other = TantivyIndex(tmp_path / "store", SCHEMA)
        with index.locked(), pytest.raises(Busy, match="Another process"), other.locked():
            pass
        with other.locked(wait=True):
            pass
        other.close()

    def test_an_index_of_another_making_is_made_anew(
        self, opened: Open, either: Kept, tmp_path: Path
    ) -> None:
        """When the schema has changed, from the documents that are kept."""
        write(either, map(doc, range(9)), label="mine", origin="me")
        schema = Schema(language="de", text={"name": 1.0}, facets=("colour",), orders=("name",))
        other = opened(tmp_path, schema)

        assert (9, "me", "mine") == (len(other), other.origin, other.label)
        assert either.revision != other.revision
        assert 9 == run(other.search(Search(order="name", facets=("colour",)))).total
        other.close()

    def test_two_releases_share_a_store(
        self, index: TantivyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each follows its own live generation; who is opened again has the newest catalogue."""
        monkeypatch.setattr(_tantivy, "LOOK_AGAIN", 0)
        write(index, [doc(1)])
        before = index.revision
        schema = Schema(language="de", text={"name": 1.0})
        newer = TantivyIndex(tmp_path / "store", schema)
        write(newer, [doc(2)])

        assert (1, before, 2) == (len(index), index.revision, len(newer))
        again = TantivyIndex(tmp_path / "store", SCHEMA)
        assert 2 == len(again) == len(newer)
        assert 1 == run(again.search(Search(ranges={"price": Range(2, 2)}))).total
        stays = newer.revision
        TantivyIndex(tmp_path / "store", schema).close()
        assert stays == newer.revision
        again.close()
        newer.close()

    def test_two_make_it_anew_at_once(
        self, index: TantivyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The second, which had to wait, takes what the first has made."""
        write(index, [doc(1)])
        schema = Schema(language="de", text={"name": 1.0})
        real = TantivyIndex.locked
        made: list[str] = []

        @contextmanager
        def late(self: TantivyIndex, *, wait: bool = False) -> Generator[None]:
            monkeypatch.setattr(TantivyIndex, "locked", real)
            first = TantivyIndex(tmp_path / "store", schema)
            made.append(first.revision)
            first.close()
            with real(self, wait=wait):
                yield

        monkeypatch.setattr(TantivyIndex, "locked", late)
        second = TantivyIndex(tmp_path / "store", schema)

        assert made == [second.revision]
        second.close()

    def test_replaced_between_the_look_and_the_opening(
        self, index: TantivyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It looks once more."""
        write(index, [doc(1)])
        real = _tantivy.Reader

        def late(path: Path, live: Any, facet: Any) -> Any:
            monkeypatch.setattr(_tantivy, "Reader", real)
            write(index, [doc(2)])
            return real(path, live, facet)

        monkeypatch.setattr(_tantivy, "Reader", late)
        other = TantivyIndex(tmp_path / "store", SCHEMA)

        assert (2, index.revision) == (len(other), other.revision)
        other.close()

    def test_a_store_that_is_taken_away(
        self, index: TantivyIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever has it open still answers."""
        write(index, [doc(1)])
        monkeypatch.setattr(_tantivy, "LOOK_AGAIN", 0)
        shutil.rmtree(tmp_path / "store")

        assert 1 == run(index.search(Search())).total

    def test_what_is_broken_says_so(self, index: TantivyIndex, tmp_path: Path) -> None:
        """A live generation that cannot be opened is no empty store."""
        write(index, [doc(1)])
        (tmp_path / "store" / index.revision / "about.json").write_bytes(b"{}")

        with pytest.raises(Exception, match="missing required field"):
            TantivyIndex(tmp_path / "store", SCHEMA)

    @pytest.mark.slow
    def test_killed_at_any_moment(self, tmp_path: Path) -> None:
        """The store opens as it was before or as it is after, and can be written to."""
        program = textwrap.dedent("""
            import sys
            from pathlib import Path
            from ogrom.sources.search import Document, Schema, TantivyIndex
            schema = Schema(language="de", text={"name": 1.0})
            index = TantivyIndex(Path(sys.argv[1]), schema)
            print("ready", flush=True)
            for turn in range(1, 1_000):
                with index.locked(), index.draft(str(turn), origin="x", keep=False) as draft:
                    draft.put(
                        Document(id=str(one), body=str(turn).encode(), text={"name": "Kleid"})
                        for one in range(200)
                    )
        """)
        schema = Schema(language="de", text={"name": 1.0})
        for turn in range(12):
            process = subprocess.Popen(
                [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            assert b"ready\n" == process.stdout.readline()
            try:
                process.wait(0.03 + turn * 0.017)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
            process.stdout.close()

            index = TantivyIndex(tmp_path, schema)
            found = run(index.search(Search(text="Kleid", limit=200)))
            assert found.total in (0, 200)
            assert len(set(found.bodies)) <= 1
            with index.locked(), index.draft("after", origin="x", keep=True) as draft:
                draft.put([Document(id="after", body=b"after", text={"name": "Rock"})])
            assert b"after" == run(index.get("after"))
            index.close()
