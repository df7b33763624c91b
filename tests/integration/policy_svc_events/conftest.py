"""A database for events."""

from collections.abc import AsyncIterator

import pytest

from service_kit.database import Pool, open_pool
from tests.postgres import Database


@pytest.fixture
async def url(database: Database) -> str:
    return await database("policy_svc")


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    async with open_pool(url, schema="policy") as pool:
        yield pool
