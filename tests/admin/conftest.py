from collections.abc import AsyncIterator

import pytest_asyncio

from tests.admin.service import Service, serving


@pytest_asyncio.fixture
async def service() -> AsyncIterator[Service]:
    """A gateway and its admin application."""
    async with serving() as running:
        yield running
