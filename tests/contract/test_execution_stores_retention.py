"""Which ended executions the stores delete, in memory as in PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from execution_svc.domain.errors import ExecutionNotFound
from execution_svc.domain.execution import ExecutionFilter, ExecutionId
from execution_svc.domain.policy import Policy
from execution_svc.domain.retention import Retention
from execution_svc.domain.task import TaskFilter, TaskState
from tests.contract.execution_stores import NOW, POLICY, Stores, a_request, a_status, a_task, claimed, stores

__all__ = ["stores"]

HOUR = timedelta(hours=1)


async def ended(stores: Stores, name: str, hours: int, policy: str = "policies/p") -> None:
    """An execution that began so many hours after the first, had a task, and ended within its hour."""
    begin = NOW + hours * HOUR
    document = {**POLICY.document, "name": policy}
    await stores.executions.create(replace(a_request(name, now=begin), policy=Policy.of_document(document)))
    lease = await claimed(stores, begin)
    await stores.flows.write_tasks(lease, [a_task(f"task {name}")], begin)
    await stores.flows.complete_listing(lease, begin)
    (job,) = await stores.jobs.claim_tasks(10, begin)
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], begin + HOUR / 2)


async def kept(stores: Stores, policy: str, keep: Retention, hours: int = 9) -> str:
    """What is left when all batches have been deleted, oldest first."""
    while await stores.retention.delete_batch(policy, keep, NOW + hours * HOUR):
        pass
    return "".join(
        each.id for each in await stores.executions.list_executions(ExecutionFilter(oldest_first=True), None, 99)
    )


@pytest.fixture
async def four(stores: Stores) -> Stores:
    for hours, name in enumerate("abcd"):
        await ended(stores, name, hours)
    return stores


async def test_the_newest_are_kept(four: Stores) -> None:
    assert await kept(four, "policies/p", Retention(max_count=2)) == "cd"
    with pytest.raises(ExecutionNotFound):
        await four.executions.get(ExecutionId("a"))


async def test_the_young_are_kept(four: Stores) -> None:
    """At nine o'clock the four are 8.5, 7.5, 6.5 and 5.5 hours old."""
    assert await kept(four, "policies/p", Retention(max_age=7 * HOUR)) == "cd"


async def test_the_age_counts_from_the_end(stores: Stores) -> None:
    await stores.executions.create(a_request("long"))
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, [a_task("t")], NOW)
    await stores.flows.complete_listing(lease, NOW)
    (job,) = await stores.jobs.claim_tasks(10, NOW)
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], NOW + 8 * HOUR)
    assert await kept(stores, "policies/p", Retention(max_age=2 * HOUR)) == "long"


async def test_either_limit_is_enough(four: Stores) -> None:
    assert await kept(four, "policies/p", Retention(max_count=3, max_age=6 * HOUR)) == "d"


@pytest.mark.parametrize(
    "keep", [Retention(), Retention(max_count=4), Retention(max_age=9 * HOUR), Retention(max_age=timedelta.max)]
)
async def test_within_its_limits_all_are_kept(four: Stores, keep: Retention) -> None:
    assert await kept(four, "policies/p", keep) == "abcd"


async def test_other_policies_are_left_alone(four: Stores) -> None:
    await ended(four, "e", 4, policy="policies/q")
    await ended(four, "f", 5, policy="")
    assert await four.retention.policies_with_ended() == ["", "policies/p", "policies/q"]
    assert await kept(four, "policies/p", Retention(max_age=HOUR)) == "ef"
    assert await kept(four, "", Retention(max_age=HOUR)) == "e"


async def test_what_has_not_ended_stays_and_takes_no_place(four: Stores) -> None:
    await four.executions.create(a_request("open", now=NOW + 4 * HOUR))
    lease = await claimed(four, NOW + 4 * HOUR)
    await four.flows.write_tasks(lease, [a_task("t")], NOW)
    assert await kept(four, "policies/p", Retention(max_count=1, max_age=100 * HOUR)) == "dopen"
    assert await kept(four, "policies/p", Retention(max_age=timedelta(seconds=1))) == "open"
    assert len(await four.executions.list_tasks(TaskFilter(execution=ExecutionId("open")), 0, 9)) == 1
