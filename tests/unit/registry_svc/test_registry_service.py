"""The use cases of registries, over fakes."""

from typing import Any

import pytest

from registry_svc.domain.change import Change
from registry_svc.domain.errors import (
    AdapterUnknown,
    RegistryAlreadyExists,
    RegistryCredentialRejected,
    RegistryInUse,
    RegistryNotFound,
    RegistryPasswordNeeded,
)
from registry_svc.domain.registry import Registry, State
from service_kit.errors import EtagMismatch, InvalidRequest, ServiceUnavailable
from service_kit.secret import Secret
from tests.unit.registry_svc.registry_fakes import World, a_credential, a_draft

REJECTED = RegistryCredentialRejected(url="https://hub.example.com")


@pytest.fixture
def world() -> World:
    return World()


async def _created(world: World, **changes: Any) -> Registry:
    return await world.registries.create(a_draft(**changes), skip_check=False)


async def _updated(world: World, etag: str = "", **changes: Any) -> Registry:
    return await world.registries.update("hub", Change(**changes), etag=etag, skip_check=False)


async def test_a_new_registry_was_tried_and_is_healthy(world: World) -> None:
    created = await _created(world, url="https://hub.example.com/", credential=a_credential())

    assert created.check.state is State.HEALTHY
    assert created.url == "https://hub.example.com"
    assert await world.registries.get("hub") == await world.registries.get(created.uid) == created
    assert world.product.endpoints[0].credential == a_credential()
    assert world.product.open_adapters == 0


async def test_nothing_is_stored_when_the_check_fails(world: World) -> None:
    world.product.problem = REJECTED

    with pytest.raises(RegistryCredentialRejected):
        await _created(world)

    with pytest.raises(RegistryNotFound):
        await world.registries.get("hub")
    assert world.product.open_adapters == 0


async def test_a_check_can_be_skipped(world: World) -> None:
    created = await world.registries.create(a_draft(), skip_check=True)

    assert (created.check.state, world.product.checks) == (State.UNKNOWN, 0)


async def test_an_unknown_adapter_is_refused_even_without_a_check(world: World) -> None:
    with pytest.raises(AdapterUnknown) as caught:
        await world.registries.create(a_draft(type="nonesuch"), skip_check=True)

    assert caught.value.metadata == {"type": "nonesuch", "known": "fake"}


async def test_a_second_registry_of_the_same_name_is_refused(world: World) -> None:
    await _created(world)

    with pytest.raises(RegistryAlreadyExists):
        await _created(world)


async def test_all_mistakes_of_a_draft_are_told_at_once(world: World) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await _created(
            world,
            id="0b0e6d1c-7d5e-4f6a-9d1e-2f3a4b5c6d7e",
            url="hub.example.com",
            ca_certificate="x",
            credential=a_credential(password=""),
        )

    assert [each.field for each in caught.value.violations] == [
        "registry_id",
        "registry.url",
        "registry.ca_certificate",
        "registry.credential.password",
    ]


async def test_a_change_of_words_or_limits_does_not_try_the_registry(world: World) -> None:
    created = await _created(world)
    world.product.problem = REJECTED

    updated = await _updated(world, description="for builds", max_bytes_per_second=7)

    assert (updated.description, updated.max_bytes_per_second) == ("for builds", 7)
    assert updated.check == created.check
    assert updated.etag != created.etag


@pytest.mark.parametrize("change", [{"insecure": True}, {"credential": a_credential(password="new")}])
async def test_a_change_of_the_way_tries_the_registry_first(world: World, change: dict[str, Any]) -> None:
    created = await _created(world)
    world.product.problem = REJECTED

    with pytest.raises(RegistryCredentialRejected):
        await _updated(world, **change)

    assert await world.registries.get("hub") == created


async def test_a_changed_way_that_is_not_tried_is_no_longer_healthy(world: World) -> None:
    await _created(world)

    updated = await world.registries.update("hub", Change(insecure=True), etag="", skip_check=True)

    assert updated.check.state is State.UNKNOWN


async def test_a_new_url_needs_the_password_again(world: World) -> None:
    await _created(world, credential=a_credential())

    with pytest.raises(RegistryPasswordNeeded):
        await _updated(world, url="https://evil.example.com")
    with pytest.raises(RegistryPasswordNeeded):
        await _updated(world, url="https://evil.example.com", credential=a_credential(password=""))

    assert {endpoint.url for endpoint in world.product.endpoints} == {"https://hub.example.com"}


@pytest.mark.parametrize(
    ("change", "password"),
    [
        ({"credential": a_credential(password="new")}, "new"),
        ({"removes_credential": True}, None),
    ],
)
async def test_a_new_url_goes_with_a_new_password_or_none(
    world: World, change: dict[str, Any], password: str | None
) -> None:
    await _created(world, credential=a_credential())

    await _updated(world, url="https://new.example.com", **change)

    tried = world.product.endpoints[-1]
    assert tried.url == "https://new.example.com"
    assert (tried.credential.password if tried.credential else None) == (Secret(password) if password else None)


async def test_the_same_url_in_another_spelling_is_no_new_one(world: World) -> None:
    await _created(world, credential=a_credential())

    assert (await _updated(world, url=" https://hub.example.com/ ")).credential is not None


async def test_an_empty_password_keeps_the_stored_one(world: World) -> None:
    await _created(world, credential=a_credential())

    await _updated(world, credential=a_credential(password=""), insecure=True)

    assert world.product.endpoints[-1].credential == a_credential()


async def test_a_new_user_needs_a_password(world: World) -> None:
    await _created(world, credential=a_credential())

    with pytest.raises(InvalidRequest) as caught:
        await _updated(world, credential=a_credential(username="other", password=""))

    assert [each.field for each in caught.value.violations] == ["registry.credential.password"]


async def test_an_old_etag_changes_nothing(world: World) -> None:
    created = await _created(world)
    updated = await _updated(world, etag=created.etag, description="first")

    with pytest.raises(EtagMismatch):
        await _updated(world, etag=created.etag, description="second")

    assert await world.registries.get("hub") == updated


async def test_a_registry_in_use_stays(world: World) -> None:
    created = await _created(world)
    names = [f"policies/p{number}" for number in range(12)]
    world.policies.by_registry = {f"registries/{created.uid}": names}

    with pytest.raises(RegistryInUse) as caught:
        await world.registries.delete("hub")

    assert caught.value.metadata["policies"] == ", ".join(names[:10])
    assert await world.registries.get("hub") == created


async def test_nothing_is_deleted_while_the_policies_cannot_be_asked(world: World) -> None:
    created = await _created(world)
    world.policies.problem = ServiceUnavailable(service="policy")

    with pytest.raises(ServiceUnavailable):
        await world.registries.delete("hub")

    assert await world.registries.get("hub") == created


async def test_an_unused_registry_is_deleted_by_its_uid(world: World) -> None:
    created = await _created(world)

    await world.registries.delete(created.uid)

    with pytest.raises(RegistryNotFound):
        await world.registries.get("hub")
