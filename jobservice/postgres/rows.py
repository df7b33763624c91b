"""Rows of `jobs` as values, and the notification that goes with a change of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import psycopg

from jobservice import codec
from jobservice.changes import CHANNEL, Change
from jobservice.domain import Job, JobSpec, JobState, JobStatus
from jobservice.transfer import newest_by_place

# The run time of a waiting job is news only when it waits for another attempt.
STATUS_COLUMNS: Final = """
jobs.key, jobs.revision, jobs.state, jobs.stop_requested, jobs.attempt, jobs.progress, jobs.failure,
jobs.start_time, jobs.end_time,
CASE WHEN jobs.state = 'pending' AND jobs.failed_attempts > 0 THEN jobs.run_after END AS next_attempt_time
"""
# What is kept of a job that has not ended is for its next attempt, and told to nobody.
RESULTS_COLUMN: Final = "CASE WHEN jobs.end_time IS NOT NULL THEN jobs.results ELSE '[]' END AS results"


def to_status(
    *, key: str, revision: int, state: str, stop_requested: bool, attempt: int, progress: dict[str, int],
    failure: Any, start_time: datetime | None, end_time: datetime | None, next_attempt_time: datetime | None,
    results: Any = (),
) -> JobStatus:  # fmt: skip
    return JobStatus(
        key=key,
        revision=revision,
        state=JobState(state),
        stop_requested=stop_requested,
        attempt=attempt,
        progress=progress,
        failure=codec.failure_from_json(failure),
        results=tuple(newest_by_place(codec.results_from_json(results)).values()),
        start_time=start_time,
        end_time=end_time,
        next_attempt_time=next_attempt_time,
    )


def to_job(*, key: str, fairness_group: str, work: Any, create_time: datetime, **status: Any) -> Job:
    spec = JobSpec(key=key, fairness_group=fairness_group, work=codec.work_from_json(work))
    return Job(spec=spec, status=to_status(key=key, **status), create_time=create_time)


# In the select list of a statement whose parameters have `told`: notifies once if there is any row, and gives no value.
TOLD: Final = "(SELECT NULL FROM pg_notify(%(channel)s, %(news)s::text) WHERE %(news)s::text IS NOT NULL)"


def told(keys: Collection[str], *, urgent: bool) -> dict[str, str | None]:
    """The parameters of TOLD."""
    news = Change(keys=frozenset(keys), urgent=urgent).to_payload() if keys else None
    return {"channel": CHANNEL, "news": news}


async def notify(connection: psycopg.AsyncConnection[Any], keys: Collection[str], *, urgent: bool) -> None:
    """Tells every process at commit; one notification a transaction, because each takes a lock of the whole server."""
    if keys:
        payload = Change(keys=frozenset(keys), urgent=urgent).to_payload()
        await connection.execute("SELECT pg_notify(%s, %s)", (CHANNEL, payload))
