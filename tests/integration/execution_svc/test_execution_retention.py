"""The retention loop on a real PostgreSQL with very many executions."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from execution_svc.domain.policy import Policy
from execution_svc.domain.retention import Retention
from execution_svc.postgres import PostgresRetentionStore, PostgresWrittenTags, forgetting, retention
from execution_svc.postgres.retention import EXECUTIONS_PER_BATCH, TASKS_PER_BATCH
from execution_svc.retention import RetentionLoop
from service_kit.clock import FakeClock
from service_kit.database import Pool, open_pool
from service_kit.errors import Kind, RemoteError, ServiceUnavailable
from tests.postgres import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)

_EXECUTIONS = """
INSERT INTO executions (id, request_subject, policy, policy_snapshot, trigger, state, listing_complete, create_time,
                        start_time, end_time)
SELECT %(policy)s || n, '', %(policy)s, '{}', 'EVENT', 'SUCCEEDED', true, t, t, t + interval '1 second'
  FROM (SELECT n, %(now)s - n * interval '1 minute' AS t FROM generate_series(1, %(count)s) AS n) AS times
"""
_WRITTEN = """
INSERT INTO written_tags (policy, destination_registry, destination_repository, tag, digest, source_registry,
                          source_repository, source_tag, source_digest, execution_id, write_time)
SELECT %(policy)s, 'b', 'x', 'v' || n, 'd', 'a', 'x', 'v' || n, 'd', 'e', now() FROM generate_series(1, %(count)s) AS n
"""
_TASKS = """
INSERT INTO tasks (id, execution_id, operation, destination_index, source_registry, source_repository,
                   destination_registry, destination_repository, tags, digests, destination_tags, reference_count, state,
                   run, delegated, create_time, end_time)
SELECT e.id || '-' || n, e.id, 'COPY', 0, 'a', 'x', 'b', 'x', '{1}', '{""}', '{""}', 1, 'SUCCEEDED', 1, true,
       e.create_time, e.end_time
  FROM executions AS e, generate_series(1, %(tasks)s) AS n WHERE e.policy = %(policy)s
"""


class FakePolicies:
    """Knows some policies, or does not answer."""

    def __init__(self) -> None:
        self.retentions: dict[str, dict[str, object]] = {}
        self.away: set[str] = set()

    async def get(self, name: str) -> Policy:
        if name in self.away:
            raise ServiceUnavailable(service="policy_svc")
        if name not in self.retentions:
            raise RemoteError.of(Kind.NOT_FOUND, message="", reason="POLICY_NOT_FOUND")
        destinations = [{"registry": "registries/b"}]
        return Policy.of_document(
            {"source_registry": "registries/a", "destinations": destinations, **self.retentions[name]}
        )


class Counting:
    """Counts the batches, each of a few statements."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._store = PostgresRetentionStore(pool)
        self.batches: Counter[str] = Counter()

    async def policies_with_ended(self) -> list[str]:
        return await self._store.policies_with_ended()

    async def delete_batch(self, policy: str, keep: Retention, now: datetime) -> bool:
        self.batches[policy] += 1
        return await self._store.delete_batch(policy, keep, now)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield pool


@pytest.fixture
def policies() -> FakePolicies:
    return FakePolicies()


@pytest.fixture
def counting(pool: Pool) -> Counting:
    return Counting(pool)


def a_loop(counting: Counting, policies: FakePolicies, default: Retention) -> RetentionLoop:
    return RetentionLoop(counting, PostgresWrittenTags(counting.pool), policies, default, FakeClock(NOW))


async def fill(pool: Pool, policy: str, executions: int, tasks: int) -> None:
    async with pool.connection() as conn:
        await conn.execute(_EXECUTIONS, {"policy": policy, "count": executions, "now": NOW})
        await conn.execute(_TASKS, {"policy": policy, "tasks": tasks})


async def left(pool: Pool) -> dict[str, tuple[int, int]]:
    """How many executions and tasks there are of each policy."""
    async with pool.connection() as conn:
        cursor = await conn.execute(
            "SELECT policy, count(*), sum((SELECT count(*) FROM tasks WHERE execution_id = e.id)) "
            "FROM executions AS e GROUP BY policy"
        )
        return {policy: (count, int(tasks)) for policy, count, tasks in await cursor.fetchall()}


async def test_thousands_are_brought_to_the_limit_in_few_batches(
    pool: Pool, counting: Counting, policies: FakePolicies
) -> None:
    await fill(pool, "policies/busy", 5000, 3)
    policies.retentions["policies/busy"] = {"retention": {"max_count": 100}}

    await a_loop(counting, policies, Retention()).pass_once()

    assert await left(pool) == {"policies/busy": (100, 300)}
    assert counting.batches["policies/busy"] == 4900 // EXECUTIONS_PER_BATCH + 2  # a part of one, and the empty one
    async with pool.connection() as conn:
        newest = await (await conn.execute("SELECT max(create_time), min(create_time) FROM executions")).fetchone()
    assert newest == (NOW - timedelta(minutes=1), NOW - timedelta(minutes=100))


async def test_one_with_too_many_tasks_for_a_statement_goes_piece_by_piece(
    pool: Pool, counting: Counting, policies: FakePolicies
) -> None:
    await fill(pool, "policies/huge", 1, 2 * TASKS_PER_BATCH + 1)
    await a_loop(counting, policies, Retention(max_age=timedelta(seconds=1))).pass_once()
    assert await left(pool) == {}
    assert counting.batches["policies/huge"] == 4


async def test_a_policy_has_its_own_limit_or_the_default(
    pool: Pool, counting: Counting, policies: FakePolicies
) -> None:
    policies.retentions = {
        "policies/own": {"retention": {"max_age": "150s"}},
        "policies/all": {"retention": {}},
        "policies/none": {},
    }
    policies.away = {"policies/away"}
    for name in ("", "policies/own", "policies/all", "policies/none", "policies/gone", "policies/away"):
        await fill(pool, name, 5, 1)

    await a_loop(counting, policies, Retention(max_count=3)).pass_once()

    assert await left(pool) == {
        "": (3, 3),
        "policies/own": (2, 2),
        "policies/all": (5, 5),
        "policies/none": (3, 3),
        "policies/gone": (3, 3),
        "policies/away": (5, 5),
    }


async def test_one_that_is_being_retried_is_passed_over(pool: Pool, counting: Counting, policies: FakePolicies) -> None:
    await fill(pool, "policies/p", 3, 1)
    async with pool.connection() as conn:
        await conn.execute("SELECT FROM executions WHERE id = 'policies/p2' FOR NO KEY UPDATE")
        await a_loop(counting, policies, Retention(max_count=1)).pass_once()
        assert await left(pool) == {"policies/p": (2, 2)}


async def test_it_is_deleted_along_indexes(pool: Pool) -> None:
    await fill(pool, "policies/p", 5000, 0)
    parameters = {"policy": "policies/p", "max_count": 100, "ended_before": NOW - timedelta(days=1), "limit": 500}
    async with pool.connection() as conn:
        await conn.execute("ANALYZE executions")
        await conn.execute("SET LOCAL enable_seqscan = off")
        for statement in (retention._POLICIES, retention._SURPLUS, retention._TOO_OLD):
            cursor: psycopg.AsyncCursor[tuple[str]] = conn.cursor()
            await cursor.execute("EXPLAIN " + statement, parameters)
            plan = "\n".join(line for (line,) in await cursor.fetchall())
            assert "Index" in plan
            assert "Seq Scan on executions" not in plan


async def test_what_policies_wrote_that_are_gone_is_forgotten(
    pool: Pool, counting: Counting, policies: FakePolicies
) -> None:
    """Not what is of one that may be there: its service does not answer. Inline policies cannot be gone."""
    policies.retentions = {"policies/there": {}}
    policies.away = {"policies/away"}
    async with pool.connection() as conn:
        for policy in ("", "away", "gone", "there", "went"):
            await conn.execute(_WRITTEN, {"policy": policy, "count": 3})
        await conn.execute(_WRITTEN, {"policy": "huge", "count": forgetting.TAGS_PER_BATCH + 1})

    await a_loop(counting, policies, Retention()).forget_the_gone()

    async with pool.connection() as conn:
        cursor = await conn.execute("SELECT policy, count(*) FROM written_tags GROUP BY policy ORDER BY policy")
        assert await cursor.fetchall() == [("", 3), ("away", 3), ("there", 3)]
