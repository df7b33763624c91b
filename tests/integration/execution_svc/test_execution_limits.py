"""Limits of a policy on a real PostgreSQL, while jobs end and several claim at once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from execution_svc.domain.execution import ExecutionId, StartRequest
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import Job, JobStatus, Operation, PlannedTask, TaskId, TaskState
from execution_svc.domain.transfer import Reference
from execution_svc.postgres import PostgresDelegationStore, PostgresExecutionStore, PostgresFlowStore
from service_kit.database import Pool, open_pool
from tests.postgres import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MAX_PARALLEL = 7
EXECUTIONS = ("a", "b", "c")
TASKS_EACH = 40


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield pool


def a_task(name: str) -> PlannedTask:
    return PlannedTask(
        id=TaskId(name),
        operation=Operation.COPY,
        destination_index=0,
        source_registry="registries/a",
        source_repository=name,
        destination_registry="registries/b",
        destination_repository=name,
        references=(Reference(tag="1"),),
    )


async def listed(pool: Pool, name: str, *, tasks: int = TASKS_EACH, max_parallel: int = MAX_PARALLEL) -> None:
    """An execution that was listed and stopped; when all of them are retried, they run beside each other."""
    document = {
        "name": "policies/p",
        "source_registry": "registries/a",
        "destinations": [{"registry": "registries/b"}],
        "max_parallel_tasks": max_parallel,
    }
    request = StartRequest(
        id=ExecutionId(name), request_id=None, subject="", policy=Policy.of_document(document), now=NOW
    )
    await PostgresExecutionStore(pool).create(request)
    flows = PostgresFlowStore(pool)
    lease = await flows.claim_flow(token=name, now=NOW, until=NOW + timedelta(seconds=10))
    assert lease is not None
    await flows.write_tasks(lease, [a_task(f"{name}{n}") for n in range(tasks)], NOW)
    await flows.complete_listing(lease, NOW)
    await PostgresExecutionStore(pool).stop(ExecutionId(name), NOW)


async def test_the_limit_holds_while_jobs_end_and_others_claim(pool: Pool) -> None:
    """Three claim at once, and each of their jobs ends at its own time: never are more in flight than may be."""
    for name in EXECUTIONS:
        await listed(pool, name)
    for name in EXECUTIONS:
        await PostgresExecutionStore(pool).retry(ExecutionId(name), NOW)
    store = PostgresDelegationStore(pool)
    waiting = len(EXECUTIONS) * TASKS_EACH
    most = 0
    done: set[str] = set()

    async def work(job: Job) -> None:
        running = JobStatus(key=job.key, revision=1, state=TaskState.RUNNING)
        await store.fold([running], NOW)
        await store.fold([JobStatus(key=job.key, revision=2, state=TaskState.SUCCEEDED)], NOW)
        done.add(str(job.key))

    async def claim() -> None:
        nonlocal most
        async with asyncio.TaskGroup() as jobs:
            while len(done) < waiting:
                for job in await store.claim_tasks(5, NOW):
                    jobs.create_task(work(job))
                most = max(most, len(await store.in_flight()))

    async with asyncio.timeout(60), asyncio.TaskGroup() as claims:
        for _ in range(3):
            claims.create_task(claim())

    assert (len(done), await store.in_flight()) == (waiting, [])
    assert 1 < most <= MAX_PARALLEL


async def test_thousands_of_waiting_tasks_are_stopped_by_one_statement(pool: Pool) -> None:
    await listed(pool, "a", tasks=5000, max_parallel=100)
    await PostgresExecutionStore(pool).retry(ExecutionId("a"), NOW)
    jobs = await PostgresDelegationStore(pool).claim_tasks(100, NOW)

    stopping = await PostgresExecutionStore(pool).stop(ExecutionId("a"), NOW)

    assert (stopping.state, stopping.task_counts.stopped, stopping.task_counts.pending) == ("STOPPING", 4900, 100)
    assert len(await PostgresDelegationStore(pool).to_stop()) == len(jobs)
    async with pool.connection() as conn:
        # Rows written by one statement have the transaction and the command in it in common.
        cursor = await conn.execute("SELECT DISTINCT xmin::text, cmin::text FROM tasks WHERE state = 'STOPPED'")
        assert len(await cursor.fetchall()) == 1
