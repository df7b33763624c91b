"""What the API reads and changes, in PostgreSQL."""
# ruff: noqa: S608  (statements are made of constants)

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from execution_svc.domain.errors import ExecutionNotFound, RequestIdReused, TaskNotFound
from execution_svc.domain.execution import Execution, ExecutionFilter, ExecutionId, StartRequest
from execution_svc.domain.task import Task, TaskFilter, TaskId
from execution_svc.postgres.listing import list_parameters, list_statement
from execution_svc.postgres.rows import EXECUTION_COLUMNS, TASK_COLUMNS, Row, to_execution, to_task
from execution_svc.postgres.settling import settle, stop_waiting
from execution_svc.store import ExecutionCursor
from service_kit.database import Pool, single

_INSERT: Final = (
    """
INSERT INTO executions (id, request_id, request_subject, policy, policy_snapshot, trigger, started_by, event_resources,
                        state, create_time)
VALUES (%(id)s, %(request_id)s, %(subject)s, %(policy)s, %(snapshot)s, %(trigger)s, %(started_by)s,
        %(event_resources)s, 'PENDING', %(now)s)
ON CONFLICT ON CONSTRAINT executions_request_id_key DO NOTHING
RETURNING """
    + EXECUTION_COLUMNS
)
_BY_REQUEST: Final = (
    "SELECT request_subject, " + EXECUTION_COLUMNS + " FROM executions WHERE request_id = %(request_id)s"
)
_GET: Final = "SELECT " + EXECUTION_COLUMNS + " FROM executions WHERE id = %(execution)s"
_LOCK: Final = _GET + " FOR NO KEY UPDATE"

# Without its token the flow's worker can write nothing more.
_STOP: Final = """
UPDATE executions SET state = 'STOPPING', state_message = '', flow_token = NULL, flow_leased_until = NULL
 WHERE id = %(execution)s AND state IN ('PENDING', 'RUNNING')
"""
_REOPEN: Final = """
UPDATE executions AS e
   SET state = 'RUNNING', state_message = '', failure = NULL, start_time = COALESCE(start_time, %(now)s),
       end_time = NULL, listing_complete = listed.completely,
       tasks_released = tasks_released AND listed.completely
  FROM (SELECT listing_complete
               AND NOT EXISTS (SELECT FROM tasks WHERE execution_id = executions.id AND run = 0 AND state = 'FAILED')
               AS completely
          FROM executions WHERE id = %(execution)s) AS listed
 WHERE e.id = %(execution)s AND e.state IN ('FAILED', 'STOPPED')
"""
_RUN_AGAIN: Final = """
UPDATE tasks
   SET state = 'PENDING', run = run + 1, delegated = false, revision = 0, attempt = 0, failure = NULL, results = NULL,
       start_time = NULL, end_time = NULL, references_total = reference_count, references_copied = 0,
       references_unchanged = 0, references_skipped = 0, references_failed = 0, blobs_total = 0, blobs_copied = 0,
       blobs_mounted = 0, blobs_present = 0, bytes_total = 0, bytes_copied = 0, bytes_mounted = 0, bytes_present = 0
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
            return await _started_by(conn, request_id, subject)

    async def create(self, request: StartRequest) -> Execution:
        parameters = {
            "id": request.id,
            "request_id": request.request_id,
            "subject": request.subject,
            "policy": request.policy.name,
            "snapshot": Jsonb(request.policy.document),
            "trigger": request.origin.trigger,
            "started_by": request.origin.started_by,
            "event_resources": Jsonb([asdict(each) for each in request.origin.event_resources]),
            "now": request.now,
        }
        async with self._pool.connection() as conn:
            if row := await _one(conn, _INSERT, parameters):
                return to_execution(row)
            started = await _started_by(conn, request.request_id or "", request.subject)
        if started is None:
            raise AssertionError("an execution with this request id vanished between two statements")
        return started

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
            await conn.execute(_STOP, {"execution": execution})
            await stop_waiting(conn, execution, now)
            await settle(conn, [execution], now)
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


async def _started_by(conn: psycopg.AsyncConnection[Any], request_id: str, subject: str) -> Execution | None:
    row = await _one(conn, _BY_REQUEST, {"request_id": request_id})
    if row is None:
        return None
    if row["request_subject"] != subject:
        raise RequestIdReused(request_id=request_id)
    return to_execution(row)


async def _get(conn: psycopg.AsyncConnection[Any], statement: str, execution: ExecutionId) -> Execution:
    row = await _one(conn, statement, {"execution": execution})
    if row is None:
        raise ExecutionNotFound(execution=execution)
    return to_execution(row)


async def _one(conn: psycopg.AsyncConnection[Any], statement: str, parameters: dict[str, Any]) -> Row | None:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(statement, parameters)
        return await cursor.fetchone()
