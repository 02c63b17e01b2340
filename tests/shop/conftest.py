"""A shop with real sources, in this process."""

from collections.abc import AsyncGenerator

import pytest_asyncio
from support.mariadb import of_state

from ogrom.http import Service
from ogrom.sources.http import Secret
from shop.run import Settings, shop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory) -> AsyncGenerator[Service]:
    """The shop's service on a small invented catalogue; one for all tests of a module."""
    state = tmp_path_factory.mktemp("shop")
    url = of_state(state)
    db = Secret(url) if url else None
    async with shop(Settings(state=state, products=120, db=db, demo=True)) as app:
        yield app.service
