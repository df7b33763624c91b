"""The queue on procrastinate. README.md says which of its gaps we fill, and where."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import procrastinate
import psycopg
from procrastinate import jobs as procrastinate_jobs
from procrastinate.types import JSONDict
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.rows import scalar_row

from jobservice.queue import Start
from service_kit.database import Pool, open_pool

SCHEMA: Final = "procrastinate"  # its tables live in a schema of their own, made by our migration 0002

_TASK: Final = "run_job"
_QUEUE: Final = "jobs"
_POLL_S: Final = 1.0  # it notifies of new entries; the poll is for a lost notification
_HEARTBEAT_S: Final = 5.0
_DEAD_AFTER_S: Final = 30.0  # its own workers; our jobs have heartbeats of their own
_LET_GO_S: Final = 0.5  # when its worker ends, our runs need not have: they do not depend on it
_MOST_KEYS: Final = 16  # of one entry; what a process has no room for goes back
_POOL_SIZE: Final = 4  # fetches and deletions of some milliseconds; its listener has a connection of its own

_ADD_TO_SEARCH_PATH: Final = "SELECT set_config('search_path', current_setting('search_path') || ',' || %s, true)"
_COUNT_WORKERS: Final = "SELECT count(*) FROM procrastinate_workers"
_SELECT_HELD: Final = """
SELECT key FROM procrastinate_jobs, jsonb_array_elements_text(args -> 'keys') AS key WHERE key = ANY(%s)
"""


class ProcrastinateQueue:
    """A Queue. Its entries are deleted once done: procrastinate gets slow with many."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector())
        self._start: Start = _nothing_to_start
        self._task = self._app.task(name=_TASK, queue=_QUEUE)(self._run_entry)

    @classmethod
    @asynccontextmanager
    async def opened(cls, conninfo: str) -> AsyncIterator[ProcrastinateQueue]:
        async with open_pool(_not_waiting_for_the_disk(conninfo), schema=SCHEMA, max_size=_POOL_SIZE) as pool:
            queue = cls(pool)
            async with queue._app.open_async(pool):
                yield queue

    async def enqueue(self, keys: Sequence[str], connection: psycopg.AsyncConnection[Any]) -> None:
        if keys:
            await connection.execute(_ADD_TO_SEARCH_PATH, (SCHEMA,))
            size = _portion(len(keys), await _count_workers(connection))
            entries: list[JSONDict] = [
                {"keys": list(keys[start : start + size])} for start in range(0, len(keys), size)
            ]
            await self._task.configure(connection=connection).batch_defer_async(*entries)

    async def run(self, start: Start) -> None:
        self._start = start
        await self._app.run_worker_async(
            queues=[_QUEUE],
            concurrency=1,
            fetch_job_polling_interval=_POLL_S,
            shutdown_graceful_timeout=_LET_GO_S,
            delete_jobs=procrastinate_jobs.DeleteJobCondition.ALWAYS,
            install_signal_handlers=False,
            update_heartbeat_interval=_HEARTBEAT_S,
            stalled_worker_timeout=_DEAD_AFTER_S,
        )

    async def holds(self, keys: Sequence[str]) -> frozenset[str]:
        async with self._pool.connection() as connection, connection.cursor(row_factory=scalar_row) as cursor:
            await cursor.execute(_SELECT_HELD, (list(keys),))
            return frozenset(await cursor.fetchall())

    async def sweep(self) -> int:
        """Entries are deleted, not repeated: which job is to run again is for our own table to say."""
        stalled = [
            job.id for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=_DEAD_AFTER_S)
        ]
        for entry in stalled:
            if entry is not None:
                await self._app.job_manager.finish_job_by_id_async(
                    entry, status=procrastinate_jobs.Status.ABORTED, delete_job=True
                )
        return len(stalled)

    async def _run_entry(self, keys: list[str]) -> None:
        await self._start(keys)


def _not_waiting_for_the_disk(conninfo: str) -> str:
    """What a crash of the database takes back is only that an entry was taken or done; its jobs are claimed once."""
    options = conninfo_to_dict(conninfo).get("options") or ""
    return make_conninfo(conninfo, options=f"{options} -c synchronous_commit=off".strip())


def _portion(keys: int, workers: int) -> int:
    """How many keys make an entry: each costs the same few statements, but no worker must stand idle."""
    return min(_MOST_KEYS, math.ceil(keys / max(1, workers)))


async def _count_workers(connection: psycopg.AsyncConnection[Any]) -> int:
    row = await (await connection.execute(_COUNT_WORKERS)).fetchone()
    assert row is not None
    return int(row[0])


async def _nothing_to_start(keys: Sequence[str]) -> None:
    raise RuntimeError(f"{', '.join(keys)} came before the queue was run")
