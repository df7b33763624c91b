"""Two registries for each test of the engine."""

from collections.abc import AsyncIterator

import pytest

from oci_client.testing import FakeRegistry
from tests.engine_kit import Worker


@pytest.fixture
async def source() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture
async def destination() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture
async def worker(source: FakeRegistry, destination: FakeRegistry) -> AsyncIterator[Worker]:
    async with Worker(source, destination) as worker:
        yield worker
