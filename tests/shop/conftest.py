"""A shop with its sources: the embedded ones, and real servers."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from support.server import Server, shop_server
from support.waited import WaitedProducts

from ogrom.http import Service
from ogrom.sources.search import address
from shop.run import Settings, shop
from shop.sources.importing import store
from shop.sources.products import TantivyProducts


@pytest.fixture(scope="module", params=["embedded", pytest.param("real", marks=pytest.mark.slow)])
def source_set(request: pytest.FixtureRequest) -> str:
    """Where a shop keeps what it knows: in its own folder, or in servers that others run."""
    return request.param


@pytest.fixture(scope="module")
def place(source_set: str, request: pytest.FixtureRequest) -> Callable[[Path], dict[str, str]]:
    """What the environment says to a shop with this state folder: the same each time."""
    made: dict[Path, dict[str, str]] = {}

    def of(state: Path) -> dict[str, str]:
        if state not in made:
            others = request.getfixturevalue("real").fresh() if source_set == "real" else {}
            made[state] = {"OGROM_STATE": str(state), **others}
        return made[state]

    return of


@pytest.fixture(scope="module")
def stores(source_set: str, place: Callable[[Path], dict[str, str]]) -> Callable[[Path, str], Any]:
    """The products of a locale, as a shop with that state folder has them; to be closed."""

    def of(state: Path, locale: str) -> TantivyProducts | WaitedProducts:
        if source_set == "embedded":
            return TantivyProducts.open(store(state, locale), locale)
        where = address(place(state)["OGROM_SEARCH"])
        return WaitedProducts(where, locale, state / "imports" / locale)

    return of


@pytest.fixture(scope="module")
def serving(
    place: Callable[[Path], dict[str, str]],
) -> Callable[..., AbstractContextManager[Server]]:
    """A shop with that state folder as a process, while a block runs."""
    return lambda state, **env: shop_server(state, **{**place(state), **env})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(place, tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[Service]:
    """The shop's service on a small invented catalogue; one for all tests of a module."""
    env = {**place(tmp_path_factory.mktemp("shop")), "OGROM_PRODUCTS": "120"}
    async with shop(Settings.from_env(env)) as app:
        yield app.service
