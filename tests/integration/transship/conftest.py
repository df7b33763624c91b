"""Small working services, and the command line with them as its targets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.transship.cli_kit import Cli
from tests.integration.transship.fake_services import FakeServices, fake_services


@pytest.fixture
async def fakes() -> AsyncIterator[FakeServices]:
    async with fake_services() as fakes:
        yield fakes


@pytest.fixture
def cli(fakes: FakeServices, tmp_path: Path) -> Cli:
    return Cli(fakes.address, tmp_path / "state")
