"""Which policies wait for events, and for which."""

from dataclasses import replace
from typing import Any

import pytest

from policy_svc.domain.policy import Deletion, Destination, Policy
from policy_svc.domain.trigger import MANUAL, EventTrigger, ScheduledTrigger
from policy_svc.events.domain.event import Notice
from policy_svc.events.subscribers import PAGE, PolicySubscribers
from replication.filters import Action, Dimension
from tests.events import DIGEST_A, REGISTRY, a_delete, a_push
from tests.policies import MemoryPolicyStore, a_policy, a_rule, a_spec

FILTERS = [
    a_rule("library/**"),
    a_rule("v*", Dimension.TAG),
    a_rule("*-rc", Dimension.TAG, Action.EXCLUDE),
]


def waiting(policy_id: str = "follow", **fields: Any) -> Policy:
    """A policy with an event trigger on the hub; fields are those of its spec."""
    spec = replace(a_spec(source=REGISTRY), trigger=EventTrigger())
    return a_policy(policy_id, spec=replace(spec, **fields))


async def subscribed(*policies: Policy) -> PolicySubscribers:
    store = MemoryPolicyStore()
    for policy in policies:
        await store.add(policy)
    return PolicySubscribers(store)


async def test_only_enabled_policies_with_an_event_trigger_on_the_source_wait() -> None:
    found = await subscribed(
        waiting("a"),
        waiting("disabled", disabled=True),
        waiting("manual", trigger=MANUAL),
        waiting("scheduled", trigger=ScheduledTrigger(cron="@daily")),
        waiting("elsewhere", source_registry="registries/third", destinations=(Destination(registry=REGISTRY),)),
        waiting("z"),
    )

    assert [each.policy for each in await found.of(REGISTRY)] == ["policies/a", "policies/z"]
    assert [each.policy for each in await found.of("registries/third")] == ["policies/elsewhere"]
    assert await found.of("registries/none") == []


async def test_all_of_many_policies_are_found() -> None:
    found = await subscribed(*(waiting(f"p{number}") for number in range(PAGE + 1)))

    assert {each.policy_uid for each in await found.of(REGISTRY)} == {f"uid-of-p{number}" for number in range(PAGE + 1)}


@pytest.mark.parametrize(
    ("notice", "wanted"),
    [
        (a_push("library/app", "v1"), True),
        (a_push("library/app", "1"), False),
        (a_push("library/app", "v1-rc"), False),
        (a_push("library/app", ""), False),
        (a_push("team/app", "v1"), False),
        (a_delete("library/app", "v1"), True),
        (a_delete("library/app", "1"), False),
        (a_delete("library/app", "", DIGEST_A), True),  # which tags went with it, the registry does not say
        (a_delete("team/app", "", DIGEST_A), False),
    ],
)
async def test_the_filters_of_a_policy_decide(notice: Notice, wanted: bool) -> None:
    found = await subscribed(waiting(filters=tuple(FILTERS), deletion=Deletion(on_event=True)))

    assert [each.wants(notice) for each in await found.of(REGISTRY)] == [wanted]


@pytest.mark.parametrize("deletion", [None, Deletion(), Deletion(on_event=True)])
async def test_deletions_are_for_policies_that_ask_for_them(deletion: Deletion | None) -> None:
    found = await subscribed(waiting(deletion=deletion))

    [subscriber] = await found.of(REGISTRY)
    assert subscriber.wants(a_delete()) is bool(deletion and deletion.on_event)
    assert subscriber.wants(a_push())


async def test_a_policy_is_found_as_it_is_now() -> None:
    found = await subscribed(waiting("a"), waiting("disabled", disabled=True))

    subscriber = await found.find("uid-of-a")
    assert subscriber
    assert (subscriber.policy, subscriber.registry) == ("policies/a", REGISTRY)
    assert await found.find("uid-of-disabled") is None
    assert await found.find("uid-of-nobody") is None
    assert await found.find("a") is None  # another policy may have the id by now
