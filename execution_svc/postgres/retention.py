"""Deletes ended executions in PostgreSQL, a bounded number of rows in a statement.

A batch is chosen by the executions' own counters, so a few that have very many tasks are as quick as many with few; one
that has too many for a statement first loses its tasks, some at a time.
"""

from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row

from execution_svc.domain.retention import Retention
from execution_svc.postgres.settling import Connection
from service_kit.database import Pool, single

EXECUTIONS_PER_BATCH: Final = 500
TASKS_PER_BATCH: Final = 20_000  # well below a second, where a statement may last thirty

# Leaps from one policy to the next along the index, in place of reading all their executions.
_POLICIES: Final = """
WITH RECURSIVE names AS (
    (SELECT policy FROM executions WHERE end_time IS NOT NULL ORDER BY policy LIMIT 1)
    UNION ALL
    SELECT (SELECT policy FROM executions WHERE end_time IS NOT NULL AND policy > names.policy ORDER BY policy LIMIT 1)
      FROM names WHERE names.policy IS NOT NULL)
SELECT policy FROM names WHERE policy IS NOT NULL
"""
_SURPLUS: Final = """
SELECT id, tasks_total FROM executions
 WHERE policy = %(policy)s AND end_time IS NOT NULL
   AND (create_time, id) <= (SELECT create_time, id FROM executions
                              WHERE policy = %(policy)s AND end_time IS NOT NULL
                              ORDER BY create_time DESC, id DESC OFFSET %(max_count)s LIMIT 1)
 ORDER BY create_time, id LIMIT %(limit)s
"""
_TOO_OLD: Final = """
SELECT id, tasks_total FROM executions
 WHERE policy = %(policy)s AND end_time IS NOT NULL AND end_time < %(ended_before)s
 ORDER BY end_time LIMIT %(limit)s
"""
# Whoever retries one of them, or tells its last news, goes first. What is passed over comes next time.
_LOCK: Final = """
SELECT id, tasks_total FROM executions WHERE id = ANY(%(executions)s) AND end_time IS NOT NULL
 ORDER BY id FOR UPDATE SKIP LOCKED
"""
_DELETE_TASKS: Final = """
DELETE FROM tasks
 WHERE id IN (SELECT id FROM tasks WHERE execution_id = %(execution)s ORDER BY sequence LIMIT %(limit)s)
"""
_DELETE: Final = "DELETE FROM executions WHERE id = ANY(%(executions)s)"


class PostgresRetentionStore:
    """Ended executions and their end."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def policies_with_ended(self) -> list[str]:
        async with single(self._pool) as conn:
            return [policy for (policy,) in await (await conn.execute(_POLICIES)).fetchall()]

    async def delete_batch(self, policy: str, keep: Retention, now: datetime) -> bool:
        ended_before = keep.ended_before(now)
        parameters = {
            "policy": policy,
            "max_count": keep.max_count,
            "ended_before": ended_before,
            "limit": EXECUTIONS_PER_BATCH,
        }
        async with self._pool.connection() as conn:
            found = await _rows(conn, _SURPLUS, parameters) if keep.max_count else {}
            if not found and ended_before:
                found = await _rows(conn, _TOO_OLD, parameters)
            held = await _rows(conn, _LOCK, {"executions": list(found)}) if found else {}
            await _delete_some(conn, {each: held[each] for each in found if each in held})
            return bool(held)


async def _delete_some(conn: Connection, tasks: dict[str, int]) -> None:
    """The first of the executions, given with their number of tasks; or first tasks of one that has too many."""
    some: list[str] = []
    room = TASKS_PER_BATCH
    for execution, count in tasks.items():
        if count > room:
            break
        some.append(execution)
        room -= count
    if some:
        await conn.execute(_DELETE, {"executions": some})
    elif tasks:
        await conn.execute(_DELETE_TASKS, {"execution": next(iter(tasks)), "limit": TASKS_PER_BATCH})


async def _rows(conn: Connection, statement: str, parameters: dict[str, Any]) -> dict[str, int]:
    """Executions and how many tasks they have, in their order."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return {row["id"]: row["tasks_total"] for row in await cursor.fetchall()}
