"""What every policy store does."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from policy_svc.domain.errors import PolicyAlreadyExists, PolicyNotFound
from policy_svc.domain.policy import Deletion, Destination, PolicySpec, Retention
from policy_svc.domain.trigger import EventTrigger
from policy_svc.postgres import PostgresPolicyStore
from policy_svc.store import PolicyStore
from replication.newest import Newest, Order
from service_kit.database import open_pool
from tests.policies import NOW, OPTIONS, MemoryPolicyStore, a_policy, a_spec, everything
from tests.postgres import Database


@pytest.fixture(params=["memory", "postgres"])
async def store(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[PolicyStore]:
    if request.param == "memory":
        yield MemoryPolicyStore()
        return
    async with open_pool(await database("policy_svc"), schema="policy") as pool:
        yield PostgresPolicyStore(pool)


async def test_a_policy_comes_back_as_it_was(store: PolicyStore) -> None:
    policy = a_policy(spec=everything())
    await store.add(policy)

    assert await store.get("nightly") == policy
    assert await store.get(policy.uid) == policy


@pytest.mark.parametrize(
    "spec",
    [
        a_spec(),
        replace(a_spec(Destination(registry="registries/third", repository="web/nginx")), disabled=True),
        replace(a_spec(), trigger=EventTrigger(), deletion=Deletion(on_event=True)),
        replace(a_spec(), newest=Newest(order=Order.SEMVER, count=1), retention=Retention(max_count=1)),
        replace(everything(), disabled=True),
    ],
)
async def test_what_is_unset_comes_back_unset(store: PolicyStore, spec: PolicySpec) -> None:
    await store.add(a_policy())
    changed = a_policy().changed(spec, NOW)
    await store.add(a_policy("other", spec=spec))

    assert await store.replace(changed)
    assert await store.get("nightly") == changed
    assert (await store.get("other")).spec == spec


async def test_an_id_is_given_once(store: PolicyStore) -> None:
    await store.add(a_policy(uid="one"))

    with pytest.raises(PolicyAlreadyExists) as caught:
        await store.add(a_policy(uid="two"))

    assert caught.value.metadata == {"policy": "policies/nightly"}


async def test_an_unknown_policy_is_not_found(store: PolicyStore) -> None:
    with pytest.raises(PolicyNotFound) as caught:
        await store.get("nobody")
    with pytest.raises(PolicyNotFound):
        await store.delete("nobody")

    assert caught.value.metadata == {"policy": "policies/nobody"}


async def test_an_id_that_is_the_uid_of_another_hides_nothing(store: PolicyStore) -> None:
    await store.add(a_policy("first", uid="one"))
    await store.add(a_policy("one", uid="two"))

    assert (await store.get("one")).id == "first"
    await store.delete("one")
    assert (await store.get("one")).uid == "two"


async def test_pages_follow_the_bytes_of_the_ids(store: PolicyStore) -> None:
    for policy_id in ("b", "a-1", "a", "a.1", "a_1", "a1"):
        await store.add(a_policy(policy_id))

    first = await store.page(after="", limit=4)
    second = await store.page(after=first[-1].id, limit=4)

    assert [each.id for each in first + second] == ["a", "a-1", "a.1", "a1", "a_1", "b"]


async def test_policies_of_a_registry_are_those_that_read_or_write_it(store: PolicyStore) -> None:
    await store.add(a_policy("a", spec=a_spec(source="registries/x")))
    await store.add(
        a_policy("b", spec=a_spec(Destination(registry="registries/y"), Destination(registry="registries/x")))
    )
    await store.add(a_policy("c"))

    assert [each.id for each in await store.page(after="", limit=9, registry="registries/x")] == ["a", "b"]
    assert [each.id for each in await store.page(after="a", limit=9, registry="registries/x")] == ["b"]
    assert await store.page(after="", limit=9, registry="registries/none") == []


async def test_a_replacement_takes_the_place_of_the_revision_before_it(store: PolicyStore) -> None:
    policy = a_policy()
    await store.add(policy)
    spec = replace(a_spec(Destination(registry="registries/new")), options=OPTIONS)
    changed = policy.changed(spec, NOW + timedelta(seconds=1))

    assert await store.replace(changed) is True
    assert await store.replace(changed) is False
    assert await store.get("nightly") == changed
    assert [each.id for each in await store.page(after="", limit=9, registry="registries/new")] == ["nightly"]
    assert await store.page(after="", limit=9, registry="registries/backup") == []


async def test_a_deleted_policy_is_gone_and_its_id_is_free(store: PolicyStore) -> None:
    await store.add(a_policy(uid="one"))
    await store.delete("nightly")

    assert await store.page(after="", limit=9) == []
    assert await store.replace(a_policy(uid="one").changed(a_spec(), NOW)) is False
    await store.add(a_policy(uid="two"))
    assert (await store.get("nightly")).uid == "two"
