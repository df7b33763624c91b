"""Jobs as the workers see them. Each write names its attempt and finds nothing when a later one has begun.

What the workers do all the time is one statement each, with the lines of the log and the notification in it.
"""
# ruff: noqa: S608  (statements are made of constants)

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from psycopg.rows import scalar_row
from psycopg.types.json import Jsonb

from jobservice import codec
from jobservice.domain import JobState
from jobservice.postgres.rows import TOLD, notify, told
from jobservice.store import Beat, Claim, End, Reaped
from jobservice.transfer import Failure, ReferenceResult
from service_kit.database import Pool, single

_WORKER_LOST: Final = Failure(
    reason="WORKER_LOST", message="The worker was lost, and so were those before it. See the log of the job service."
)

_CLAIM: Final = f"""
WITH queued AS (
    SELECT key FROM jobs WHERE key = ANY(%(keys)s) AND state = 'pending' AND queued_at IS NOT NULL
     ORDER BY key FOR UPDATE
), claimed AS (
    UPDATE jobs
       SET state = 'running', attempt = attempt + 1, revision = revision + 1,
           worker = %(worker)s, heartbeat_at = now(), start_time = coalesce(start_time, now())
      FROM queued WHERE jobs.key = queued.key
    RETURNING jobs.key, fairness_group, attempt, work, failed_attempts, progress, results
)
SELECT key, fairness_group, attempt, work, failed_attempts, progress, results, {TOLD} FROM claimed
"""

_BEATS: Final = """
WITH given AS (
    SELECT * FROM unnest(%(keys)s::text[], %(attempts)s::integer[], %(progress)s::jsonb[], %(kept)s::jsonb[],
                         %(lines)s::bigint[])
        AS given (key, attempt, progress, kept, lines)
), held AS (
    SELECT jobs.key FROM jobs JOIN given ON given.key = jobs.key AND given.attempt = jobs.attempt
     WHERE jobs.state = 'running' ORDER BY jobs.key FOR UPDATE OF jobs
)"""

# `before_last` counts the lines of the same job that follow.
_WRITTEN_LINES: Final = """
INSERT INTO job_logs (job_key, sequence, write_time, severity, message, fields)
SELECT line.key, written.log_length - before_last, write_time, severity, message, fields
  FROM unnest(%(line_keys)s::text[], %(line_places)s::bigint[], %(line_times)s::timestamptz[],
              %(line_severities)s::text[], %(line_messages)s::text[], %(line_fields)s::jsonb[])
       AS line (key, before_last, write_time, severity, message, fields)
  JOIN written ON written.key = line.key
"""

_BEAT: Final = f"""
{_BEATS}, written AS (
    UPDATE jobs
       SET heartbeat_at = now(), log_length = log_length + given.lines,
           progress = coalesce(given.progress, jobs.progress),
           results = coalesce(jobs.results || given.kept, jobs.results),
           revision = revision + (given.progress IS NOT NULL)::integer
      FROM given JOIN held USING (key)
     WHERE jobs.key = given.key
    RETURNING jobs.key, jobs.stop_requested, jobs.log_length
), lines AS ({_WRITTEN_LINES})
SELECT key, stop_requested, {TOLD} FROM written
"""

_FINISH: Final = f"""
{_BEATS}, ends AS (
    SELECT * FROM unnest(%(keys)s::text[], %(states)s::text[], %(failures)s::jsonb[], %(results)s::jsonb[],
                         %(failed_attempts)s::integer[], %(delays)s::float8[])
        AS finish (key, state, failure, results, failed_attempts, delay_s)
), next AS (
    SELECT ends.*, CASE WHEN ends.state = 'pending' AND stop_requested THEN 'stopped' ELSE ends.state END AS next
      FROM ends JOIN held USING (key) JOIN jobs USING (key)
), written AS (
    UPDATE jobs
       SET state = next.next, revision = revision + 1, log_length = log_length + given.lines,
           progress = coalesce(given.progress, jobs.progress),
           failure = coalesce(next.failure, CASE next.next WHEN 'pending' THEN jobs.failure END),
           results = coalesce(next.results, jobs.results || given.kept, jobs.results),
           failed_attempts = jobs.failed_attempts + next.failed_attempts,
           worker = NULL, heartbeat_at = NULL, queued_at = NULL,
           run_after = now() + make_interval(secs => next.delay_s),
           end_time = CASE WHEN next.next <> 'pending' THEN now() END
      FROM next JOIN given USING (key)
     WHERE jobs.key = next.key
    RETURNING jobs.key, jobs.log_length
), lines AS ({_WRITTEN_LINES})
SELECT key, {TOLD} FROM written
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

    async def claim(self, keys: Sequence[str], *, worker: str) -> list[Claim]:
        asked = {"keys": list(keys), "worker": worker, **told(keys, urgent=True)}
        async with single(self._pool) as connection:
            cursor = await connection.execute(_CLAIM, asked)
            return [_claim(*row) for row in await cursor.fetchall()]

    async def beat(self, beats: Sequence[Beat]) -> Mapping[str, bool]:
        news = [beat.key for beat in beats if beat.progress is not None or beat.lines]
        async with single(self._pool) as connection:
            cursor = await connection.execute(_BEAT, {**_of_beats(beats), **told(news, urgent=False)})
            return {key: stop_requested for key, stop_requested, _ in await cursor.fetchall()}

    async def finish(self, ends: Sequence[End]) -> frozenset[str]:
        beats, finishes = [end.beat for end in ends], [end.finish for end in ends]
        given = {
            **_of_beats(beats),
            "states": [finish.state for finish in finishes],
            "failures": [codec.failure_to_json(finish.failure) for finish in finishes],
            "results": [_results(finish.results) for finish in finishes],
            "failed_attempts": [int(finish.counts_as_failure) for finish in finishes],
            "delays": [finish.delay_s for finish in finishes],
            **told([beat.key for beat in beats], urgent=True),
        }
        async with single(self._pool) as connection:
            cursor = await connection.execute(_FINISH, given)
            return frozenset(key for key, _ in await cursor.fetchall())

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
        async with single(self._pool) as connection:
            return (await connection.execute(_FORGET, {"ended_s": ended_s, "limit": limit})).rowcount

    async def queued_for(self, seconds: float) -> list[str]:
        async with single(self._pool) as connection, connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(_SELECT_QUEUED, {"seconds": seconds})
            return await cursor.fetchall()

    async def unqueue(self, keys: Sequence[str]) -> None:
        async with single(self._pool) as connection:
            await connection.execute(_UNQUEUE, {"keys": list(keys)})


def _of_beats(beats: Sequence[Beat]) -> dict[str, Any]:
    lines = [
        (beat.key, len(beat.lines) - place, line) for beat in beats for place, line in enumerate(beat.lines, start=1)
    ]
    return {
        "keys": [beat.key for beat in beats],
        "attempts": [beat.attempt for beat in beats],
        "progress": [None if beat.progress is None else codec.mapping_to_json(beat.progress) for beat in beats],
        "kept": [_results(beat.results) for beat in beats],
        "lines": [len(beat.lines) for beat in beats],
        "line_keys": [key for key, _, _ in lines],
        "line_places": [before_last for _, before_last, _ in lines],
        "line_times": [line.write_time for _, _, line in lines],
        "line_severities": [line.severity for _, _, line in lines],
        "line_messages": [codec.storable(line.message) for _, _, line in lines],
        "line_fields": [codec.mapping_to_json(line.fields) for _, _, line in lines],
    }


def _results(results: tuple[ReferenceResult, ...]) -> Jsonb | None:
    return codec.results_to_json(results) if results else None


def _claim(
    key: str, group: str, attempt: int, work: Any, failed_attempts: int, progress: Any, results: Any, _told: None
) -> Claim:
    return Claim(
        key=key,
        fairness_group=group,
        attempt=attempt,
        work=codec.work_from_json(work),
        failed_attempts=failed_attempts,
        progress=progress,
        results=codec.results_from_json(results),
    )


def _in_state(reaped: Sequence[tuple[str, str]], state: JobState) -> tuple[str, ...]:
    return tuple(key for key, found in reaped if found == state)
