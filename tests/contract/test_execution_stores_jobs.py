"""What the stores promise to the delegator, in memory as in PostgreSQL."""

from dataclasses import fields

import pytest

from execution_svc.domain.execution import ExecutionState
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import LAST_REVISION, JobKey, JobStatus, Operation, TaskId, TaskState
from execution_svc.domain.transfer import Outcome, Progress, ReferenceResult
from tests.contract.execution_stores import (
    DENIED,
    LATER,
    NOW,
    POLICY,
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


async def test_a_deletion_is_a_job_like_any_other(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t", operation=Operation.DELETE))
    assert (job.operation, job.references) == (Operation.DELETE, a_task("t").references)
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)
    await stores.executions.retry(E, LATER)
    (again,) = await stores.jobs.claim_tasks(10, NOW)
    assert (again.operation, again.key.run) == (Operation.DELETE, 2)


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        ([TaskState.SUCCEEDED, TaskState.SUCCEEDED, TaskState.SUCCEEDED], ExecutionState.SUCCEEDED),
        ([TaskState.SUCCEEDED, TaskState.STOPPED, TaskState.SUCCEEDED], ExecutionState.STOPPED),
        ([TaskState.STOPPED, TaskState.FAILED, TaskState.SUCCEEDED], ExecutionState.FAILED),
    ],
)
async def test_an_execution_ends_with_its_last_task(
    stores: Stores, ends: list[TaskState], state: ExecutionState
) -> None:
    jobs = await delegated(stores, a_task("1"), a_task("2"), a_task("3"))
    *early, last = [a_status(job.key, end) for job, end in zip(jobs, ends, strict=True)]
    await stores.jobs.fold(early, NOW)
    assert (await present(stores)).state is ExecutionState.RUNNING
    await stores.jobs.fold([last], LATER)
    execution = await present(stores)
    assert (execution.state, execution.end_time) == (state, LATER)
    assert await stores.jobs.in_flight() == []


async def test_tasks_do_not_end_an_execution_that_is_still_being_listed(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.flows.begin_listing(lease, release_tasks=True)
    await stores.flows.write_tasks(lease, [a_task("t")], NOW)
    (job,) = await stores.jobs.claim_tasks(10, NOW)
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], NOW)
    assert (await present(stores)).state is ExecutionState.RUNNING
    await stores.flows.complete_listing(lease, LATER)
    assert (await present(stores)).state is ExecutionState.SUCCEEDED


async def test_a_status_is_taken_over(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t"))
    # Each counter another number, at least the two references of the task.
    progress = Progress(**{counter.name: number for number, counter in enumerate(fields(Progress), 2)})
    result = ReferenceResult(tag="t-1", digest="sha256:1", outcome=Outcome.FAILED, failure=DENIED, destination_tag="d")
    status = JobStatus(
        key=job.key,
        revision=3,
        state=TaskState.FAILED,
        attempt=2,
        progress=progress,
        failure=DENIED,
        results=(result,),
        start_time=NOW,
        end_time=LATER,
    )
    await stores.jobs.fold([status], LATER)

    task = await stores.executions.task(E, TaskId("t"))
    assert (task.state, task.attempt, task.failure, task.results) == (TaskState.FAILED, 2, DENIED, (result,))
    assert (task.start_time, task.end_time, task.progress) == (NOW, LATER, progress)
    assert (await present(stores)).progress == progress


@pytest.mark.parametrize(
    "news",
    [
        a_status(JobKey(task=TaskId("t"), run=1), TaskState.FAILED, revision=4),
        a_status(JobKey(task=TaskId("t"), run=1), TaskState.PENDING, revision=6),
        a_status(JobKey(task=TaskId("t"), run=2), TaskState.FAILED, revision=9),
        a_status(JobKey(task=TaskId("none"), run=1), TaskState.FAILED, revision=9),
    ],
    ids=["old revision", "pending again", "another run", "no such task"],
)
async def test_a_running_task_goes_only_forward(stores: Stores, news: JobStatus) -> None:
    (job,) = await delegated(stores, a_task("t"))
    await stores.jobs.fold([a_status(job.key, TaskState.RUNNING, revision=5)], NOW)
    await stores.jobs.fold([news], NOW)
    assert (await stores.executions.task(E, TaskId("t"))).state is TaskState.RUNNING


async def test_a_task_that_has_ended_stays_as_it_ended(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t"))
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], NOW)
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED, LAST_REVISION)], LATER)
    execution = await present(stores)
    assert (execution.state, execution.end_time) == (ExecutionState.SUCCEEDED, NOW)


async def test_executions_take_turns(stores: Stores) -> None:
    await listed(stores, *(a_task(f"a{n}") for n in range(10)))
    assert len(await stores.jobs.claim_tasks(4, NOW)) == 4
    other = Policy.of_document({**POLICY.document, "name": "policies/other"})
    await listed(stores, *(a_task(f"b{n}") for n in range(3)), name="late", policy=other)
    turns = [job.key.task[0] for job in await stores.jobs.claim_tasks(5, NOW)]
    assert (turns.count("b"), turns.count("a")) == (3, 2)


async def test_a_forgotten_job_starts_its_revisions_again(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t"))
    await stores.jobs.fold([a_status(job.key, TaskState.RUNNING, revision=9)], NOW)
    assert await stores.jobs.resubmit([job.key]) == [job]
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED, revision=1)], NOW)
    assert (await present(stores)).state is ExecutionState.SUCCEEDED
    assert await stores.jobs.resubmit([job.key]) == []
