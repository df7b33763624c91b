"""What Stop and Retry do to executions and tasks, in memory as in PostgreSQL."""

import pytest

from execution_svc.domain.errors import ExecutionFinished, ExecutionRunning, LeaseLost, NothingToRetry
from execution_svc.domain.execution import ExecutionState
from execution_svc.domain.task import JobKey, TaskState
from tests.contract.execution_stores import (
    DENIED,
    LATER,
    NOW,
    E,
    Stores,
    a_request,
    a_status,
    a_task,
    claimed,
    delegated,
    listed,
    present,
    stores,
)

__all__ = ["stores"]


async def test_what_is_skipped_is_not_listed_again_by_a_retry(stores: Stores) -> None:
    job, *_ = await delegated(stores, a_task("t"), a_task("cache", failure=DENIED, skipped=True))
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)
    again = await stores.executions.retry(E, LATER)
    assert (again.listing_complete, again.task_counts.skipped, again.task_counts.pending) == (True, 1, 1)


async def test_stop_ends_what_has_no_job_and_names_what_has(stores: Stores) -> None:
    await listed(stores, a_task("1"), a_task("2"))
    (job,) = await stores.jobs.claim_tasks(1, NOW)

    stopping = await stores.executions.stop(E, NOW)

    assert (stopping.state, stopping.task_counts.stopped) == (ExecutionState.STOPPING, 1)
    assert await stores.jobs.to_stop() == [job.key]
    assert await stores.jobs.resubmit([job.key]) == []
    assert (await stores.executions.stop(E, NOW)).state is ExecutionState.STOPPING
    await stores.jobs.fold([a_status(job.key, TaskState.STOPPED)], LATER)
    with pytest.raises(ExecutionFinished):
        await stores.executions.stop(E, LATER)


async def test_an_execution_that_waits_stops_at_once(stores: Stores) -> None:
    await stores.executions.create(a_request())
    assert (await stores.executions.stop(E, NOW)).state is ExecutionState.STOPPED
    assert await stores.flows.claim_flow(token="t", now=NOW, until=LATER) is None


async def test_stop_takes_the_flow_away(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.executions.stop(E, NOW)
    with pytest.raises(LeaseLost):
        await stores.flows.complete_listing(lease, NOW)


async def test_retry_gives_new_jobs_to_what_failed(stores: Stores) -> None:
    jobs = await delegated(stores, a_task("1"), a_task("2"))
    ends = [TaskState.SUCCEEDED, TaskState.FAILED]
    with pytest.raises(ExecutionRunning):
        await stores.executions.retry(E, NOW)
    await stores.jobs.fold([a_status(job.key, end) for job, end in zip(jobs, ends, strict=True)], NOW)

    again = await stores.executions.retry(E, LATER)

    assert (again.state, again.end_time, again.listing_complete) == (ExecutionState.RUNNING, None, True)
    assert (again.task_counts.pending, again.task_counts.succeeded) == (1, 1)
    (job,) = await stores.jobs.claim_tasks(10, NOW)
    assert job.key == JobKey(task=jobs[1].key.task, run=2)
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], LATER)
    with pytest.raises(NothingToRetry):
        await stores.executions.retry(E, LATER)


async def test_retry_lists_again_for_items_that_never_had_a_job(stores: Stores) -> None:
    await listed(stores, a_task("bad", failure=DENIED))
    again = await stores.executions.retry(E, LATER)
    assert (again.state, again.listing_complete) == (ExecutionState.RUNNING, False)
    lease = await claimed(stores, LATER)
    await stores.flows.begin_listing(lease, release_tasks=False)
    await stores.flows.complete_listing(lease, LATER)
    assert (await present(stores)).state is ExecutionState.SUCCEEDED
