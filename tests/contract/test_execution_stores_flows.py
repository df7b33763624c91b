"""What the stores promise to flow workers, in memory as in PostgreSQL."""

from dataclasses import replace
from datetime import timedelta

import pytest

from execution_svc.domain.errors import LeaseLost, NothingToRetry
from execution_svc.domain.execution import ExecutionState
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import JobKey, Operation, PlannedTask, TaskFilter, TaskId, TaskState
from execution_svc.domain.transfer import Progress, Reference
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


async def test_a_flow_is_claimed_once_until_its_lease_ends(stores: Stores) -> None:
    await stores.executions.create(a_request())
    first = await claimed(stores)
    assert await stores.flows.claim_flow(token="t", now=NOW, until=NOW) is None
    await stores.flows.renew(first, LATER)
    assert await stores.flows.claim_flow(token="t", now=LATER, until=LATER) is None
    second = await claimed(stores, LATER + timedelta(seconds=1))

    assert (first.resumed, second.resumed) == (False, True)
    with pytest.raises(LeaseLost):
        await stores.flows.write_tasks(first, [a_task("t")], NOW)
    await stores.flows.release(first)
    await stores.flows.renew(second, LATER)
    assert (await present(stores)).start_time == NOW


async def test_a_released_flow_is_free_at_once(stores: Stores) -> None:
    await stores.executions.create(a_request())
    await stores.flows.release(await claimed(stores))
    assert (await claimed(stores, LATER)).attempt == 2


async def test_a_task_is_written_once_and_counted(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    for _ in range(2):
        await stores.flows.write_tasks(lease, [a_task("t"), a_task("bad", failure=DENIED)], NOW)

    execution = await present(stores)
    assert (execution.task_counts.total, execution.task_counts.pending, execution.task_counts.failed) == (2, 1, 1)
    assert execution.progress == Progress(references_total=4, references_failed=2)
    tasks = await stores.executions.list_tasks(TaskFilter(execution=E), 0, 10)
    assert [(task.id, task.failure) for task in tasks] == [("t", None), ("bad", DENIED)]


async def test_what_is_skipped_is_counted_and_no_failure(stores: Stores) -> None:
    await listed(stores, a_task("cache", failure=DENIED, skipped=True))

    execution = await present(stores)
    assert (execution.state, execution.task_counts.total, execution.task_counts.skipped) == (
        ExecutionState.SUCCEEDED,
        1,
        1,
    )
    assert execution.progress == Progress(references_total=2, references_skipped=2)
    task = await stores.executions.task(E, TaskId("cache"))
    assert (task.state, task.run, task.failure, task.end_time) == (TaskState.SKIPPED, 0, DENIED, NOW)
    with pytest.raises(NothingToRetry):
        await stores.executions.retry(E, LATER)


async def test_written_references_are_known_by_their_key(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, [a_task("t")], NOW)
    asked = [Reference(tag="new"), Reference(tag="t-2", digest="sha256:moved"), Reference(digest="sha256:2")]

    assert await stores.flows.unwritten(lease, Operation.COPY, 0, "x", asked) == [asked[0], asked[2]]
    assert await stores.flows.unwritten(lease, Operation.COPY, 1, "x", asked) == asked
    assert await stores.flows.unwritten(lease, Operation.COPY, 0, "y", asked) == asked
    assert await stores.flows.unwritten(lease, Operation.DELETE, 0, "x", asked) == asked


async def test_another_run_of_the_flow_forgets_items_that_failed(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, [a_task("t"), a_task("bad", failure=DENIED)], NOW)
    await stores.flows.begin_listing(lease, release_tasks=False)
    counts = (await present(stores)).task_counts
    assert (counts.total, counts.pending, counts.failed) == (1, 1, 0)


async def test_tasks_get_jobs_when_they_are_released(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, [a_task("t")], NOW)
    assert await stores.jobs.claim_tasks(10, NOW) == []
    await stores.flows.begin_listing(lease, release_tasks=True)
    (job,) = await stores.jobs.claim_tasks(10, NOW)

    assert (job.key, job.override, job.fairness_group) == (JobKey(task=TaskId("t"), run=1), True, "policies/p")
    assert job.references == a_task("t").references
    assert (job.options, job.backup_tag) == (POLICY.document["options"], "{tag}-old")
    assert await stores.jobs.claim_tasks(10, NOW) == []
    assert await stores.jobs.in_flight() == [job.key]


async def test_collisions_are_found_and_failed(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    tasks = [a_task("1", source="a/x"), a_task("2", source="b/x"), a_task("3", source="c", failure=DENIED)]
    await stores.flows.write_tasks(lease, tasks, NOW)

    (collision,) = await stores.flows.collisions(lease)
    await stores.flows.fail_collided(lease, [(collision, DENIED)], NOW)
    await stores.flows.complete_listing(lease, NOW)

    assert (collision.destination_repository, sorted(collision.sources)) == ("x", ["a/x", "b/x"])
    execution = await present(stores)
    assert (execution.state, execution.task_counts.failed) == (ExecutionState.FAILED, 3)


async def test_where_tags_are_mapped_only_what_meets_at_one_tag_collides(stores: Stores) -> None:
    destination = {"registry": "registries/b", "repository": "x", "tag": "{name}-{tag}"}
    policy = Policy.of_document({**POLICY.document, "destinations": [destination]})
    await stores.executions.create(a_request(policy=policy))
    lease = await claimed(stores)

    def a_mapped(name: str, **tags: str) -> PlannedTask:
        references = tuple(Reference(tag=tag, destination_tag=there) for tag, there in tags.items())
        return replace(a_task(name, source=name), references=references)

    tasks = [a_mapped("a", v1="1", v2="2", v3="3"), a_mapped("b", v1="1", v4="4"), a_mapped("c", v2="2")]
    await stores.flows.write_tasks(lease, tasks, NOW)

    collisions = await stores.flows.collisions(lease)
    await stores.flows.fail_collided(lease, [(each, DENIED) for each in collisions], NOW)
    await stores.flows.complete_listing(lease, NOW)

    assert {(each.destination_tag, tuple(sorted(each.sources))) for each in collisions} == {
        ("1", ("a:v1", "b:v1")),
        ("2", ("a:v2", "c:v2")),
    }
    jobs = await stores.jobs.claim_tasks(10, NOW)
    kept = {(job.source_repository, each.tag, each.destination_tag) for job in jobs for each in job.references}
    assert kept == {("a", "v3", "3"), ("b", "v4", "4")}
    progress = (await present(stores)).progress
    assert (progress.references_total, progress.references_failed) == (6, 4)


async def test_what_comes_after_the_copies_waits_for_them(stores: Stores) -> None:
    later = a_task("later", operation=Operation.DELETE, after_copies=True)
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.flows.begin_listing(lease, release_tasks=True)
    await stores.flows.write_tasks(lease, [later, a_task("t")], NOW)
    (job,) = await stores.jobs.claim_tasks(10, NOW)
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], NOW)
    assert await stores.jobs.claim_tasks(10, NOW) == []  # the listing may bring more

    await stores.flows.complete_listing(lease, NOW)

    (last,) = await stores.jobs.claim_tasks(10, NOW)
    assert (last.operation, last.key.task) == (Operation.DELETE, "later")
    await stores.jobs.fold([a_status(last.key, TaskState.SUCCEEDED)], NOW)
    assert (await present(stores)).state is ExecutionState.SUCCEEDED


async def test_what_comes_after_the_copies_does_not_when_one_has_failed(stores: Stores) -> None:
    later = a_task("later", operation=Operation.DELETE, after_copies=True)
    (job,) = await delegated(stores, a_task("t"), later)
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)
    failed = await present(stores)
    assert (failed.state, failed.task_counts.stopped) == (ExecutionState.FAILED, 1)

    again = await stores.executions.retry(E, LATER)
    assert not again.listing_complete  # what comes after them is decided on anew

    lease = await claimed(stores, now=LATER)
    await stores.flows.begin_listing(lease, release_tasks=True)
    (job,) = await stores.jobs.claim_tasks(10, NOW)
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], LATER)
    await stores.flows.complete_listing(lease, LATER)
    ended = await present(stores)
    assert (job.key.task, ended.state, ended.task_counts.total) == ("t", ExecutionState.SUCCEEDED, 1)


async def test_another_run_of_the_flow_decides_anew_what_comes_after_the_copies(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, [a_task("later", operation=Operation.DELETE, after_copies=True)], NOW)
    await stores.flows.begin_listing(lease, release_tasks=False)
    await stores.flows.complete_listing(lease, NOW, "Nothing was pruned.")
    ended = await present(stores)
    assert (ended.task_counts.total, ended.state) == (0, ExecutionState.SUCCEEDED)
    assert ended.state_message == "Nothing was pruned."


async def test_an_empty_listing_succeeds(stores: Stores) -> None:
    await listed(stores)
    execution = await present(stores)
    assert (execution.state, execution.end_time) == (ExecutionState.SUCCEEDED, NOW)
    assert execution.state_message == "no resources need to be replicated"


async def test_a_failed_listing_waits_for_jobs_that_run(stores: Stores) -> None:
    await stores.executions.create(a_request())
    lease = await claimed(stores)
    await stores.flows.begin_listing(lease, release_tasks=True)
    await stores.flows.write_tasks(lease, [a_task("1"), a_task("2")], NOW)
    (job,) = await stores.jobs.claim_tasks(1, NOW)
    await stores.flows.fail_listing(lease, DENIED, NOW)
    waiting = await present(stores)
    assert (waiting.state, waiting.task_counts.stopped) == (ExecutionState.RUNNING, 1)
    assert await stores.flows.claim_flow(token="t", now=LATER, until=LATER) is None
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED)], LATER)
    assert ((await present(stores)).state, (await present(stores)).failure) == (ExecutionState.FAILED, DENIED)
