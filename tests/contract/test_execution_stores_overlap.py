"""What becomes of executions of one policy that overlap, in memory as in PostgreSQL."""

import pytest

from execution_svc.domain.errors import ExecutionFinished, NothingToRetry
from execution_svc.domain.execution import ExecutionId, ExecutionState
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import TaskState
from tests.contract.execution_stores import (
    LATER,
    NOW,
    POLICY,
    Stores,
    a_request,
    a_status,
    a_task,
    claimed,
    delegated,
    present,
    stores,
)

__all__ = ["stores"]


def overlapping(overlap: str) -> Policy:
    return Policy.of_document({**POLICY.document, "overlap": overlap})


async def test_an_execution_waits_for_those_of_its_policy_before_it(stores: Stores) -> None:
    for name in ("a", "b", "c"):
        await stores.executions.create(a_request(name))
    skipped = await stores.executions.get(ExecutionId("c"))
    assert (skipped.state, skipped.end_time, skipped.start_time) == (ExecutionState.SKIPPED, NOW, None)
    assert skipped.state_message == "Not run, since executions/b waits and will do it."
    lease = await claimed(stores)
    assert await stores.flows.claim_flow(token="t", now=NOW, until=NOW) is None
    await stores.flows.complete_listing(lease, NOW)
    assert (lease.execution, (await claimed(stores)).execution) == ("a", "b")
    with pytest.raises(NothingToRetry):
        await stores.executions.retry(ExecutionId("c"), LATER)
    with pytest.raises(ExecutionFinished):
        await stores.executions.stop(ExecutionId("c"), LATER)


async def test_an_execution_is_skipped_while_another_one_is_open(stores: Stores) -> None:
    policy = overlapping("OVERLAP_SKIP")
    for name in ("a", "b"):
        await stores.executions.create(a_request(name, policy=policy))
    await stores.executions.stop(ExecutionId("a"), NOW)
    third = await stores.executions.create(a_request("c", policy=policy))
    states = [(await stores.executions.get(ExecutionId(name))).state for name in ("a", "b")]
    assert [*states, third.state] == [ExecutionState.STOPPED, ExecutionState.SKIPPED, ExecutionState.PENDING]


async def test_an_execution_replaces_the_one_that_runs_when_that_has_let_go(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t"))
    await stores.executions.create(a_request("next", policy=overlapping("OVERLAP_REPLACE")))

    assert (await present(stores)).state is ExecutionState.STOPPING
    assert (await present(stores)).state_message == "Stopped, since executions/next replaces it."
    assert await stores.flows.claim_flow(token="t", now=NOW, until=LATER) is None
    await stores.jobs.fold([a_status(job.key, TaskState.STOPPED)], LATER)
    assert (await claimed(stores)).execution == "next"
