"""Jobs as their clients see them. Rows are locked in the order of their keys, so that batches never deadlock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg.rows import kwargs_row, scalar_row

from jobservice import codec
from jobservice.domain import Job, JobSpec, JobState, JobStatus, LogEntry, LogLine, Severity
from jobservice.errors import JobNotFound
from jobservice.postgres.rows import RESULTS_COLUMN, STATUS_COLUMNS, notify, to_job, to_status
from jobservice.store import Cursor
from service_kit.database import Pool, single

_INSERT: Final = """
INSERT INTO jobs (key, fairness_group, work)
SELECT key, fairness_group, work
  FROM unnest(%(keys)s::text[], %(groups)s::text[], %(works)s::jsonb[]) AS given (key, fairness_group, work)
 ORDER BY key
ON CONFLICT (key) DO NOTHING
"""

_SELECT_OTHERS: Final = """
SELECT jobs.key
  FROM unnest(%(keys)s::text[], %(groups)s::text[], %(works)s::jsonb[]) AS given (key, fairness_group, work)
  JOIN jobs USING (key)
 WHERE jobs.work <> given.work OR jobs.fairness_group <> given.fairness_group
"""

_SELECT_ONE: Final = f"""
SELECT jobs.fairness_group, jobs.work, jobs.create_time, {RESULTS_COLUMN}, {STATUS_COLUMNS}
  FROM jobs WHERE jobs.key = %(key)s
"""  # noqa: S608  (made of constants)

_SELECT_PAGE: Final = f"""
SELECT jobs.fairness_group, jobs.work, jobs.create_time, {STATUS_COLUMNS}
  FROM jobs
 WHERE (%(states)s::text[] = '{{}}' OR jobs.state = ANY(%(states)s))
   AND (%(time)s::timestamptz IS NULL OR (jobs.create_time, jobs.key) < (%(time)s, %(key)s))
 ORDER BY jobs.create_time DESC, jobs.key DESC
 LIMIT %(limit)s
"""  # noqa: S608  (made of constants)

_SELECT_NEWER: Final = f"""
SELECT {RESULTS_COLUMN}, {STATUS_COLUMNS}
  FROM unnest(%(keys)s::text[], %(revisions)s::bigint[]) AS known (key, revision)
  JOIN jobs ON jobs.key = known.key AND jobs.revision > known.revision
"""  # noqa: S608  (made of constants)

_STOP: Final = """
WITH stopped AS (
    SELECT key FROM jobs
     WHERE key = ANY(%(keys)s) AND state IN ('pending', 'running') AND NOT stop_requested
     ORDER BY key FOR UPDATE
)
UPDATE jobs
   SET stop_requested = true, revision = revision + 1,
       state = CASE state WHEN 'pending' THEN 'stopped' ELSE state END,
       end_time = CASE state WHEN 'pending' THEN now() END,
       queued_at = CASE state WHEN 'pending' THEN NULL ELSE queued_at END
  FROM stopped
 WHERE jobs.key = stopped.key
RETURNING jobs.key
"""

_SELECT_LOG: Final = """
SELECT sequence, write_time, severity, message, fields
  FROM job_logs WHERE job_key = %(key)s AND sequence > %(after)s ORDER BY sequence LIMIT %(limit)s
"""


class PostgresJobStore:
    """The JobStore of production."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def submit(self, specs: Sequence[JobSpec]) -> frozenset[str]:
        given = {
            "keys": [spec.key for spec in specs],
            "groups": [spec.fairness_group for spec in specs],
            "works": [codec.work_to_json(spec.work) for spec in specs],
        }
        async with self._pool.connection() as connection, connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(_INSERT, given)
            # A second statement, because only that sees what another submission has inserted meanwhile.
            await cursor.execute(_SELECT_OTHERS, given)
            return frozenset(await cursor.fetchall())

    async def get(self, key: str) -> Job:
        async with single(self._pool) as connection, connection.cursor(row_factory=kwargs_row(to_job)) as cursor:
            await cursor.execute(_SELECT_ONE, {"key": key})
            job = await cursor.fetchone()
        if job is None:
            raise JobNotFound(job=f"jobs/{key}")
        return job

    async def page(self, states: frozenset[JobState], *, limit: int, after: Cursor | None) -> list[Job]:
        time, key = after or (None, None)
        page = {"states": sorted(states), "limit": limit, "time": time, "key": key}
        async with single(self._pool) as connection, connection.cursor(row_factory=kwargs_row(to_job)) as cursor:
            await cursor.execute(_SELECT_PAGE, page)
            return await cursor.fetchall()

    async def existing(self, keys: Sequence[str]) -> frozenset[str]:
        async with single(self._pool) as connection, connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute("SELECT key FROM jobs WHERE key = ANY(%s)", (list(keys),))
            return frozenset(await cursor.fetchall())

    async def newer(self, known: Mapping[str, int]) -> list[JobStatus]:
        given = {"keys": list(known), "revisions": list(known.values())}
        async with (
            single(self._pool) as connection,
            connection.cursor(row_factory=kwargs_row(to_status)) as cursor,
        ):
            await cursor.execute(_SELECT_NEWER, given)
            return await cursor.fetchall()

    async def request_stop(self, keys: Sequence[str]) -> None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(_STOP, {"keys": list(keys)})
            await notify(connection, await cursor.fetchall(), urgent=True)

    async def read_log(self, key: str, *, after: int, limit: int) -> list[LogEntry]:
        async with single(self._pool) as connection, connection.cursor(row_factory=kwargs_row(_entry)) as cursor:
            await cursor.execute(_SELECT_LOG, {"key": key, "after": after, "limit": limit})
            return await cursor.fetchall()


def _entry(*, sequence: int, severity: str, **line: Any) -> LogEntry:
    return LogEntry(sequence=sequence, line=LogLine(severity=Severity(severity), **line))
