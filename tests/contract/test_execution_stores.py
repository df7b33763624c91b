"""What the stores of the execution service promise, in memory as in PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from execution_svc.domain.errors import (
    ExecutionFinished,
    ExecutionNotFound,
    ExecutionRunning,
    LeaseLost,
    NothingToRetry,
    RequestIdReused,
    TaskNotFound,
)
from execution_svc.domain.execution import (
    Execution,
    ExecutionFilter,
    ExecutionId,
    ExecutionState,
    FlowLease,
    StartRequest,
)
from execution_svc.domain.limits import TASKS_WITH_WINDOWS
from execution_svc.domain.origin import BY_HAND, EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import (
    LAST_REVISION,
    Job,
    JobKey,
    JobStatus,
    Operation,
    PlannedTask,
    TaskFilter,
    TaskId,
    TaskState,
)
from execution_svc.domain.transfer import Failure, Outcome, Progress, Reference, ReferenceResult, Side
from execution_svc.postgres import (
    PostgresDelegationStore,
    PostgresExecutionStore,
    PostgresFlowStore,
    PostgresRetentionStore,
)
from execution_svc.store import DelegationStore, ExecutionStore, FlowStore, RetentionStore
from service_kit.database import open_pool
from tests.contract.execution_memory import MemoryStore
from tests.postgres import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=15)
E = ExecutionId("e")
POLICY = Policy.of_document(
    {
        "name": "policies/p",
        "source_registry": "registries/a",
        "destinations": [{"registry": "registries/b"}],
        "override": True,
        "backup_tag": "{tag}-old",
        "options": {"platforms": ["linux/amd64"], "max_bytes_per_second": "10"},
    }
)
DENIED = Failure(
    reason="ACCESS_DENIED", message="no", side=Side.SOURCE, registry_code="DENIED", http_status=403, metadata={"a": "b"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    executions: ExecutionStore
    flows: FlowStore
    jobs: DelegationStore
    retention: RetentionStore


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Stores]:
    if request.param == "memory":
        memory = MemoryStore()
        yield Stores(executions=memory, flows=memory, jobs=memory, retention=memory)
        return
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield Stores(
            executions=PostgresExecutionStore(pool),
            flows=PostgresFlowStore(pool),
            jobs=PostgresDelegationStore(pool),
            retention=PostgresRetentionStore(pool),
        )


def a_request(
    name: str = E,
    *,
    request_id: str | None = None,
    subject: str = "s",
    policy: Policy = POLICY,
    origin: Origin = BY_HAND,
    now: datetime = NOW,
) -> StartRequest:
    return StartRequest(
        id=ExecutionId(name), request_id=request_id, subject=subject, policy=policy, origin=origin, now=now
    )


def a_task(
    name: str,
    *,
    source: str = "x",
    failure: Failure | None = None,
    skipped: bool = False,
    operation: Operation = Operation.COPY,
    after_copies: bool = False,
) -> PlannedTask:
    return PlannedTask(
        id=TaskId(name),
        operation=operation,
        destination_index=0,
        source_registry="registries/a",
        source_repository=source,
        destination_registry="registries/b",
        destination_repository="x",
        references=(Reference(tag=f"{name}-1"), Reference(tag=f"{name}-2", digest="sha256:2", destination_tag="d")),
        failure=failure,
        skipped=skipped,
        after_copies=after_copies,
    )


def a_status(key: JobKey, state: TaskState, revision: int = 1) -> JobStatus:
    failure = DENIED if state is TaskState.FAILED else None
    return JobStatus(key=key, revision=revision, state=state, attempt=1, failure=failure)


async def claimed(stores: Stores, now: datetime = NOW) -> FlowLease:
    lease = await stores.flows.claim_flow(token=f"token {now}", now=now, until=now + timedelta(seconds=10))
    assert lease is not None
    return lease


async def listed(stores: Stores, *tasks: PlannedTask, name: str = E, policy: Policy = POLICY) -> None:
    """An execution whose listing brought these tasks."""
    await stores.executions.create(a_request(name, policy=policy))
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, tasks, NOW)
    await stores.flows.complete_listing(lease, NOW)


async def delegated(stores: Stores, *tasks: PlannedTask) -> list[Job]:
    await listed(stores, *tasks)
    return await stores.jobs.claim_tasks(100, NOW)


async def present(stores: Stores) -> Execution:
    return await stores.executions.get(E)


async def test_a_new_execution_waits(stores: Stores) -> None:
    execution = await stores.executions.create(a_request())
    assert execution == await present(stores)
    assert (execution.state, execution.create_time, execution.policy) == (ExecutionState.PENDING, NOW, POLICY)


async def test_what_started_an_execution_is_kept(stores: Stores) -> None:
    pushed = EventResource(operation=EventOperation.PUSH, repository="x", tag="1", digest="sha256:1")
    origin = Origin(trigger=Trigger.EVENT, started_by="hub", event_resources=(pushed,))
    await stores.executions.create(replace(a_request(), origin=origin))
    assert (await present(stores)).origin == origin


async def test_a_request_id_starts_once(stores: Stores) -> None:
    requests = [a_request(f"e{n}", request_id="r") for n in range(5)]
    started = await asyncio.gather(*map(stores.executions.create, requests))
    assert len({each.id for each in started}) == 1
    assert await stores.executions.started_by("r", "s") == started[0]
    assert await stores.executions.started_by("other", "s") is None
    with pytest.raises(RequestIdReused):
        await stores.executions.create(a_request("e9", request_id="r", subject="other"))


async def test_without_a_request_id_each_start_is_one(stores: Stores) -> None:
    started = [await stores.executions.create(a_request(name)) for name in ("a", "b")]
    assert [each.id for each in started] == ["a", "b"]


async def test_executions_are_listed_newest_first_after_a_cursor(stores: Stores) -> None:
    for name in ("a", "b", "c"):
        origin = Origin(trigger=Trigger.EVENT)
        await stores.executions.create(a_request(name, origin=origin, now=NOW if name != "c" else LATER))

    async def ids(after: tuple[datetime, ExecutionId] | None = None, **wanted: object) -> list[str]:
        found = await stores.executions.list_executions(ExecutionFilter(**wanted), after, 2)  # type: ignore[arg-type]
        return [each.id for each in found]

    assert await ids() == ["c", "b"]
    assert await ids((NOW, ExecutionId("b"))) == ["a"]
    assert await ids(policy="policies/other") == []
    assert await ids(states=(ExecutionState.FAILED,)) == []
    assert await ids(policy="policies/p", states=(ExecutionState.PENDING,)) == ["c", "b"]


async def test_executions_are_picked_by_trigger_and_time_and_come_in_either_order(stores: Stores) -> None:
    triggers = {"a": Trigger.MANUAL, "b": Trigger.SCHEDULED, "c": Trigger.EVENT, "d": Trigger.SCHEDULED}
    times = {name: NOW + timedelta(seconds=second) for second, name in enumerate(triggers)}
    for name, trigger in triggers.items():
        request = replace(a_request(name, now=times[name]), origin=Origin(trigger=trigger))
        await stores.executions.create(request)

    async def ids(after: tuple[datetime, ExecutionId] | None = None, **wanted: object) -> str:
        found = await stores.executions.list_executions(ExecutionFilter(**wanted), after, 3)  # type: ignore[arg-type]
        return "".join(each.id for each in found)

    assert await ids(oldest_first=True) == "abc"
    assert await ids((times["c"], ExecutionId("c")), oldest_first=True) == "d"
    assert await ids(triggers=(Trigger.SCHEDULED,)) == "db"
    assert await ids(triggers=(Trigger.SCHEDULED, Trigger.EVENT), oldest_first=True) == "bcd"
    assert await ids(created_since=times["b"], created_before=times["d"]) == "cb"
    assert await ids((times["b"], ExecutionId("b")), oldest_first=True, created_before=times["d"]) == "c"


async def test_what_is_not_there_is_not_found(stores: Stores) -> None:
    await listed(stores, a_task("t"))
    with pytest.raises(ExecutionNotFound):
        await stores.executions.get(ExecutionId("none"))
    with pytest.raises(TaskNotFound):
        await stores.executions.task(ExecutionId("none"), TaskId("t"))


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


async def test_what_is_skipped_is_not_listed_again_by_a_retry(stores: Stores) -> None:
    job, *_ = await delegated(stores, a_task("t"), a_task("cache", failure=DENIED, skipped=True))
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)
    again = await stores.executions.retry(E, LATER)
    assert (again.listing_complete, again.task_counts.skipped, again.task_counts.pending) == (True, 1, 1)


async def test_a_deletion_is_a_job_like_any_other(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t", operation=Operation.DELETE))
    assert (job.operation, job.references) == (Operation.DELETE, a_task("t").references)
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)
    await stores.executions.retry(E, LATER)
    (again,) = await stores.jobs.claim_tasks(10, NOW)
    assert (again.operation, again.key.run) == (Operation.DELETE, 2)


async def test_tasks_are_listed_in_order_by_state_and_page(stores: Stores) -> None:
    await listed(stores, a_task("b"), a_task("a"), a_task("bad", failure=DENIED))
    first, second = await stores.executions.list_tasks(TaskFilter(execution=E), 0, 2)
    rest = await stores.executions.list_tasks(TaskFilter(execution=E), second.sequence, 2)
    failed = await stores.executions.list_tasks(TaskFilter(execution=E, states=(TaskState.FAILED,)), 0, 2)
    assert ([first.id, second.id], [each.id for each in rest], failed) == (["b", "a"], ["bad"], rest)


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
    result = ReferenceResult(tag="t-1", digest="sha256:1", outcome=Outcome.FAILED, failure=DENIED, destination_tag="d")
    status = JobStatus(
        key=job.key,
        revision=3,
        state=TaskState.FAILED,
        attempt=2,
        progress=Progress(references_total=2, references_failed=1, bytes_copied=7),
        failure=DENIED,
        results=(result,),
        start_time=NOW,
        end_time=LATER,
    )
    await stores.jobs.fold([status], LATER)

    task = await stores.executions.task(E, TaskId("t"))
    assert (task.state, task.attempt, task.failure, task.results) == (TaskState.FAILED, 2, DENIED, (result,))
    assert (task.start_time, task.end_time, task.progress) == (NOW, LATER, status.progress)
    assert (await present(stores)).progress == status.progress


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


async def limited(
    stores: Stores, *tasks: PlannedTask, message: str = "", name: str, policy: str = "policies/p", **limits: object
) -> None:
    """An execution of a policy with limits, whose listing brought these tasks."""
    request = replace(a_request(name), policy=Policy.of_document({**POLICY.document, "name": policy, **limits}))
    await stores.executions.create(request)
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, tasks, NOW)
    await stores.flows.complete_listing(lease, NOW, message)


async def test_a_limit_holds_over_all_executions_of_a_policy(stores: Stores) -> None:
    """Two of them run beside each other when one is retried."""
    await limited(stores, *(a_task(f"a{n}") for n in range(4)), name="a", max_parallel_tasks=3)
    await stores.executions.stop(ExecutionId("a"), NOW)
    await limited(stores, *(a_task(f"b{n}") for n in range(4)), name="b", max_parallel_tasks=3)
    await stores.executions.retry(ExecutionId("a"), NOW)
    jobs = await stores.jobs.claim_tasks(10, NOW)
    assert sorted(Counter(job.key.task[0] for job in jobs).values()) == [1, 2]
    assert await stores.jobs.claim_tasks(10, NOW) == []

    await stores.jobs.fold([a_status(jobs[0].key, TaskState.RUNNING)], NOW)
    assert await stores.jobs.claim_tasks(10, NOW) == []
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED, 2) for job in jobs[:2]], NOW)
    assert len(await stores.jobs.claim_tasks(10, NOW)) == 2
    assert len(await stores.jobs.in_flight()) == 3


async def test_jobs_of_an_execution_that_is_being_stopped_take_room(stores: Stores) -> None:
    await limited(stores, *(a_task(f"b{n}") for n in range(4)), name="b", max_parallel_tasks=2)
    await stores.executions.stop(ExecutionId("b"), NOW)
    await limited(stores, a_task("a0"), a_task("a1"), name="a", max_parallel_tasks=2)
    await stores.jobs.claim_tasks(1, NOW)
    await stores.executions.stop(ExecutionId("a"), NOW)
    await stores.executions.retry(ExecutionId("b"), NOW)
    assert len(await stores.jobs.claim_tasks(10, NOW)) == 1


async def test_a_limit_is_nobody_elses(stores: Stores) -> None:
    """An inline policy has no name in common with another one."""
    for name, policy in (("a", "policies/p"), ("b", "policies/q"), ("c", ""), ("d", "")):
        tasks = [a_task(f"{name}{n}") for n in range(5)]
        await limited(stores, *tasks, name=name, policy=policy, max_parallel_tasks=0 if name == "b" else 2)
    jobs = await stores.jobs.claim_tasks(100, NOW)
    assert Counter(job.key.task[0] for job in jobs) == {"a": 2, "b": 5, "c": 2, "d": 2}


async def test_outside_of_its_windows_an_execution_waits_and_says_so(stores: Stores) -> None:
    noon = [{"start": "12:00", "end": "13:00"}]
    await limited(stores, a_task("t"), name=E, windows=noon)
    assert await stores.jobs.claim_tasks(10, NOW) == []
    waiting = await present(stores)
    assert (waiting.state, waiting.state_message) == (ExecutionState.RUNNING, "waits for a time window of its policy")

    (job,) = await stores.jobs.claim_tasks(10, NOW + timedelta(hours=12))

    assert (job.key.task, (await present(stores)).state_message) == ("t", "")
    assert await stores.jobs.claim_tasks(10, NOW) == []
    assert (await present(stores)).state_message == ""  # nothing of it waits


async def test_what_there_was_to_say_is_not_lost_while_it_waits(stores: Stores) -> None:
    noon = [{"start": "12:00", "end": "13:00"}]
    await limited(stores, a_task("t"), message="Nothing was pruned.", name=E, windows=noon)
    assert await stores.jobs.claim_tasks(10, NOW) == []
    await stores.jobs.claim_tasks(10, NOW + timedelta(hours=12))

    assert (await present(stores)).state_message == "Nothing was pruned."


async def test_a_window_hands_out_no_more_than_can_end_soon_after_it(stores: Stores) -> None:
    await limited(stores, *(a_task(f"t{n}") for n in range(120)), name=E, windows=[{"start": "00:00", "end": "01:00"}])
    assert len(await stores.jobs.claim_tasks(1000, NOW)) == TASKS_WITH_WINDOWS


async def test_an_execution_that_is_stopped_waits_for_nothing_more(stores: Stores) -> None:
    await limited(stores, a_task("t"), name=E, windows=[{"start": "12:00", "end": "13:00"}])
    await stores.jobs.claim_tasks(10, NOW)
    assert (await stores.executions.stop(E, NOW)).state_message == ""


async def test_others_go_on_while_one_policy_waits(stores: Stores) -> None:
    await limited(stores, a_task("a"), name="a", windows=[{"start": "12:00", "end": "13:00"}])
    await limited(stores, a_task("b"), name="b", policy="policies/q")
    assert [job.key.task for job in await stores.jobs.claim_tasks(10, NOW)] == ["b"]


async def test_a_forgotten_job_starts_its_revisions_again(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t"))
    await stores.jobs.fold([a_status(job.key, TaskState.RUNNING, revision=9)], NOW)
    assert await stores.jobs.resubmit([job.key]) == [job]
    await stores.jobs.fold([a_status(job.key, TaskState.SUCCEEDED, revision=1)], NOW)
    assert (await present(stores)).state is ExecutionState.SUCCEEDED
    assert await stores.jobs.resubmit([job.key]) == []


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


async def test_the_table_forbids_nonsense(database: Database) -> None:
    url = await database("execution_svc")
    async with open_pool(url, schema="execution") as pool:
        store = PostgresExecutionStore(pool)
        await store.create(a_request())
        for statement in (
            "UPDATE executions SET state = 'SUCCEEDED'",
            "UPDATE executions SET end_time = now()",
            "UPDATE executions SET tasks_total = 1",
            "UPDATE executions SET flow_token = 'x'",
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                async with pool.connection() as conn:
                    await conn.execute(statement)
