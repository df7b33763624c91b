"""Jobs as the workers see them. Each write names its attempt and finds nothing when a later one has begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg.rows import kwargs_row, scalar_row

from jobservice import codec
from jobservice.domain import JobState, LogLine
from jobservice.postgres.rows import notify
from jobservice.store import Beat, Claim, Finish, Reaped
from jobservice.transfer import Failure
from service_kit.database import Pool

_WORKER_LOST: Final = Failure(
    reason="WORKER_LOST", message="The worker was lost, and so were those before it. See the log of the job service."
)

_CLAIM: Final = """
UPDATE jobs
   SET state = 'running', attempt = attempt + 1, revision = revision + 1, progress = '{}',
       worker = %(worker)s, heartbeat_at = now(), start_time = coalesce(start_time, now())
 WHERE key = %(key)s AND state = 'pending' AND queued_at IS NOT NULL
RETURNING key, fairness_group, attempt, work, failed_attempts
"""

_BEAT: Final = """
WITH given AS (
    SELECT * FROM unnest(%(keys)s::text[], %(attempts)s::integer[], %(progress)s::jsonb[], %(lines)s::bigint[])
        AS given (key, attempt, progress, lines)
), held AS (
    SELECT jobs.key FROM jobs JOIN given ON given.key = jobs.key AND given.attempt = jobs.attempt
     WHERE jobs.state = 'running' ORDER BY jobs.key FOR UPDATE OF jobs
)
UPDATE jobs
   SET heartbeat_at = now(), log_length = log_length + given.lines,
       progress = coalesce(given.progress, jobs.progress),
       revision = revision + (given.progress IS NOT NULL)::integer
  FROM given JOIN held USING (key)
 WHERE jobs.key = given.key
RETURNING jobs.key, jobs.stop_requested, jobs.log_length
"""

_INSERT_LINES: Final = """
INSERT INTO job_logs (job_key, sequence, write_time, severity, message, fields)
SELECT * FROM unnest(%(keys)s::text[], %(sequences)s::bigint[], %(times)s::timestamptz[], %(severities)s::text[],
                     %(messages)s::text[], %(fields)s::jsonb[])
"""

_FINISH: Final = """
WITH held AS (
    SELECT key, CASE WHEN %(state)s = 'pending' AND stop_requested THEN 'stopped' ELSE %(state)s END AS next
      FROM jobs WHERE key = %(key)s AND attempt = %(attempt)s AND state = 'running' FOR UPDATE
)
UPDATE jobs
   SET state = held.next, revision = revision + 1,
       failure = coalesce(%(failure)s::jsonb, CASE held.next WHEN 'pending' THEN failure END),
       results = %(results)s, failed_attempts = failed_attempts + %(counts_as_failure)s::integer,
       worker = NULL, heartbeat_at = NULL, queued_at = NULL, run_after = now() + make_interval(secs => %(delay_s)s),
       end_time = CASE WHEN held.next <> 'pending' THEN now() END
  FROM held
 WHERE jobs.key = held.key
RETURNING jobs.key
"""

_REAP: Final = """
WITH lost AS (
    SELECT key, CASE WHEN stop_requested THEN 'stopped' WHEN lost_attempts + 1 >= %(max_lost)s THEN 'failed'
                     ELSE 'pending' END AS next
      FROM jobs
     WHERE state = 'running' AND heartbeat_at <= now() - make_interval(secs => %(silent_s)s)
     ORDER BY key FOR UPDATE SKIP LOCKED
)
UPDATE jobs
   SET state = lost.next, revision = revision + 1, lost_attempts = lost_attempts + 1,
       failure = CASE lost.next
           WHEN 'failed' THEN jsonb_set(%(failure)s, '{metadata,attempt}', to_jsonb(attempt::text)) ELSE failure END,
       worker = NULL, heartbeat_at = NULL, queued_at = NULL, run_after = now(),
       end_time = CASE WHEN lost.next <> 'pending' THEN now() END
  FROM lost
 WHERE jobs.key = lost.key
RETURNING jobs.key, jobs.state
"""

_FORGET: Final = """
DELETE FROM jobs WHERE key IN (
    SELECT key FROM jobs WHERE end_time <= now() - make_interval(secs => %(ended_s)s)
     ORDER BY end_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
"""

_SELECT_QUEUED: Final = """
SELECT key FROM jobs
 WHERE state = 'pending' AND queued_at <= now() - make_interval(secs => %(seconds)s)
"""

_UNQUEUE: Final = """
WITH unclaimed AS (
    SELECT key FROM jobs
     WHERE key = ANY(%(keys)s) AND state = 'pending' AND queued_at IS NOT NULL ORDER BY key FOR UPDATE
)
UPDATE jobs SET queued_at = NULL FROM unclaimed WHERE jobs.key = unclaimed.key
"""


class PostgresRunStore:
    """The RunStore of production."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(self, key: str, *, worker: str) -> Claim | None:
        async with self._pool.connection() as connection, connection.cursor(row_factory=kwargs_row(_claim)) as cursor:
            await cursor.execute(_CLAIM, {"key": key, "worker": worker})
            claim = await cursor.fetchone()
            await notify(connection, [] if claim is None else [key], urgent=True)
            return claim

    async def beat(self, beats: Sequence[Beat]) -> Mapping[str, bool]:
        async with self._pool.connection() as connection:
            held = await _write_beats(connection, beats)
            news = [beat.key for beat in beats if beat.key in held and (beat.progress is not None or beat.lines)]
            await notify(connection, news, urgent=False)
            return held

    async def finish(self, beat: Beat, finish: Finish) -> bool:
        async with self._pool.connection() as connection, connection.cursor(row_factory=scalar_row) as cursor:
            if not await _write_beats(connection, [beat]):
                return False
            await cursor.execute(
                _FINISH,
                {
                    "key": beat.key,
                    "attempt": beat.attempt,
                    "state": finish.state,
                    "failure": codec.failure_to_json(finish.failure),
                    "results": codec.results_to_json(finish.results),
                    "counts_as_failure": finish.counts_as_failure,
                    "delay_s": finish.delay_s,
                },
            )
            await notify(connection, [beat.key], urgent=True)
            return True

    async def reap(self, *, silent_s: float, max_lost: int) -> Reaped:
        limits = {"silent_s": silent_s, "max_lost": max_lost, "failure": codec.failure_to_json(_WORKER_LOST)}
        async with self._pool.connection() as connection:
            cursor = await connection.execute(_REAP, limits)
            reaped: list[tuple[str, str]] = await cursor.fetchall()
            await notify(connection, [key for key, _ in reaped], urgent=True)
        return Reaped(
            returned=_in_state(reaped, JobState.PENDING),
            stopped=_in_state(reaped, JobState.STOPPED),
            failed=_in_state(reaped, JobState.FAILED),
        )

    async def forget(self, *, ended_s: float, limit: int) -> int:
        async with self._pool.connection() as connection:
            return (await connection.execute(_FORGET, {"ended_s": ended_s, "limit": limit})).rowcount

    async def queued_for(self, seconds: float) -> list[str]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(_SELECT_QUEUED, {"seconds": seconds})
            return await cursor.fetchall()

    async def unqueue(self, keys: Sequence[str]) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(_UNQUEUE, {"keys": list(keys)})


async def _write_beats(connection: psycopg.AsyncConnection[Any], beats: Sequence[Beat]) -> dict[str, bool]:
    """Writes heartbeats, progress and lines of the runs that are still held, and says of each if it is to stop."""
    given = {
        "keys": [beat.key for beat in beats],
        "attempts": [beat.attempt for beat in beats],
        "progress": [None if beat.progress is None else codec.mapping_to_json(beat.progress) for beat in beats],
        "lines": [len(beat.lines) for beat in beats],
    }
    cursor = await connection.execute(_BEAT, given)
    rows: list[tuple[str, bool, int]] = await cursor.fetchall()
    lines = {beat.key: beat.lines for beat in beats}
    await _insert_lines(
        connection,
        [
            (key, log_length - len(lines[key]) + place, line)
            for key, _, log_length in rows
            for place, line in enumerate(lines[key], start=1)
        ],
    )
    return {key: stop_requested for key, stop_requested, _ in rows}


async def _insert_lines(connection: psycopg.AsyncConnection[Any], lines: Sequence[tuple[str, int, LogLine]]) -> None:
    if not lines:
        return
    await connection.execute(
        _INSERT_LINES,
        {
            "keys": [key for key, _, _ in lines],
            "sequences": [sequence for _, sequence, _ in lines],
            "times": [line.write_time for _, _, line in lines],
            "severities": [line.severity for _, _, line in lines],
            "messages": [codec.storable(line.message) for _, _, line in lines],
            "fields": [codec.mapping_to_json(line.fields) for _, _, line in lines],
        },
    )


def _claim(*, work: Any, **same: Any) -> Claim:
    return Claim(work=codec.work_from_json(work), **same)


def _in_state(reaped: Sequence[tuple[str, str]], state: JobState) -> tuple[str, ...]:
    return tuple(key for key, found in reaped if found == state)
