"""What a flow worker reads and writes, in PostgreSQL.

Each write first locks the execution under the token of the lease: a worker that has lost it gets LeaseLost and has
written nothing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from execution_svc.domain.errors import LeaseLost
from execution_svc.domain.execution import ExecutionId, FlowLease
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import Collision, Operation, PlannedTask, TaskState
from execution_svc.domain.transfer import Failure, Reference
from execution_svc.postgres.collisions import fail_collisions, find_collisions
from execution_svc.postgres.rows import failure_document, to_event_resources
from execution_svc.postgres.settling import Connection, settle, stop_waiting
from service_kit.database import Pool, single

# What waits for its turn stays: it begins when the executions of its policy before it have ended, however they did.
_CLAIM: Final = """
UPDATE executions
   SET state = 'RUNNING', start_time = COALESCE(start_time, %(now)s), flow_attempt = flow_attempt + 1,
       flow_token = %(token)s, flow_leased_until = %(until)s
 WHERE id = (SELECT id FROM executions AS next
              WHERE state IN ('PENDING', 'RUNNING') AND NOT listing_complete AND failure IS NULL
                AND (flow_leased_until IS NULL OR flow_leased_until < %(now)s)
                AND (state = 'RUNNING' OR policy = ''
                     OR NOT EXISTS (SELECT FROM executions AS before
                                     WHERE before.policy = next.policy AND before.end_time IS NULL
                                       AND before.ordinal < next.ordinal))
              ORDER BY create_time LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id, policy_snapshot, event_resources, flow_attempt
"""
_LOCK: Final = "SELECT id FROM executions WHERE id = %(execution)s AND flow_token = %(token)s FOR NO KEY UPDATE"
_RENEW: Final = """
UPDATE executions SET flow_leased_until = %(until)s WHERE id = %(execution)s AND flow_token = %(token)s RETURNING id
"""
_RELEASE: Final = """
UPDATE executions SET flow_token = NULL, flow_leased_until = NULL
 WHERE id = %(execution)s AND flow_token = %(token)s
"""
# What waited for the copies is decided on anew: no job of it can exist while the listing is not complete.
_FORGET_ITEMS: Final = """
DELETE FROM tasks WHERE execution_id = %(execution)s AND (run = 0 OR (after_copies AND NOT delegated))
"""
_RELEASE_TASKS: Final = "UPDATE executions SET tasks_released = true WHERE id = %(execution)s"

# A tag has no colon and a digest has one, so a key names one reference.
_UNWRITTEN: Final = """
WITH had AS (SELECT DISTINCT CASE WHEN tag = '' THEN digest ELSE tag END AS key
               FROM tasks, unnest(tags, digests) AS reference (tag, digest)
              WHERE execution_id = %(execution)s AND destination_index = %(destination)s AND operation = %(operation)s
                AND source_repository = %(repository)s)
SELECT place FROM unnest(%(keys)s::text[]) WITH ORDINALITY AS asked (key, place)
 WHERE NOT EXISTS (SELECT FROM had WHERE had.key = asked.key)
 ORDER BY place
"""
_INSERT: Final = """
INSERT INTO tasks (id, execution_id, operation, destination_index, source_registry, source_repository,
                   destination_registry, destination_repository, tags, digests, destination_tags, reference_count,
                   state, run, failure, create_time, end_time, references_total, references_failed, references_skipped,
                   after_copies)
SELECT id, execution_id, operation, destination_index, source_registry, source_repository,
       destination_registry, destination_repository, tags, digests, destination_tags, reference_count,
       state, run, failure, create_time, end_time, references_total, references_failed, references_skipped,
       after_copies
  FROM jsonb_populate_recordset(NULL::tasks, %(tasks)s)
ON CONFLICT ON CONSTRAINT tasks_pkey DO NOTHING
"""
_COMPLETE: Final = """
UPDATE executions
   SET listing_complete = true, tasks_released = true, flow_token = NULL, flow_leased_until = NULL,
       state_message = %(message)s
 WHERE id = %(execution)s
"""
_FAIL: Final = """
UPDATE executions SET failure = %(failure)s, state_message = %(message)s, flow_token = NULL, flow_leased_until = NULL
 WHERE id = %(execution)s
"""


class PostgresFlowStore:
    """Flows and the tasks they write."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim_flow(self, *, token: str, now: datetime, until: datetime) -> FlowLease | None:
        async with single(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_CLAIM, {"token": token, "now": now, "until": until})
            row = await cursor.fetchone()
        if row is None:
            return None
        policy = Policy.of_document(row["policy_snapshot"])
        return FlowLease(
            execution=ExecutionId(row["id"]),
            token=token,
            policy=policy,
            attempt=row["flow_attempt"],
            resources=to_event_resources(row["event_resources"]),
        )

    async def renew(self, lease: FlowLease, until: datetime) -> None:
        async with single(self._pool) as conn:
            cursor = await conn.execute(_RENEW, {**_of(lease), "until": until})
            if await cursor.fetchone() is None:
                raise LeaseLost

    async def release(self, lease: FlowLease) -> None:
        async with single(self._pool) as conn:
            await conn.execute(_RELEASE, _of(lease))

    async def begin_listing(self, lease: FlowLease, *, release_tasks: bool) -> None:
        async with self._held(lease) as conn:
            await conn.execute(_FORGET_ITEMS, _of(lease))
            if release_tasks:
                await conn.execute(_RELEASE_TASKS, _of(lease))

    async def unwritten(
        self,
        lease: FlowLease,
        operation: Operation,
        destination_index: int,
        repository: str,
        references: Sequence[Reference],
    ) -> list[Reference]:
        parameters = {
            "operation": operation,
            **_of(lease),
            "destination": destination_index,
            "repository": repository,
            "keys": [reference.key for reference in references],
        }
        async with self._held(lease) as conn:
            cursor = await conn.execute(_UNWRITTEN, parameters)
            return [references[place - 1] for (place,) in await cursor.fetchall()]

    async def write_tasks(self, lease: FlowLease, tasks: Sequence[PlannedTask], now: datetime) -> None:
        documents = [_document(task, lease.execution, now) for task in tasks]
        async with self._held(lease) as conn:
            await conn.execute(_INSERT, {"tasks": Jsonb(documents)})

    async def collisions(self, lease: FlowLease) -> list[Collision]:
        async with self._held(lease) as conn:
            return await find_collisions(conn, lease.execution, lease.policy.registries_by_tag)

    async def fail_collided(
        self, lease: FlowLease, collided: Sequence[tuple[Collision, Failure]], now: datetime
    ) -> None:
        async with self._held(lease) as conn:
            await fail_collisions(conn, lease.execution, collided, now)

    async def complete_listing(self, lease: FlowLease, now: datetime, message: str = "") -> None:
        async with self._held(lease) as conn:
            await conn.execute(_COMPLETE, {**_of(lease), "message": message})
            await settle(conn, [lease.execution], now)

    async def fail_listing(self, lease: FlowLease, failure: Failure, now: datetime) -> None:
        parameters = {**_of(lease), "failure": Jsonb(failure_document(failure)), "message": failure.message}
        async with self._held(lease) as conn:
            await conn.execute(_FAIL, parameters)
            await stop_waiting(conn, lease.execution, now)
            await settle(conn, [lease.execution], now)

    @asynccontextmanager
    async def _held(self, lease: FlowLease) -> AsyncIterator[Connection]:
        """A transaction in which the lease holds."""
        async with self._pool.connection() as conn:
            cursor = await conn.execute(_LOCK, _of(lease))
            if await cursor.fetchone() is None:
                raise LeaseLost
            yield conn


def _of(lease: FlowLease) -> dict[str, Any]:
    return {"execution": lease.execution, "token": lease.token}


def _document(task: PlannedTask, execution: ExecutionId, now: datetime) -> dict[str, Any]:
    """The columns of a new task, in JSON."""
    ended = task.state.is_final
    count = len(task.references)
    return {
        "id": task.id,
        "execution_id": execution,
        "operation": task.operation,
        "destination_index": task.destination_index,
        "source_registry": task.source_registry,
        "source_repository": task.source_repository,
        "destination_registry": task.destination_registry,
        "destination_repository": task.destination_repository,
        "tags": [reference.tag for reference in task.references],
        "digests": [reference.digest for reference in task.references],
        "destination_tags": [reference.destination_tag for reference in task.references],
        "reference_count": count,
        "state": task.state,
        "run": 0 if ended else 1,
        "failure": failure_document(task.failure),
        "create_time": now.isoformat(),
        "end_time": now.isoformat() if ended else None,
        "references_total": count,
        "after_copies": task.after_copies,
        "references_failed": count if task.state is TaskState.FAILED else 0,
        "references_skipped": count if task.state is TaskState.SKIPPED else 0,
    }
