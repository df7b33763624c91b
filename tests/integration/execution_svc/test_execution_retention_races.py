"""Retention and Retry at the same moment, on a real PostgreSQL: what is being retried is not deleted."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from execution_svc.domain.errors import ExecutionNotFound
from execution_svc.domain.execution import ExecutionState
from execution_svc.domain.retention import Retention
from execution_svc.domain.task import TaskState
from execution_svc.postgres import (
    PostgresDelegationStore,
    PostgresExecutionStore,
    PostgresFlowStore,
    PostgresRetentionStore,
)
from service_kit.database import Pool, open_pool
from tests.contract.execution_stores import LATER, NOW, E, Stores, a_status, a_task, delegated
from tests.postgres import Database

ALL = Retention(max_age=timedelta(seconds=1))
MUCH_LATER = LATER + timedelta(days=1)
BLOCKED_FOR_S = 0.5  # long enough to see that somebody waits


@pytest.fixture
async def url(database: Database) -> str:
    return await database("execution_svc")


@pytest.fixture
async def stores(url: str) -> AsyncIterator[Stores]:
    async with open_pool(url, schema="execution") as pool:
        yield Stores(
            executions=PostgresExecutionStore(pool),
            flows=PostgresFlowStore(pool),
            jobs=PostgresDelegationStore(pool),
            retention=PostgresRetentionStore(pool),
        )


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    """With a single connection, so that what is set on it stays."""
    async with open_pool(url, schema="execution", max_size=1) as pool:
        yield pool


async def failed(stores: Stores) -> None:
    """An execution whose only task has failed."""
    (job,) = await delegated(stores, a_task("t"))
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)


async def delete_all(pool: Pool, *, before: str, happens: Callable[[], Awaitable[object]]) -> bool:
    """A batch of retention; something happens just before the statement that has these words."""

    class Interrupted(psycopg.AsyncCursor[Any]):
        async def execute(self, query: Any, *args: Any, **kwargs: Any) -> "Interrupted":
            if before in query:
                await happens()
            await super().execute(query, *args, **kwargs)
            return self

    async with pool.connection() as conn:
        conn.cursor_factory = Interrupted
    return await PostgresRetentionStore(pool).delete_batch("policies/p", ALL, MUCH_LATER)


async def test_what_was_retried_after_it_was_found_is_not_deleted(stores: Stores, pool: Pool) -> None:
    await failed(stores)

    more = await delete_all(pool, before="SKIP LOCKED", happens=lambda: stores.executions.retry(E, LATER))

    execution = await stores.executions.get(E)
    assert (more, execution.state, execution.task_counts.pending) == (False, ExecutionState.RUNNING, 1)
    assert len(await stores.jobs.claim_tasks(10, LATER)) == 1


async def test_a_retry_of_what_is_being_deleted_waits_and_finds_nothing(stores: Stores, pool: Pool) -> None:
    await failed(stores)
    retries: list[asyncio.Task[object]] = []

    async def retry() -> None:
        retries.append(asyncio.create_task(stores.executions.retry(E, LATER)))
        done, _ = await asyncio.wait(retries, timeout=BLOCKED_FOR_S)
        assert not done

    await delete_all(pool, before="DELETE FROM executions", happens=retry)

    with pytest.raises(ExecutionNotFound):
        await retries[0]
