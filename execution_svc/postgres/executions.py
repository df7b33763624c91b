"""What the API reads and changes, in PostgreSQL."""
# ruff: noqa: S608  (statements are made of constants)

from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from execution_svc.domain.errors import ExecutionNotFound, TaskNotFound
from execution_svc.domain.execution import Execution, ExecutionFilter, ExecutionId, StartRequest
from execution_svc.domain.task import Task, TaskFilter, TaskId
from execution_svc.postgres.listing import list_parameters, list_statement
from execution_svc.postgres.rows import EXECUTION_COLUMNS, TASK_COLUMNS, Row, to_execution, to_task
from execution_svc.postgres.settling import stop
from execution_svc.postgres.starting import create, started_by
from execution_svc.store import ExecutionCursor
from service_kit.database import Pool, single

_GET: Final = "SELECT " + EXECUTION_COLUMNS + " FROM executions WHERE id = %(execution)s"
_LOCK: Final = _GET + " FOR NO KEY UPDATE"

# What failed before it had a job is listed again, and what was to be pruned is decided on anew: the source may have it
# again by now.
_REOPEN: Final = """
UPDATE executions AS e
   SET state = 'RUNNING', state_message = '', failure = NULL, start_time = COALESCE(start_time, %(now)s),
       end_time = NULL, listing_complete = listed.completely,
       tasks_released = tasks_released AND listed.completely
  FROM (SELECT listing_complete
               AND NOT EXISTS (SELECT FROM tasks WHERE execution_id = executions.id AND run = 0 AND state = 'FAILED')
               AND NOT EXISTS (SELECT FROM tasks WHERE execution_id = executions.id AND after_copies
                                                   AND state IN ('FAILED', 'STOPPED'))
               AS completely
          FROM executions WHERE id = %(execution)s) AS listed
 WHERE e.id = %(execution)s AND e.state IN ('FAILED', 'STOPPED')
"""
_RUN_AGAIN: Final = """
UPDATE tasks
   SET state = 'PENDING', run = run + 1, delegated = false, revision = 0, attempt = 0, failure = NULL, results = NULL,
       start_time = NULL, end_time = NULL, references_total = reference_count, references_copied = 0,
       references_unchanged = 0, references_skipped = 0, references_deleted = 0, references_failed = 0,
       blobs_total = 0, blobs_copied = 0, blobs_mounted = 0, blobs_present = 0,
       bytes_total = 0, bytes_copied = 0, bytes_mounted = 0, bytes_present = 0
 WHERE execution_id = %(execution)s AND state IN ('FAILED', 'STOPPED') AND run > 0
"""

_TASK: Final = "SELECT results, " + TASK_COLUMNS + " FROM tasks WHERE id = %(task)s AND execution_id = %(execution)s"
_TASKS: Final = (
    "SELECT "
    + TASK_COLUMNS
    + """
  FROM tasks
 WHERE execution_id = %(execution)s AND sequence > %(after)s
   AND (cardinality(%(states)s::text[]) = 0 OR state = ANY(%(states)s))
 ORDER BY sequence
 LIMIT %(limit)s
"""
)


class PostgresExecutionStore:
    """Executions and tasks as the API sees them."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def started_by(self, request_id: str, subject: str) -> Execution | None:
        async with single(self._pool) as conn:
            return await started_by(conn, request_id, subject)

    async def create(self, request: StartRequest) -> Execution:
        async with self._pool.connection() as conn:
            return await create(conn, request)

    async def get(self, execution: ExecutionId) -> Execution:
        async with single(self._pool) as conn:
            return await _get(conn, _GET, execution)

    async def list_executions(
        self, wanted: ExecutionFilter, after: ExecutionCursor | None, limit: int
    ) -> list[Execution]:
        async with single(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(list_statement(wanted, after), list_parameters(wanted, after, limit))
            return [to_execution(row) for row in await cursor.fetchall()]

    async def stop(self, execution: ExecutionId, now: datetime) -> Execution:
        async with self._pool.connection() as conn:
            (await _get(conn, _LOCK, execution)).check_stoppable()
            await stop(conn, execution, now)
            return await _get(conn, _GET, execution)

    async def retry(self, execution: ExecutionId, now: datetime) -> Execution:
        async with self._pool.connection() as conn:
            (await _get(conn, _LOCK, execution)).check_retryable()
            await conn.execute(_REOPEN, {"execution": execution, "now": now})
            await conn.execute(_RUN_AGAIN, {"execution": execution})
            return await _get(conn, _GET, execution)

    async def task(self, execution: ExecutionId, task: TaskId) -> Task:
        async with single(self._pool) as conn:
            row = await _one(conn, _TASK, {"execution": execution, "task": task})
        if row is None:
            raise TaskNotFound(task=task)
        return to_task(row)

    async def list_tasks(self, wanted: TaskFilter, after: int, limit: int) -> list[Task]:
        parameters = {
            "execution": wanted.execution,
            "states": [str(state) for state in wanted.states],
            "after": after,
            "limit": limit,
        }
        async with single(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_TASKS, parameters)
            return [to_task(row) for row in await cursor.fetchall()]


async def _get(conn: psycopg.AsyncConnection[Any], statement: str, execution: ExecutionId) -> Execution:
    row = await _one(conn, statement, {"execution": execution})
    if row is None:
        raise ExecutionNotFound(execution=execution)
    return to_execution(row)


async def _one(conn: psycopg.AsyncConnection[Any], statement: str, parameters: dict[str, Any]) -> Row | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()
