"""Adapters that stay open between calls."""

from dataclasses import replace

import pytest

from registry_svc.adapters.table import AdapterTable
from registry_svc.service import sessions as module
from registry_svc.service.sessions import Connector, Sessions
from tests.unit.registry_svc.registry_fakes import FakeProduct, a_registry, a_vault


@pytest.fixture
def product() -> FakeProduct:
    return FakeProduct()


@pytest.fixture
def sessions(product: FakeProduct) -> Sessions:
    return Sessions(Connector(AdapterTable([product.type()]), a_vault()))


async def test_an_adapter_is_used_again_until_the_registry_changes(sessions: Sessions, product: FakeProduct) -> None:
    registry = a_registry()
    async with sessions.lease(registry) as first:
        pass
    async with sessions.lease(registry) as again:
        pass
    async with sessions.lease(replace(registry, revision=2)) as changed:
        pass

    assert first is again
    assert changed is not first
    assert product.open_adapters == 1


async def test_an_adapter_in_use_is_closed_after_its_use(sessions: Sessions, product: FakeProduct) -> None:
    async with sessions.lease(a_registry()), sessions.lease(a_registry(revision=2)):
        assert product.open_adapters == 2
    assert product.open_adapters == 1
    await sessions.aclose()
    assert product.open_adapters == 0


async def test_those_not_used_for_longest_make_room(
    sessions: Sessions, product: FakeProduct, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    registries = [a_registry(uid=f"uid-{number}") for number in range(3)]
    for registry in registries:
        async with sessions.lease(registry):
            pass
    async with sessions.lease(registries[2]):
        pass

    assert product.open_adapters == 2
    assert len(product.endpoints) == 3


def test_two_adapters_of_one_type_are_refused(product: FakeProduct) -> None:
    with pytest.raises(ValueError, match="two adapters"):
        AdapterTable([product.type(), product.type()])
