"""What every store of schedules does, together with the policies' own store."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.trigger import NextRun, ScheduledTrigger
from policy_svc.postgres import PostgresPolicyStore, PostgresScheduleStore
from policy_svc.store import PolicyStore, ScheduleStore
from service_kit.database import open_pool
from tests.policies import NOW, MemoryPolicyStore, a_policy, a_spec
from tests.postgres import Database

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Stores:
    policies: PolicyStore
    schedules: ScheduleStore

    async def claimed(self, now: datetime, *, limit: int = 9) -> list[str]:
        claims = await self.schedules.claim_due(now=now, until=now + MINUTE, limit=limit)
        return sorted(each.policy.id for each in claims)


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Stores]:
    if request.param == "memory":
        store = MemoryPolicyStore()
        yield Stores(store, store)
        return
    async with open_pool(await database("policy_svc"), schema="policy") as pool:
        yield Stores(PostgresPolicyStore(pool), PostgresScheduleStore(pool))


def hourly(minute: int = 0) -> PolicySpec:
    return replace(a_spec(), trigger=ScheduledTrigger(cron=f"{minute} * * * *"))


def run_at(moment: datetime) -> NextRun:
    return NextRun(fire_time=moment, run_time=moment + MINUTE)


async def test_what_is_due_is_claimed_once(stores: Stores) -> None:
    await stores.policies.add(a_policy("early", spec=hourly(10)))
    await stores.policies.add(a_policy("late", spec=hourly(20)))
    await stores.policies.add(a_policy("manual"))
    await stores.policies.add(a_policy("disabled", spec=replace(hourly(), disabled=True)))

    assert await stores.claimed(NOW + 9 * MINUTE) == []
    assert await stores.claimed(NOW + 10 * MINUTE) == ["early"]
    assert await stores.claimed(NOW + 10 * MINUTE) == []
    assert await stores.claimed(NOW + 20 * MINUTE) == ["early", "late"], "a lease that has ended holds nothing"


async def test_no_more_is_claimed_than_asked_for(stores: Stores) -> None:
    for number in range(3):
        await stores.policies.add(a_policy(f"p{number}", spec=hourly()))

    first = await stores.claimed(NOW + HOUR, limit=2)
    second = await stores.claimed(NOW + HOUR, limit=2)

    assert (len(first), sorted(first + second)) == (2, ["p0", "p1", "p2"])


async def test_an_advanced_run_gives_way_to_the_next_and_changes_no_revision(stores: Stores) -> None:
    policy = a_policy(spec=hourly())
    await stores.policies.add(policy)
    [claim] = await stores.schedules.claim_due(now=NOW + HOUR, until=NOW + HOUR + MINUTE, limit=1)

    assert claim.policy == policy
    assert await stores.schedules.advance(claim, run_at(NOW + 2 * HOUR)) is True
    assert await stores.schedules.advance(claim, run_at(NOW + 3 * HOUR)) is False
    assert await stores.policies.get("nightly") == replace(policy, next_run=run_at(NOW + 2 * HOUR))
    assert await stores.claimed(NOW + 2 * HOUR) == [], "it is put off by a minute"
    assert await stores.claimed(NOW + 2 * HOUR + MINUTE) == ["nightly"]


async def test_a_schedule_may_end(stores: Stores) -> None:
    await stores.policies.add(a_policy(spec=hourly()))
    [claim] = await stores.schedules.claim_due(now=NOW + HOUR, until=NOW + HOUR + MINUTE, limit=1)

    await stores.schedules.advance(claim, None)

    assert (await stores.policies.get("nightly")).next_run is None
    assert await stores.claimed(NOW + 99 * HOUR) == []


async def test_a_postponed_run_stays_and_is_claimed_again_later(stores: Stores) -> None:
    policy = a_policy(spec=hourly())
    await stores.policies.add(policy)
    [claim] = await stores.schedules.claim_due(now=NOW + HOUR, until=NOW + 2 * HOUR, limit=1)

    assert await stores.schedules.postpone(claim, until=NOW + HOUR + MINUTE) is True
    assert await stores.schedules.postpone(claim, until=NOW) is False
    assert await stores.policies.get("nightly") == policy
    assert await stores.claimed(NOW + HOUR) == []
    assert await stores.claimed(NOW + HOUR + MINUTE) == ["nightly"]


async def test_who_has_lost_the_lease_changes_nothing(stores: Stores) -> None:
    await stores.policies.add(a_policy(spec=hourly()))
    [lost] = await stores.schedules.claim_due(now=NOW + HOUR, until=NOW + HOUR, limit=1)
    [held] = await stores.schedules.claim_due(now=NOW + HOUR, until=NOW + 2 * HOUR, limit=1)

    assert await stores.schedules.advance(lost, None) is False
    assert await stores.schedules.postpone(lost, until=NOW) is False
    assert await stores.schedules.advance(held, run_at(NOW + 2 * HOUR)) is True


@pytest.mark.parametrize("change", ["schedule", "disabled", "deleted"])
async def test_a_change_of_the_schedule_takes_the_run_away(stores: Stores, change: str) -> None:
    policy = a_policy(spec=hourly())
    await stores.policies.add(policy)
    [claim] = await stores.schedules.claim_due(now=NOW + HOUR, until=NOW + 2 * HOUR, limit=1)
    spec = {"schedule": hourly(30), "disabled": replace(hourly(), disabled=True)}.get(change)
    changed = policy.changed(spec, NOW + HOUR) if spec else None

    if changed:
        await stores.policies.replace(changed)
    else:
        await stores.policies.delete("nightly")

    assert await stores.schedules.advance(claim, run_at(NOW + 2 * HOUR)) is False
    assert await stores.claimed(NOW + HOUR) == []
    if changed:
        assert await stores.policies.get("nightly") == changed
        assert await stores.claimed(NOW + HOUR + 30 * MINUTE) == (["nightly"] if change == "schedule" else [])


async def test_another_change_leaves_the_run_and_its_lease_alone(stores: Stores) -> None:
    """Also when the policy was read before the run went on."""
    policy = a_policy(spec=hourly())
    await stores.policies.add(policy)
    [claim] = await stores.schedules.claim_due(now=NOW + HOUR, until=NOW + 2 * HOUR, limit=1)

    await stores.policies.replace(policy.changed(replace(hourly(), override=True), NOW + HOUR))
    assert await stores.claimed(NOW + HOUR) == []
    assert await stores.schedules.advance(claim, run_at(NOW + 2 * HOUR)) is True

    changed = policy.changed(replace(hourly(), override=True), NOW + HOUR)
    await stores.policies.replace(changed.changed(hourly(), NOW + HOUR))
    assert (await stores.policies.get("nightly")).next_run == run_at(NOW + 2 * HOUR)
