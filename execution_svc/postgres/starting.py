"""How an execution comes to be: its row, and what that means for others of its policy, in one transaction."""
# ruff: noqa: S608  (statements are made of constants)

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from execution_svc.domain.errors import RequestIdReused
from execution_svc.domain.execution import Execution, ExecutionId, StartRequest
from execution_svc.domain.origin import Trigger
from execution_svc.domain.overlap import OpenExecution, place, replaced_by
from execution_svc.postgres.rows import EXECUTION_COLUMNS, to_execution
from execution_svc.postgres.settling import Connection, stop

# Whoever starts an execution of a policy waits for whoever is at it, so that of many starts each sees those before it.
# It is taken before any row is locked, and nobody who holds a row takes it.
_LOCK_POLICY: Final = "SELECT pg_advisory_xact_lock(%(space)s, hashtext(%(policy)s))"
_LOCK_SPACE: Final = 0x0EC5  # of the advisory locks on policies; any number that nothing else here uses

_INSERT: Final = """
INSERT INTO executions (id, request_id, request_subject, policy, policy_snapshot, trigger, started_by, event_resources,
                        state, create_time)
VALUES (%(id)s, %(request_id)s, %(subject)s, %(policy)s, %(snapshot)s, %(trigger)s, %(started_by)s,
        %(event_resources)s, 'PENDING', %(now)s)
ON CONFLICT ON CONSTRAINT executions_request_id_key DO NOTHING
RETURNING id
"""
_OTHERS: Final = """
SELECT id, state = 'PENDING' AS pending, trigger = %(event)s AS by_event, event_resources = '[]' AS whole,
       policy_snapshot - 'next_run_time' = %(snapshot)s - 'next_run_time' AS same_policy
  FROM executions
 WHERE policy = %(policy)s AND end_time IS NULL AND id <> %(id)s
 ORDER BY ordinal
"""
_SKIP: Final = """
UPDATE executions SET state = 'SKIPPED', state_message = %(message)s, end_time = create_time WHERE id = %(id)s
"""
_LOCK_ALL: Final = "SELECT id FROM executions WHERE id = ANY(%(executions)s) ORDER BY id FOR NO KEY UPDATE"
_GET: Final = "SELECT " + EXECUTION_COLUMNS + " FROM executions WHERE id = %(id)s"
_BY_REQUEST: Final = (
    "SELECT request_subject, " + EXECUTION_COLUMNS + " FROM executions WHERE request_id = %(request_id)s"
)


async def create(conn: Connection, request: StartRequest) -> Execution:
    """The new execution, or the one that the same request has started; raises RequestIdReused."""
    policy = request.policy.name
    if policy:
        await conn.execute(_LOCK_POLICY, {"space": _LOCK_SPACE, "policy": policy})
    cursor = await conn.execute(_INSERT, _columns(request))
    if await cursor.fetchone() is None:
        return await _of_the_same_request(conn, request)
    if policy:
        await _take_place(conn, request)
    async with conn.cursor(row_factory=dict_row) as rows:
        await rows.execute(_GET, {"id": request.id})
        return to_execution(await rows.fetchone() or {})


async def started_by(conn: Connection, request_id: str, subject: str) -> Execution | None:
    async with conn.cursor(row_factory=dict_row) as rows:
        await rows.execute(_BY_REQUEST, {"request_id": request_id})
        row = await rows.fetchone()
    if row is None:
        return None
    if row["request_subject"] != subject:
        raise RequestIdReused(request_id=request_id)
    return to_execution(row)


async def _of_the_same_request(conn: Connection, request: StartRequest) -> Execution:
    started = await started_by(conn, request.request_id or "", request.subject)
    if started is None:
        raise AssertionError("an execution with this request id vanished between two statements")
    return started


async def _take_place(conn: Connection, request: StartRequest) -> None:
    async with conn.cursor(row_factory=dict_row) as rows:
        await rows.execute(_OTHERS, {**_columns(request), "event": Trigger.EVENT})
        found = place(request, [OpenExecution(**row) for row in await rows.fetchall()])
    if found.skipped:
        await conn.execute(_SKIP, {"id": request.id, "message": found.skipped})
    if found.stopped:
        await _stop_all(conn, list(found.stopped), replaced_by(request.id), request.now)


async def _stop_all(conn: Connection, executions: list[ExecutionId], message: str, now: datetime) -> None:
    await conn.execute(_LOCK_ALL, {"executions": executions})
    for execution in executions:
        await stop(conn, execution, now, message=message)


def _columns(request: StartRequest) -> dict[str, Any]:
    return {
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
