"""Lists of executions are read along an index, whatever is asked for."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from execution_svc.domain.execution import ExecutionFilter, ExecutionId, ExecutionState
from execution_svc.domain.origin import Trigger
from execution_svc.postgres.listing import list_parameters, list_statement
from service_kit.database import session_conninfo
from tests.postgres import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COUNT = 5000
CURSOR = (NOW + timedelta(seconds=COUNT // 2), ExecutionId("e"))

_FILL = """
INSERT INTO executions (id, request_subject, policy, policy_snapshot, trigger, state, create_time)
SELECT 'e' || n, '', 'policies/p' || mod(n, 10), '{}', 'MANUAL', 'PENDING', %(now)s + n * interval '1 second'
  FROM generate_series(1, %(count)s) AS n
"""


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


@pytest.fixture
async def conn(database: Database) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    conninfo = session_conninfo(await database("execution_svc"), schema="execution")
    async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
        await conn.execute(_FILL, {"now": NOW, "count": COUNT})
        await conn.execute("ANALYZE executions")
        yield conn


@pytest.mark.parametrize("oldest_first", [False, True])
@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"states": (ExecutionState.PENDING,), "triggers": (Trigger.MANUAL,)},
        {"created_since": NOW, "created_before": NOW + timedelta(days=1)},
        {"policy": "policies/p7"},
        {"policy": "policies/p7", "created_since": NOW},
    ],
)
async def test_a_list_is_read_along_an_index_and_never_sorted(
    conn: psycopg.AsyncConnection[Any], asked: dict[str, Any], oldest_first: bool
) -> None:
    wanted = ExecutionFilter(**asked, oldest_first=oldest_first)
    for after in (None, CURSOR):
        statement = "EXPLAIN (FORMAT JSON) " + list_statement(wanted, after)
        row = await (await conn.execute(statement, list_parameters(wanted, after, 51))).fetchone()
        assert row is not None
        limit, scan = nodes(row[0][0]["Plan"])
        assert (limit["Node Type"], scan["Node Type"]) == ("Limit", "Index Scan")
        assert scan["Index Name"] in {"executions_newest", "executions_newest_of_policy"}
