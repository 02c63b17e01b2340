"""A real OpenSearch answers as the embedded engine does; and what happens when it does not answer."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import closing, suppress
from pathlib import Path
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import pytest_asyncio
from support.certificate import certified

from ogrom import deadline
from ogrom.metrics import text
from ogrom.sources import _elastic_documents, _elastic_live
from ogrom.sources._errors import TimedOut
from ogrom.sources._generations import Generations
from ogrom.sources.search import (
    Busy,
    Document,
    ElasticIndex,
    Engine,
    Found,
    Misuse,
    Range,
    Schema,
    Search,
    TantivyIndex,
    Unavailable,
    address,
    connect,
)

pytestmark = pytest.mark.slow

COLOURS = ("rot", "blau", "grün")
SCHEMA = Schema(
    language="de",
    text={"name": 2.0, "more": 1.0},
    facets=("colour", "size"),
    numbers=("price",),
    orders=("price", "name"),
)


def doc(number: int) -> Document:
    colour, price = COLOURS[number % 3], number % 5
    kind = ("Kleid", "Rock", "Lederkleid", "Leder")[number % 4]
    return Document(
        id=f"d{number:05d}",
        body=f"body {number} \xff".encode("latin-1"),
        text={"name": f"{colour} {kind}", "more": "schön aus Leder" if number % 7 else ""},
        facets={"colour": (colour,), "size": ("S", "M", "L")[: number % 4]},
        numbers={"price": price} if price else {},
        orders={"price": price, "name": colour} if price else {"name": colour},
    )


@pytest_asyncio.fixture
async def engine(node: Any) -> AsyncIterator[Engine]:
    async with connect(f"{node.start()}/t{token_hex(4)}") as engine:
        yield engine


async def publish(
    index: ElasticIndex, folder: Path, documents: Iterable[Document], base: str | None = None
) -> None:
    await index.refresh()
    live = index.revision if base is None else base
    with closing(Generations(folder / token_hex(4), "x").draft("label", keep=False)) as draft:
        draft.put(documents)
        await index.publish(draft, "" if live == "empty" else live, "test")
    draft.close()


async def test_both_engines_answer_alike(engine: Engine, tmp_path: Path) -> None:
    """The same documents in the same order, the same totals, the same counts."""
    embedded = TantivyIndex(tmp_path / "store", SCHEMA)
    with embedded.locked(), embedded.draft("x", origin="test", keep=False) as draft:
        draft.put(map(doc, range(300)))
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(300)))
    asked = [
        Search(text=words, filters=filters, ranges=ranges, order=order, descending=down,
               facets=("colour", "size"), limit=30, offset=offset)
        for words in ("", "Kleid", "rote Lederkleider", "schön", "blau grün Rock", "mit", "\ud800", '"*')
        for filters in ({}, {"colour": ("rot",)}, {"colour": ("rot", "blau"), "size": ("M",)})
        for ranges in ({}, {"price": Range(1, 10**30)})
        for order in (None, "price", "name")
        for down in (False, True)
        for offset in (0, 30)
    ]  # fmt: skip

    for query in asked:
        assert await embedded.search(query) == await index.search(query), query
    assert doc(7).body == await index.get("d00007")
    assert await index.get("\ud800") is None
    assert await index.get("") is None
    assert 300 == await index.count()
    assert 'ogrom_search_engine_seconds_count{asked="_search"}' in text(engine.metrics())
    embedded.close()


@pytest.mark.parametrize("is_known", [True, False])
async def test_the_answer_to_the_switch_is_lost(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_known: bool
) -> None:
    """The catalogue that became live stays: it is looked at, and where it cannot be, nothing is dropped."""
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(3)))
    ask = Engine.ask
    cut = False

    async def losing(
        self: Engine, kind: Any, method: str, path: str, *more: Any, **rest: Any
    ) -> Any:
        nonlocal cut
        if cut and not is_known and path.startswith("_alias/"):
            raise Unavailable("nobody answers")
        answer = await ask(self, kind, method, path, *more, **rest)
        if path == "_aliases":
            cut = True
            raise Unavailable("the connection broke before the answer came")
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "ask", losing)
        if is_known:
            await publish(index, tmp_path, map(doc, range(9)))
        else:
            with pytest.raises(Unavailable):
                await publish(index, tmp_path, map(doc, range(9)))
    await index.refresh()
    assert 9 == await index.count()


async def test_a_document_by_its_id(engine: Engine, tmp_path: Path) -> None:
    """Whatever the id has in it; and after its index was replaced and removed."""
    named = ("a/b", "..", "a b?c#d", "ä+%2F%", "x" * 512, "_search", '"', "a")
    documents = [msgspec.structs.replace(doc(0), id=one, body=one.encode()) for one in named]
    index, reader = ElasticIndex(engine, "de", SCHEMA), ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, documents)
    for one in named:
        assert one.encode() == await reader.get(one), one
    for one in ("", "b", "a/", ".", "x" * 513, "ä" * 300, "\ud800", "\x00"):
        assert await reader.get(one) is None, one

    await publish(index, tmp_path, documents[:1])
    assert await reader.get("a") is None
    assert b"a/b" == await reader.get("a/b")
    assert 'asked="_doc"' in text(engine.metrics())


async def test_an_empty_engine(engine: Engine) -> None:
    """Finds nothing, and is no error."""
    index = ElasticIndex(engine, "de", SCHEMA)

    assert Found((), 0, {"size": ()}) == await index.search(Search(text="x", facets=("size",)))
    assert (None, 0, "empty", None) == (
        await index.get("x"), await index.count(), index.revision, index.origin
    )  # fmt: skip


async def test_paged_beyond_the_engines_window(engine: Engine, tmp_path: Path) -> None:
    """By a point in time: no gap, no repetition."""
    count = 10_250
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(count)))
    for query in (
        Search(limit=200),
        Search(text="Leder", limit=200),
        Search(order="price", limit=200),
    ):
        whole, total = list[bytes](), 0
        for offset in (9_700, 9_900, 10_100, 10_300):
            page = await index.search(
                Search(text=query.text, order=query.order, limit=200, offset=offset)
            )
            whole += page.bodies
            total = page.total
        assert len(set(whole)) == len(whole) == max(0, total - 9_700)
    first = await index.search(Search(limit=1, offset=count - 1))
    assert (doc(count - 1).body,) == first.bodies


async def test_replaced_while_it_serves(engine: Engine, tmp_path: Path) -> None:
    """No question fails, and each is answered from one catalogue; the old index is removed."""
    index = ElasticIndex(engine, "de", SCHEMA)
    reader = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(100)))
    before, totals, going = index.revision, set[int](), True

    async def ask() -> None:
        while going:
            totals.add((await reader.search(Search())).total)

    asking = [asyncio.create_task(ask()) for _ in range(8)]
    for count in (200, 300, 400):
        await publish(index, tmp_path, map(doc, range(count)))
    going = False
    await asyncio.gather(*asking)

    assert {100, 200, 300, 400} >= totals
    assert before != index.revision
    indices = await engine.ask(dict[str, Any], "GET", f"{engine.where.prefix}-*")
    assert {index.revision, f"{engine.where.prefix}-about"} == set(indices)


class Noting:
    """What an engine is asked for, while it is: each search with its `_source`, each `_mget` with its ids."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[str, Any]] = []
        ask = engine.ask

        async def noting(into: Any, method: str, path: str, body: Any = None, **more: Any) -> Any:
            kind = path.partition("?")[0].rpartition("/")[2]
            if kind in ("_search", "_mget"):
                self.asked.append((kind, body.get("ids", body.get("_source"))))
            return await ask(into, method, path, body, **more)

        monkeypatch.setattr(engine, "ask", noting)

    def taken(self) -> list[tuple[str, Any]]:
        """What was asked since this was called last."""
        asked, self.asked = self.asked, []
        return asked


BODIES, IDS = ("_search", ["body"]), ("_search", False)


async def test_documents_are_fetched_once(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found lately is not sent again; of a new catalogue, everything is."""
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(60)))
    noting = Noting(engine, monkeypatch)
    first, again, kept = [await index.search(Search()) for _ in range(3)]
    assert [BODIES, BODIES, IDS] == noting.taken()
    assert tuple(doc(n).body for n in range(20)) == first.bodies == again.bodies == kept.bodies

    few = await index.search(Search(offset=4))
    assert [IDS, ("_mget", [f"d{n:05d}" for n in range(20, 24)])] == noting.taken()
    assert tuple(doc(n).body for n in range(4, 24)) == few.bodies
    many = await index.search(Search(offset=30))
    assert [IDS, ("_mget", [f"d{n:05d}" for n in range(30, 50)])] == noting.taken()
    assert tuple(doc(n).body for n in range(30, 50)) == many.bodies
    await index.search(Search(offset=30))
    assert [BODIES] == noting.taken()  # as much was new before

    changed = [msgspec.structs.replace(doc(n), body=b"new %d" % n) for n in range(60)]
    await publish(index, tmp_path, changed)
    assert tuple(b"new %d" % n for n in range(20)) == (await index.search(Search())).bodies


async def test_what_is_kept_is_bounded(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was fetched first goes first, and is fetched again."""
    monkeypatch.setattr(_elastic_documents, "MOST_BYTES", 25 * len(doc(10).body))
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(10, 70)))
    noting = Noting(engine, monkeypatch)
    for offset in (0, 0, 20, 0):
        page = await index.search(Search(offset=offset))
        assert tuple(doc(10 + offset + n).body for n in range(20)) == page.bodies
    assert [BODIES, BODIES, IDS, ("_mget", [f"d{n:05d}" for n in range(30, 50)]), BODIES] == (
        noting.taken()
    )
    whole = await index.search(Search(limit=60))  # more than is kept at all
    assert tuple(doc(n).body for n in range(10, 70)) == whole.bodies


async def test_removed_between_search_and_fetch(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question is asked of the new catalogue."""
    index, writer = ElasticIndex(engine, "de", SCHEMA), ElasticIndex(engine, "de", SCHEMA)
    await publish(writer, tmp_path, map(doc, range(30)))
    for _ in range(2):
        await index.search(Search())
    ask = engine.ask

    async def replacing(into: Any, method: str, path: str, *more: Any, **rest: Any) -> Any:
        if "_mget" in path:
            monkeypatch.setattr(engine, "ask", ask)
            await publish(writer, tmp_path, map(doc, range(100, 130)))
        return await ask(into, method, path, *more, **rest)

    monkeypatch.setattr(engine, "ask", replacing)
    page = await index.search(Search(offset=4))

    assert tuple(doc(n).body for n in range(104, 124)) == page.bodies


async def test_what_was_found_cannot_be_fetched(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a part of the engine is away between the two questions: nobody gets half a page."""
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(30)))
    for _ in range(2):
        await index.search(Search())
    ask = engine.ask

    async def lacking(into: Any, method: str, path: str, *more: Any, **rest: Any) -> Any:
        answer = await ask(into, method, path, *more, **rest)
        return into(docs=answer.docs[1:]) if "_mget" in path else answer

    with monkeypatch.context() as patch:
        patch.setattr(engine, "ask", lacking)
        with pytest.raises(Unavailable, match="1 documents that were found in"):
            await index.search(Search(offset=4))
    assert 20 == len((await index.search(Search(offset=4))).bodies)


async def test_of_two_writers_one_wins(engine: Engine, tmp_path: Path) -> None:
    """The other hears so, and leaves nothing behind; be the store empty at first or not."""
    index = ElasticIndex(engine, "de", SCHEMA)
    for _ in range(2):
        await index.refresh()
        base = "" if index.revision == "empty" else index.revision
        results = await asyncio.gather(
            *(
                publish(ElasticIndex(engine, "de", SCHEMA), tmp_path, [doc(1)], base)
                for _ in range(3)
            ),
            return_exceptions=True,
        )
        assert 1 == results.count(None)
        assert {type(None), Busy} == {type(one) for one in results}, results
        await index.refresh()
        indices = await engine.ask(dict[str, Any], "GET", f"{engine.where.prefix}-*")
        assert {index.revision, f"{engine.where.prefix}-about"} == set(indices)


async def test_frozen_and_stopped_and_back(
    own_node: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No question outlives its deadline; when the engine is back, so are the answers."""
    monkeypatch.setattr(_elastic_live, "LOOK_AGAIN", 3_600)
    async with connect(f"{own_node.start()}/t{token_hex(4)}", patience=60) as engine:
        index = ElasticIndex(engine, "de", SCHEMA)
        await publish(index, tmp_path, map(doc, range(50)))
        pid, _ = own_node.state
        os.kill(pid, signal.SIGSTOP)
        try:
            deadline.set(seconds=0.5)
            begun = time.monotonic()
            answers = await asyncio.gather(
                *(index.search(Search(text="Kleid")) for _ in range(300)), return_exceptions=True
            )
            assert time.monotonic() - begun < 30
            assert {TimedOut} == {type(one) for one in answers}
        finally:
            deadline.set(seconds=None)
            os.kill(pid, signal.SIGCONT)
        found = await asyncio.gather(*(index.search(Search()) for _ in range(1_000)))
        assert {50} == {one.total for one in found}


async def test_nobody_there() -> None:
    """Is told with the address and without the secret."""
    async with connect("http://me:hush@127.0.0.1:9/shop") as engine:
        with pytest.raises(Unavailable, match=r"127\.0\.0\.1:9 cannot be reached") as caught:
            await ElasticIndex(engine, "de", SCHEMA).search(Search())
        assert "hush" not in str(caught.value) + repr(engine.where)


async def test_what_the_engine_refuses(engine: Engine) -> None:
    """Is told with its own reason."""
    with pytest.raises(Misuse, match=r"answers 400, .*no_such_query"):
        await engine.ask(dict[str, Any], "POST", "_search", {"query": {"no_such_query": {}}})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("localhost:9200", "http://"),
        ("http:///x", "no host"),
        ("http://me:hush@h:port/x", "host or port"),
        ("http://h/Upper", "name of an index"),
        ("http://h/a?b", "where only [?]ca=FILE may be"),
        ("https://h/a?ca=a&user=hush", "where only [?]ca=FILE may be"),
        ("http://h/a?ca=a.pem", "for https"),
        ("https://h/a?ca=/none.pem", "ca=/none.pem: .*No such file.*name a file of certificates"),
        (f"https://h/a?ca={__file__}", "name a file of certificates"),
    ],
)
def test_a_url_that_cannot_be_right(url: str, why: str) -> None:
    """Says why, without the secret."""
    with pytest.raises(ValueError, match=why) as caught:
        address(url)
    assert "hush" not in str(caught.value)


def test_a_url() -> None:
    """Has a port and a prefix, said or not."""
    assert ("http://h:9200", "ogrom") == (address("http://h").url, address("http://h").prefix)
    assert ("https://[::1]:443", "a b") == (
        address("https://a%20b:c@[::1]/x").url, address("https://a%20b:c@[::1]/x").user
    )  # fmt: skip


async def test_by_tls(engine: Engine, tmp_path: Path) -> None:
    """A real engine behind a certificate that is its own authority: it is known by that, or not at all."""
    await publish(ElasticIndex(engine, "de", SCHEMA), tmp_path, [doc(1)])
    certificate, context = certified(tmp_path)
    plain = urlsplit(engine.where.url)

    async def pass_on(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            to.write(data)
            await to.drain()
        to.close()

    async def relayed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        further, to = await asyncio.open_connection(plain.hostname, plain.port)
        with suppress(OSError):
            await asyncio.gather(pass_on(reader, to), pass_on(further, writer))

    relay = await asyncio.start_server(relayed, "127.0.0.1", 0, ssl=context)
    port = relay.sockets[0].getsockname()[1]
    secure = f"https://me:hush@127.0.0.1:{port}/{engine.where.prefix}"
    async with relay, connect(f"{secure}?ca={certificate}") as known, connect(secure) as unknown:
        assert doc(1).body == await ElasticIndex(known, "de", SCHEMA).get("d00001")
        with pytest.raises(Unavailable, match=r"does not prove who it is.*[?]ca=FILE") as caught:
            await unknown.ping()
        assert "hush" not in str(caught.value)
        async with connect(f"https://127.0.0.1:{plain.port}/a") as wrong:
            with pytest.raises(Unavailable, match="Is it http:// there"):
                await wrong.ping()


async def test_filled_from_what_is_live(engine: Engine, tmp_path: Path) -> None:
    """Every document comes back as it was put, and the numbers of the generations rise."""
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, map(doc, range(1_200)))
    assert "-000001-" in index.revision
    with closing(Generations(tmp_path / "again", "x").draft("more", keep=False)) as draft:
        await index.fill(draft)
        draft.put([doc(1_200)])
        await index.publish(draft, index.revision, "test")

    assert 1_201 == await index.count()
    assert "-000002-" in index.revision
    assert doc(1_199).body == await index.get("d01199")


async def test_what_a_killed_writer_left(engine: Engine, tmp_path: Path) -> None:
    """Is removed by the next one that publishes."""
    index = ElasticIndex(engine, "de", SCHEMA)
    await publish(index, tmp_path, [doc(1)])
    left = f"{index.revision.rpartition('-')[0]}-{token_hex(4)}"
    await engine.ask(dict[str, Any], "PUT", left)
    await publish(index, tmp_path, [doc(2)])

    indices = await engine.ask(dict[str, Any], "GET", f"{engine.where.prefix}-*")
    assert {index.revision, f"{engine.where.prefix}-about"} == set(indices)


async def test_another_version_of_the_schema(engine: Engine, tmp_path: Path) -> None:
    """Makes its own of what is there, while the old release goes on; two at once are no error."""
    old = ElasticIndex(engine, "de", SCHEMA)
    await publish(old, tmp_path, map(doc, range(50)))
    changed = msgspec.structs.replace(SCHEMA, text={"name": 3.0, "more": 1.0})
    new, twin = (ElasticIndex(engine, "de", changed) for _ in range(2))
    await asyncio.gather(new.catch_up(), twin.catch_up())

    for index in (old, new, twin):
        assert 50 == await index.count()
    assert new.revision == twin.revision != old.revision
    assert ("test", "label") == (new.origin, new.label)
    before = new.revision
    await new.catch_up()
    assert before == new.revision
    await publish(new, tmp_path, map(doc, range(60)))
    assert (50, 60) == (await old.count(), await new.count())
    await old.catch_up()
    assert 60 == await old.count()


async def test_a_revision_before_the_engine_was_reached() -> None:
    """Is not told: it would be a wrong one."""
    async with connect("http://127.0.0.1:9/shop") as engine:
        with pytest.raises(Unavailable, match="has not answered yet"):
            _ = ElasticIndex(engine, "de", SCHEMA).revision
