"""A shop with real sources, in this process."""

from collections.abc import AsyncGenerator

import pytest_asyncio

from ogrom.http import Service
from shop.run import Settings, shop


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(tmp_path_factory) -> AsyncGenerator[Service]:
    """The shop's service on a small invented catalogue; one for all tests of a module."""
    async with shop(Settings(state=tmp_path_factory.mktemp("shop"), products=120)) as app:
        yield app.service
