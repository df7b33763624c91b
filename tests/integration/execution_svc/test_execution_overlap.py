"""Starts of one policy that come together, on a real PostgreSQL: who runs, who waits, who is skipped."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from execution_svc.domain.execution import Execution, ExecutionFilter, ExecutionId, ExecutionState, StartRequest
from execution_svc.domain.origin import BY_HAND, EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import JobStatus, TaskState
from execution_svc.domain.transfer import Failure
from execution_svc.postgres import PostgresDelegationStore, PostgresExecutionStore, PostgresFlowStore
from service_kit.database import Pool, open_pool
from tests.contract.execution_stores import NOW, a_task
from tests.postgres import Database

STARTS = 20
BY_EVENT = Origin(
    trigger=Trigger.EVENT,
    event_resources=(EventResource(operation=EventOperation.PUSH, repository="x", tag="1"),),
)
GONE = Failure(reason="REGISTRY_UNREACHABLE", message="gone")


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("execution_svc"), schema="execution", max_size=STARTS) as pool:
        yield pool


def a_request(n: int, overlap: str, origin: Origin = BY_HAND, **changes: Any) -> StartRequest:
    document = {
        "name": "policies/p",
        "source_registry": "registries/a",
        "destinations": [{"registry": "registries/b"}],
        "overlap": overlap,
        **changes,
    }
    policy = Policy.of_document(document)
    # All at the same moment: the order is that of the table, not that of the clocks.
    return StartRequest(id=ExecutionId(f"e{n}"), request_id=None, subject="s", policy=policy, origin=origin, now=NOW)


async def all_started(pool: Pool, overlap: str, origin: Origin = BY_HAND) -> list[Execution]:
    store = PostgresExecutionStore(pool)
    return await asyncio.gather(*(store.create(a_request(n, overlap, origin)) for n in range(STARTS)))


async def present(pool: Pool) -> list[Execution]:
    return await PostgresExecutionStore(pool).list_executions(ExecutionFilter(), None, 100)


def in_state(executions: list[Execution], state: ExecutionState) -> list[Execution]:
    return [each for each in executions if each.state is state]


async def claimed(pool: Pool) -> str | None:
    lease = await PostgresFlowStore(pool).claim_flow(token="t", now=NOW, until=NOW + timedelta(hours=1))
    return lease.execution if lease else None


async def end(pool: Pool, execution: str) -> None:
    await PostgresExecutionStore(pool).stop(ExecutionId(execution), NOW)


async def test_of_many_starts_one_runs_one_waits_and_the_others_name_it(pool: Pool) -> None:
    started = await all_started(pool, "OVERLAP_QUEUE")

    skipped = in_state(started, ExecutionState.SKIPPED)
    pending = {each.id for each in in_state(started, ExecutionState.PENDING)}
    assert (len(pending), len(skipped)) == (2, STARTS - 2)
    first = await claimed(pool)
    assert first in pending
    (waiting,) = pending - {first}
    assert {each.state_message for each in skipped} == {f"Not run, since executions/{waiting} waits and will do it."}
    assert await claimed(pool) is None
    await end(pool, first)
    assert await claimed(pool) == waiting


async def test_of_many_starts_one_runs_and_the_others_name_it(pool: Pool) -> None:
    started = await all_started(pool, "OVERLAP_SKIP")

    (first,) = in_state(started, ExecutionState.PENDING)
    skipped = in_state(started, ExecutionState.SKIPPED)
    assert len(skipped) == STARTS - 1
    assert {each.state_message for each in skipped} == {f"Not run, since executions/{first.id} has not ended."}
    assert all((each.start_time, each.end_time) == (None, NOW) for each in skipped)
    assert (await claimed(pool), await claimed(pool)) == (first.id, None)


async def test_of_many_starts_the_last_replaces_all_before_it(pool: Pool) -> None:
    await all_started(pool, "OVERLAP_REPLACE")

    executions = await present(pool)
    (last,) = in_state(executions, ExecutionState.PENDING)
    stopped = in_state(executions, ExecutionState.STOPPED)
    assert len(stopped) == STARTS - 1
    assert f"Stopped, since executions/{last.id} replaces it." in {each.state_message for each in stopped}
    assert (await claimed(pool), await claimed(pool)) == (last.id, None)


async def test_what_events_say_runs_one_after_the_other(pool: Pool) -> None:
    for overlap in ("OVERLAP_SKIP", "OVERLAP_REPLACE"):
        assert not in_state(await all_started(pool, overlap, BY_EVENT), ExecutionState.SKIPPED)
        seen = []
        while execution := await claimed(pool):
            assert await claimed(pool) is None
            seen.append(execution)
            await end(pool, execution)
        assert len(set(seen)) == STARTS
        async with pool.connection() as conn:
            await conn.execute("DELETE FROM executions")


async def test_a_repeated_request_replaces_nothing(pool: Pool) -> None:
    store = PostgresExecutionStore(pool)
    request = StartRequest(
        id=ExecutionId("e"), request_id="r", subject="s", policy=a_request(0, "OVERLAP_REPLACE").policy, now=NOW
    )
    ids = {each.id for each in await asyncio.gather(*(store.create(request) for _ in range(5)))}
    assert (ids, len(in_state(await present(pool), ExecutionState.PENDING))) == ({"e"}, 1)


async def test_what_replaces_begins_when_the_jobs_of_the_other_have_let_go(pool: Pool) -> None:
    store, flows, jobs = PostgresExecutionStore(pool), PostgresFlowStore(pool), PostgresDelegationStore(pool)
    await store.create(a_request(0, "OVERLAP_REPLACE"))
    lease = await flows.claim_flow(token="t", now=NOW, until=NOW)
    assert lease
    await flows.write_tasks(lease, [a_task("1"), a_task("2")], NOW)
    await flows.complete_listing(lease, NOW)
    (job,) = await jobs.claim_tasks(1, NOW)

    await store.create(a_request(1, "OVERLAP_REPLACE"))
    stopping = await store.get(ExecutionId("e0"))
    newer = await store.create(a_request(2, "OVERLAP_REPLACE"))

    assert (stopping.state, stopping.task_counts.stopped) == (ExecutionState.STOPPING, 1)
    assert (await store.get(ExecutionId("e1"))).state is ExecutionState.STOPPED
    assert await claimed(pool) is None
    await jobs.fold([JobStatus(key=job.key, revision=1, state=TaskState.STOPPED)], NOW)
    assert await claimed(pool) == newer.id


@pytest.mark.parametrize("how", ["fails", "is stopped", "is deleted", "crashes and ends"])
async def test_what_waits_begins_however_the_one_before_ends(pool: Pool, how: str) -> None:
    store, flows = PostgresExecutionStore(pool), PostgresFlowStore(pool)
    for n in range(2):
        await store.create(a_request(n, "OVERLAP_QUEUE"))
    lease = await flows.claim_flow(token="t", now=NOW, until=NOW)
    assert lease
    match how:
        case "fails":
            await flows.fail_listing(lease, GONE, NOW)
        case "is stopped":
            await end(pool, "e0")
        case "is deleted":
            async with pool.connection() as conn:
                await conn.execute("DELETE FROM executions WHERE id = 'e0'")
        case _:
            later = NOW + timedelta(hours=2)
            again = await flows.claim_flow(token="u", now=later, until=later)
            assert again
            assert again.execution == "e0"  # what has begun goes on first
            await flows.complete_listing(again, NOW)

    assert await claimed(pool) == "e1"


async def test_a_start_that_is_lost_half_way_leaves_nothing(pool: Pool) -> None:
    """The process dies in the transaction in which it has stopped the one before."""
    store = PostgresExecutionStore(pool)
    await store.create(a_request(0, "OVERLAP_REPLACE"))
    async with pool.connection() as conn:
        await conn.execute("CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE ''dead''; END'")
        await conn.execute(
            "CREATE TRIGGER dying BEFORE UPDATE ON executions FOR EACH ROW WHEN (NEW.end_time IS NOT NULL) "
            "EXECUTE FUNCTION die()"
        )
    with pytest.raises(Exception, match="dead"):
        await store.create(a_request(1, "OVERLAP_REPLACE"))

    assert [(each.id, each.state) for each in await present(pool)] == [("e0", ExecutionState.PENDING)]


async def test_policies_do_not_wait_for_each_other(pool: Pool) -> None:
    store = PostgresExecutionStore(pool)
    await store.create(a_request(0, "OVERLAP_SKIP"))
    await store.create(a_request(1, "OVERLAP_SKIP", name="policies/q"))
    for n in (2, 3):  # without a name, even the same policy is another one
        await store.create(a_request(n, "OVERLAP_SKIP", name=""))
    assert {await claimed(pool) for _ in range(4)} == {"e0", "e1", "e2", "e3"}


async def test_a_changed_policy_waits_although_an_older_one_does(pool: Pool) -> None:
    store = PostgresExecutionStore(pool)
    for n in range(2):
        await store.create(a_request(n, "OVERLAP_QUEUE", next_run_time=f"{n}"))
    changed = await store.create(a_request(2, "OVERLAP_QUEUE", override=True))
    same = await store.create(a_request(3, "OVERLAP_QUEUE", override=True, next_run_time="3"))
    assert (changed.state, same.state) == (ExecutionState.PENDING, ExecutionState.SKIPPED)
    assert "executions/e2" in same.state_message
