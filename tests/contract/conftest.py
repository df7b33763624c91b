"""Every adapter on its stage: a fake of its product, or the product itself."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from registry_svc.adapters.base import Adapter
from tests.contract.adapter_stages import PRODUCTS, Stage, open_stage


@pytest.fixture(params=PRODUCTS)
def product(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def stage(product: str, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(product, tmp_path) as stage:
        yield stage


@pytest.fixture
async def adapter(stage: Stage) -> AsyncIterator[Adapter]:
    adapter = stage.adapter()
    yield adapter
    await adapter.aclose()
