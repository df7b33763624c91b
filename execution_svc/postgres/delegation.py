"""What the delegator reads and writes, in PostgreSQL."""
# ruff: noqa: S608  (statements are made of constants)

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from execution_svc.domain.limits import OUTSIDE_OF_WINDOWS, Limits
from execution_svc.domain.task import Job, JobKey, JobStatus, Operation, TaskState
from execution_svc.postgres.rows import (
    JOB_COLUMNS,
    PROGRESS_COLUMNS,
    failure_document,
    result_documents,
    to_job,
    to_key,
)
from execution_svc.postgres.settling import Connection, lock_executions_of, settle
from execution_svc.postgres.written import remember
from service_kit.database import Pool, single

_IN_FLIGHT: Final = "SELECT id, run FROM tasks WHERE delegated AND state IN ('PENDING', 'RUNNING')"

_LOCK_OPEN: Final = """
SELECT id, state_message, jsonb_build_object('max_parallel_tasks', policy_snapshot -> 'max_parallel_tasks',
                                             'windows', policy_snapshot -> 'windows') AS limits
  FROM executions
 WHERE state = 'RUNNING' AND tasks_released AND tasks_pending > 0
   AND EXISTS (SELECT FROM tasks WHERE execution_id = executions.id AND state = 'PENDING' AND NOT delegated)
 ORDER BY id FOR NO KEY UPDATE
"""
_SAY: Final = "UPDATE executions SET state_message = %(message)s WHERE id = ANY(%(executions)s)"
# In turns: the next task goes to the execution with the fewest jobs in flight, so that three tasks do not wait for the
# 100,000 of somebody else. Of a policy, only so many as there is room for beside what its executions have in flight; an
# inline policy is known by its execution.
_CLAIM: Final = (
    """
WITH open AS (
    SELECT id, create_time, COALESCE(NULLIF(policy, ''), id) AS policy, asked.allowed,
           listing_complete AND NOT EXISTS (SELECT FROM tasks
                                             WHERE execution_id = executions.id AND state IN ('PENDING', 'RUNNING')
                                               AND NOT after_copies) AS copied
      FROM executions JOIN unnest(%(executions)s::text[], %(allowed)s::int[]) AS asked (execution, allowed)
        ON id = asked.execution),
in_flight AS MATERIALIZED (
    SELECT e.id, COALESCE(NULLIF(e.policy, ''), e.id) AS policy, count(*) AS jobs
      FROM tasks JOIN executions AS e ON e.id = tasks.execution_id
     WHERE tasks.delegated AND tasks.state IN ('PENDING', 'RUNNING')
     GROUP BY e.id),
of_policies AS (SELECT policy, sum(jobs) AS jobs FROM in_flight GROUP BY policy),
waiting AS (
    SELECT next.id, open.policy, open.allowed, open.create_time, next.place,
           COALESCE(in_flight.jobs, 0) + next.place AS turn
      FROM open LEFT JOIN in_flight USING (id)
     CROSS JOIN LATERAL (SELECT id, row_number() OVER (ORDER BY sequence) AS place FROM tasks
                          WHERE execution_id = open.id AND state = 'PENDING' AND NOT delegated
                            AND (open.copied OR NOT after_copies)
                          ORDER BY sequence LIMIT %(limit)s) AS next),
ranked AS (
    SELECT waiting.*, COALESCE(of_policies.jobs, 0)
                      + row_number() OVER (PARTITION BY policy ORDER BY turn, create_time, place) AS jobs_with_it
      FROM waiting LEFT JOIN of_policies USING (policy))
UPDATE tasks SET delegated = true FROM executions AS e
 WHERE e.id = tasks.execution_id AND tasks.state = 'PENDING' AND NOT tasks.delegated
   AND tasks.id IN (SELECT id FROM ranked WHERE allowed IS NULL OR jobs_with_it <= allowed
                     ORDER BY turn, create_time, place LIMIT %(limit)s)
RETURNING """
    + JOB_COLUMNS
)
# The new job counts its revisions from the beginning.
_RESUBMIT: Final = (
    """
UPDATE tasks SET revision = 0
  FROM executions AS e, unnest(%(tasks)s::text[], %(runs)s::int[]) AS asked (task, run)
 WHERE e.id = tasks.execution_id AND e.state = 'RUNNING'
   AND tasks.id = asked.task AND tasks.run = asked.run AND tasks.delegated AND tasks.state IN ('PENDING', 'RUNNING')
RETURNING """
    + JOB_COLUMNS
)
_TO_STOP: Final = """
SELECT tasks.id, tasks.run
  FROM tasks JOIN executions AS e ON e.id = tasks.execution_id
 WHERE e.state = 'STOPPING' AND tasks.delegated AND tasks.state IN ('PENDING', 'RUNNING')
"""
# A job between two attempts is pending again; its task goes on running.
_FOLD: Final = (
    """
UPDATE tasks
   SET state = CASE WHEN news.state = 'PENDING' THEN tasks.state ELSE news.state END,
       revision = news.revision,
       attempt = news.attempt,
       failure = news.failure,
       results = news.results,
       start_time = COALESCE(tasks.start_time, news.start_time),
       end_time = news.end_time,
       ("""
    + PROGRESS_COLUMNS
    + """) = ROW (
       GREATEST(news.references_total, tasks.reference_count),
       news.references_copied, news.references_unchanged, news.references_skipped, news.references_deleted,
       news.references_failed,
       news.blobs_total, news.blobs_copied, news.blobs_mounted, news.blobs_present,
       news.bytes_total, news.bytes_copied, news.bytes_mounted, news.bytes_present)
  FROM jsonb_populate_recordset(NULL::tasks, %(news)s) AS news
 WHERE tasks.id = news.id AND tasks.run = news.run AND tasks.delegated
   AND tasks.revision < news.revision AND tasks.state IN ('PENDING', 'RUNNING')
RETURNING tasks.id, tasks.operation, tasks.end_time IS NOT NULL
"""
)


class PostgresDelegationStore:
    """Tasks as jobs."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def in_flight(self) -> list[JobKey]:
        return await self._keys(_IN_FLIGHT)

    async def to_stop(self) -> list[JobKey]:
        return await self._keys(_TO_STOP)

    async def claim_tasks(self, limit: int, now: datetime) -> list[Job]:
        async with self._pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_LOCK_OPEN)
            rows = await cursor.fetchall()
            allowed = {row["id"]: Limits.of_document(row["limits"]).allowed(now) for row in rows}
            await _say_who_waits(conn, {row["id"]: row["state_message"] for row in rows}, allowed)
            executions = [each for each, tasks in allowed.items() if tasks != 0]
            if not executions:
                return []
            parameters = {
                "executions": executions,
                "allowed": [allowed[each] for each in executions],
                "limit": limit,
            }
            await cursor.execute(_CLAIM, parameters)
            return [to_job(row) for row in await cursor.fetchall()]

    async def resubmit(self, keys: Sequence[JobKey]) -> list[Job]:
        tasks = [key.task for key in keys]
        async with self._pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
            await lock_executions_of(conn, tasks)
            await cursor.execute(_RESUBMIT, {"tasks": tasks, "runs": [key.run for key in keys]})
            return [to_job(row) for row in await cursor.fetchall()]

    async def fold(self, statuses: Sequence[JobStatus], now: datetime) -> None:
        async with self._pool.connection() as conn:
            executions = await lock_executions_of(conn, [status.key.task for status in statuses])
            cursor = await conn.execute(_FOLD, {"news": Jsonb([_document(status, now) for status in statuses])})
            over = [(task, Operation(operation)) for task, operation, ended in await cursor.fetchall() if ended]
            copies = [task for task, operation in over if operation is Operation.COPY]
            deletions = [task for task, operation in over if operation is Operation.DELETE]
            await remember(conn, now, copies=copies, deletions=deletions)
            await settle(conn, executions, now)

    async def _keys(self, statement: str) -> list[JobKey]:
        async with single(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(statement)
            return [to_key(row) for row in await cursor.fetchall()]


async def _say_who_waits(conn: Connection, said: Mapping[str, str], allowed: Mapping[str, int | None]) -> None:
    """Writes only what has changed, since this is asked every other second, and nothing over what is said already."""
    waits = [each for each, tasks in allowed.items() if tasks == 0 and not said[each]]
    goes_on = [each for each, tasks in allowed.items() if tasks != 0 and said[each] == OUTSIDE_OF_WINDOWS]
    for message, executions in ((OUTSIDE_OF_WINDOWS, waits), ("", goes_on)):
        if executions:
            await conn.execute(_SAY, {"message": message, "executions": executions})


def _document(status: JobStatus, now: datetime) -> dict[str, Any]:
    """The columns that a status changes, in JSON. Why an attempt failed that another one follows is not told."""
    failed = status.state is TaskState.FAILED
    return {
        "id": status.key.task,
        "run": status.key.run,
        "revision": status.revision,
        "state": status.state,
        "attempt": status.attempt,
        "failure": failure_document(status.failure) if failed else None,
        "results": result_documents(status.results) if status.state.is_final else None,
        "start_time": status.start_time.isoformat() if status.start_time else None,
        "end_time": (status.end_time or now).isoformat() if status.state.is_final else None,
        **asdict(status.progress),
    }
