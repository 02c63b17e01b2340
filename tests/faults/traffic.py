"""Load at a bounded rate on all that the shop offers; every answer is noted.

Requests begin at their time, whether those before have been answered or not: a source that hangs
makes them pile up, as clients would.
"""

import asyncio
import itertools
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

RATE = 60.0
"""Requests for each second, at full length."""

MOST = 1_000
"""As many are under way at once, at most."""

USERS = ("anna", "bram", "claire", "daniel")
WORDS = ("Kleid", "Hose", "Rock", "Bluse", "Schuh", "blau", "rot", "Leder")
SEARCHES = ("rote Kleider", "blaue Hosen", "Rock", "Schuhe Leder")


@dataclass(frozen=True)
class Answer:
    """What became of one request."""

    kind: str
    at: float
    """When it was sent, by `time.monotonic`."""
    seconds: float
    status: int
    """0 where there was no whole answer in time."""
    id: str
    age: int | None
    retry_after: str | None
    what: str = ""

    @property
    def failed(self) -> bool:
        """Whether the client got nothing that it could use."""
        return self.status == 0 or self.status >= 500


@dataclass
class Acked:
    """What the shop has said is written."""

    comments: dict[int, str] = field(default_factory=dict)
    """Texts by id."""
    ratings: dict[tuple[str, str], int] = field(default_factory=dict)
    """Stars by product and user."""


NEEDS: dict[str, frozenset[str]] = {
    "start": frozenset(),
    "live": frozenset(),
    "ready": frozenset(),
    "product": frozenset({"search"}),
    "search": frozenset({"search"}),
    "new search": frozenset({"search"}),
    "ratings": frozenset({"search", "sql"}),
    "comments": frozenset({"search", "sql"}),
    "collages": frozenset({"sql"}),
    "user": frozenset({"users"}),
    "unknown user": frozenset({"users"}),
    "comment!": frozenset({"search", "sql", "users"}),
    "rate!": frozenset({"search", "sql", "users"}),
}
"""Which sources each kind of request needs; those with a ! write."""

KEPT: dict[str, frozenset[str]] = {
    "product": frozenset({"search"}),
    "search": frozenset({"search"}),
    "ratings": frozenset({"search", "sql"}),
    "comments": frozenset({"search", "sql"}),
    "collages": frozenset({"sql"}),
    "user": frozenset({"users"}),
    "comment!": frozenset({"search", "users"}),
    "rate!": frozenset({"users"}),
}
"""Of these sources an answer that was kept is enough: the traffic asks for few things, again and again."""


class Traffic:
    """Clients of one shop. It changes with every answer."""

    def __init__(
        self, url: str, session: aiohttp.ClientSession, products: Sequence[str], rate: float
    ) -> None:
        self._pace = rate
        self._url = url
        self._session = session
        self._popular = products[:12]
        self._random = random.Random()
        pairs = [*itertools.product(USERS, products[12:])]
        self._random.shuffle(pairs)  # those of an earlier traffic have been rated, and are 412
        self._pairs = itertools.cycle(pairs)
        self._numbers = itertools.count()
        self._name = secrets.token_hex(4)
        self.answers: list[Answer] = []
        self.acked = Acked()
        self.under_way = 0

    async def run(self, over: asyncio.Event) -> None:
        """Until it is over, and all is answered."""
        kinds: dict[str, Callable[[], object]] = {
            "start": self._start, "live": self._live, "ready": self._ready,
            "product": self._product, "search": self._search, "new search": self._new_search,
            "ratings": self._ratings, "comments": self._comments, "collages": self._collages,
            "user": self._user, "unknown user": self._unknown_user,
            "comment!": self._comment, "rate!": self._rate,
        }  # fmt: skip
        assert set(kinds) == set(NEEDS)
        due = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for kind in itertools.cycle(kinds):
                if over.is_set():
                    break
                due += 1 / self._pace
                await asyncio.sleep(max(0, due - time.monotonic()))
                if self.under_way < MOST:
                    self.under_way += 1
                    group.create_task(kinds[kind]())

    async def warm(self) -> None:
        """Ask once for all that is asked for again and again."""
        for product in self._popular:
            for rest in ("", "/ratings", "/comments"):
                await self._ask("warm", "GET", f"/v1/de-DE/products/{product}{rest}")
        for query in SEARCHES:
            await self._ask("warm", "GET", "/v1/de-DE/products", params={"q": query})
        for user in USERS:
            await self._ask("warm", "GET", f"/v1/de-DE/users/{user}")
            await self._ask("warm", "GET", "/v1/de-DE/collages", user=user)
        assert not [each for each in self.answers if each.failed], self.answers[-1]

    async def _start(self) -> None:
        await self._ask("start", "GET", "/v1/de-DE")

    async def _live(self) -> None:
        await self._ask("live", "GET", "/-/live")

    async def _ready(self) -> None:
        await self._ask("ready", "GET", "/-/ready")

    async def _product(self) -> None:
        await self._ask("product", "GET", f"/v1/de-DE/products/{self._one(self._popular)}")

    async def _search(self) -> None:
        await self._ask("search", "GET", "/v1/de-DE/products", params={"q": self._one(SEARCHES)})

    async def _new_search(self) -> None:
        words = f"{self._one(WORDS)} {next(self._numbers)}"
        await self._ask("new search", "GET", "/v1/de-DE/products", params={"q": words})

    async def _ratings(self) -> None:
        await self._ask("ratings", "GET", f"/v1/de-DE/products/{self._one(self._popular)}/ratings")

    async def _comments(self) -> None:
        path = f"/v1/de-DE/products/{self._one(self._popular)}/comments"
        await self._ask("comments", "GET", path)

    async def _collages(self) -> None:
        await self._ask("collages", "GET", "/v1/de-DE/collages")

    async def _user(self) -> None:
        await self._ask("user", "GET", f"/v1/de-DE/users/{self._one(USERS)}")

    async def _unknown_user(self) -> None:
        await self._ask("unknown user", "GET", f"/v1/de-DE/users/nobody-{next(self._numbers)}")

    async def _comment(self) -> None:
        text = f"{self._name} {next(self._numbers)}"
        path = f"/v1/de-DE/products/{self._one(self._popular)}/comments"
        status, content = await self._ask(
            "comment!", "POST", path, user=self._one(USERS), json={"text": text}
        )
        if status == 201:
            self.acked.comments[content["id"]] = text

    async def _rate(self) -> None:
        user, product = next(self._pairs)
        stars = self._random.randint(1, 5)
        status, _ = await self._ask(
            "rate!",
            "PUT",
            f"/v1/de-DE/products/{product}/ratings/mine",
            user=user,
            json={"stars": stars},
            headers={"If-None-Match": "*"},
        )
        if status in (200, 201):
            self.acked.ratings[product, user] = stars

    def _one(self, some: Sequence[str]) -> str:
        return self._random.choice(some)

    async def _ask(self, kind, method, path, *, user="", headers=None, **content):
        """Send one, and note what becomes of it; its status and content."""
        name = secrets.token_hex(8)
        fields = {"X-Request-Id": name, **(headers or {})}
        if user:
            fields["Authorization"] = f"Bearer demo-{user}"
        began = time.monotonic()
        status, found, age, later, what = 0, None, None, None, ""
        try:
            async with self._session.request(
                method, self._url + path, headers=fields, **content
            ) as answer:
                text = await answer.read()
                found = await answer.json() if answer.content_type == "application/json" else None
                status = answer.status
                age = answer.headers.get("Age")
                later = answer.headers.get("Retry-After")
                what = text[:200].decode(errors="replace") if status >= 400 else ""
                if kind == "ready":
                    what = text.decode()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            what = f"{type(error).__name__}: {error}"
        finally:
            self.under_way -= kind != "warm"
        seconds = time.monotonic() - began
        self.answers.append(
            Answer(
                kind, began, seconds, status, name, None if age is None else int(age), later, what
            )
        )
        return status, found


@asynccontextmanager
async def traffic(url: str, rate: float) -> AsyncIterator[Traffic]:
    """Traffic on the shop at this URL, that has been warmed; not begun yet."""
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=30)
    ) as session:
        found: list[str] = []
        for page in range(1, 11):
            where = f"{url}/v1/de-DE/products?sort=name&per_page=100&page={page}"
            async with session.get(where) as answer:
                found += [each["id"] for each in (await answer.json())["items"]]
        made = Traffic(url, session, found, rate)
        await made.warm()
        yield made
