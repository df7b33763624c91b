"""What holds for every store of registries."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from registry_svc.domain.errors import RegistryAlreadyExists, RegistryNotFound
from registry_svc.domain.registry import Check, Registry, SealedCredential
from registry_svc.postgres import PostgresRegistryStore
from registry_svc.store import RegistryStore
from service_kit.database import open_pool
from service_kit.errors import EtagMismatch
from tests.postgres import Database
from tests.unit.registry_svc.registry_fakes import NOW, MemoryRegistryStore, a_registry

LATER = NOW + timedelta(minutes=5)


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[RegistryStore]:
    if request.param == "memory":
        yield MemoryRegistryStore()
        return
    async with open_pool(await database("registry_svc"), schema="registry") as pool:
        yield PostgresRegistryStore(pool)


def _new(id_: str = "hub", **changes: Any) -> Registry:
    return a_registry(id=id_, uid=str(uuid.uuid4()), **changes)


async def test_what_is_inserted_comes_back_by_id_and_by_uid(store: RegistryStore) -> None:
    registry = _new(
        description="d",
        credential=SealedCredential(username="robot", password=b"\x00\xff"),
        insecure=True,
        ca_certificate="pem",
        max_bytes_per_second=2**40,
        check=Check.unhealthy("no answer", NOW),
    )
    await store.insert(registry)

    assert await store.get("hub") == await store.get(registry.uid) == registry


async def test_an_id_is_taken_once(store: RegistryStore) -> None:
    await store.insert(_new())

    with pytest.raises(RegistryAlreadyExists) as caught:
        await store.insert(_new())
    assert caught.value.metadata == {"registry": "registries/hub"}


async def test_what_is_not_there_is_not_found(store: RegistryStore) -> None:
    with pytest.raises(RegistryNotFound):
        await store.get("hub")
    with pytest.raises(RegistryNotFound):
        await store.delete(str(uuid.uuid4()))


async def test_pages_follow_the_order_of_ids(store: RegistryStore) -> None:
    for id_ in ("b", "a-1", "a", "a.1", "a_1", "a1"):
        await store.insert(_new(id_, type="other" if id_ == "b" else "fake"))

    first = await store.page(type_="", after="", limit=4)
    rest = await store.page(type_="", after=first[-1].id, limit=4)

    assert [each.id for each in [*first, *rest]] == sorted(["b", "a-1", "a", "a.1", "a_1", "a1"])
    assert [each.id for each in await store.page(type_="other", after="", limit=4)] == ["b"]


async def test_a_replacement_must_follow_what_is_stored(store: RegistryStore) -> None:
    registry = _new()
    await store.insert(registry)
    changed = replace(registry, url="https://new.example.com", max_bytes_per_second=7, revision=2, update_time=LATER)
    await store.replace(changed)

    with pytest.raises(EtagMismatch):
        await store.replace(replace(registry, revision=2))
    assert await store.get("hub") == changed
    await store.delete(registry.uid)
    with pytest.raises(EtagMismatch):
        await store.replace(replace(registry, revision=3))


async def test_what_is_due_is_claimed_once(store: RegistryStore) -> None:
    for id_ in ("a", "b", "c"):
        await store.insert(_new(id_))

    claims = [await store.claim_due(now=NOW, again_at=LATER, limit=2) for _ in range(3)]

    assert [len(claim) for claim in claims] == [2, 1, 0]
    assert {each.id for claim in claims for each in claim} == {"a", "b", "c"}
    assert len(await store.claim_due(now=LATER, again_at=LATER + timedelta(minutes=5), limit=9)) == 3


async def test_a_change_makes_a_registry_due(store: RegistryStore) -> None:
    registry = _new()
    await store.insert(registry)
    await store.claim_due(now=NOW, again_at=NOW + timedelta(hours=1), limit=1)

    await store.replace(replace(registry, revision=2, update_time=LATER))

    assert len(await store.claim_due(now=LATER, again_at=LATER, limit=1)) == 1


async def test_a_check_is_noted_unless_the_registry_has_changed_since(store: RegistryStore) -> None:
    registry = _new()
    await store.insert(registry)
    await store.record_check(registry, Check.unhealthy("no answer", LATER))
    assert (await store.get("hub")).check == Check.unhealthy("no answer", LATER)

    changed = replace(registry, revision=2, update_time=LATER)
    await store.replace(changed)
    await store.record_check(registry, Check.healthy(LATER))
    assert await store.get("hub") == changed


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("UPDATE registries SET sealed_password = NULL", "registries_credential_check"),
        ("UPDATE registries SET url = 'ftp://x'", "registries_url_check"),
        ("UPDATE registries SET url = 'https://user@x'", "registries_url_check"),
        ("UPDATE registries SET state = 'healthy'", "registries_check_time_check"),
        ("UPDATE registries SET id = uid", "registries_id_check"),
        ("UPDATE registries SET state = 'odd', check_time = now()", "registries_state_check"),
    ],
)
async def test_the_table_forbids_nonsense(database: Database, statement: str, constraint: str) -> None:
    async with open_pool(await database("registry_svc"), schema="registry") as pool:
        credential = SealedCredential(username="robot", password=b"x")
        await PostgresRegistryStore(pool).insert(_new(credential=credential))
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            async with pool.connection() as connection:
                await connection.execute(statement.encode())

    assert caught.value.diag.constraint_name == constraint


async def test_two_replicas_that_claim_at_once_share_the_work(database: Database) -> None:
    """While one transaction holds its rows, the other gets the rest and does not wait."""
    async with open_pool(await database("registry_svc"), schema="registry") as pool:
        store = PostgresRegistryStore(pool)
        for number in range(4):
            await store.insert(_new(f"r{number}"))
        async with pool.connection() as holder:
            await holder.execute("SELECT 1 FROM registries WHERE id IN ('r0', 'r1') FOR UPDATE")
            claimed = await store.claim_due(now=NOW, again_at=LATER, limit=9)

    assert {each.id for each in claimed} == {"r2", "r3"}
