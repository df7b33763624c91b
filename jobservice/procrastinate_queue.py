"""The queue on procrastinate. README.md says which of its gaps we fill, and where."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import procrastinate
import psycopg
from procrastinate import jobs as procrastinate_jobs
from procrastinate.types import JSONDict
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
_POOL_SIZE: Final = 4  # fetches and deletions of some milliseconds; its listener has a connection of its own

_ADD_TO_SEARCH_PATH: Final = "SELECT set_config('search_path', current_setting('search_path') || ',' || %s, true)"
_SELECT_HELD: Final = "SELECT args ->> 'key' FROM procrastinate_jobs WHERE args ->> 'key' = ANY(%s)"


class ProcrastinateQueue:
    """A Queue. Its entries are deleted once done: procrastinate gets slow with many."""

    def __init__(self, pool: Pool, *, slots: int) -> None:
        self._pool = pool
        self._slots = slots
        self._app = procrastinate.App(connector=procrastinate.PsycopgConnector())
        self._start: Start = _nothing_to_start
        self._task = self._app.task(name=_TASK, queue=_QUEUE)(self._run_entry)

    @classmethod
    @asynccontextmanager
    async def opened(cls, conninfo: str, *, slots: int) -> AsyncIterator[ProcrastinateQueue]:
        async with open_pool(conninfo, schema=SCHEMA, max_size=_POOL_SIZE) as pool:
            queue = cls(pool, slots=slots)
            async with queue._app.open_async(pool):
                yield queue

    async def enqueue(self, keys: Sequence[str], connection: psycopg.AsyncConnection[Any]) -> None:
        if keys:
            await connection.execute(_ADD_TO_SEARCH_PATH, (SCHEMA,))
            entries: list[JSONDict] = [{"key": key} for key in keys]
            await self._task.configure(connection=connection).batch_defer_async(*entries)

    async def run(self, start: Start) -> None:
        self._start = start
        await self._app.run_worker_async(
            queues=[_QUEUE],
            concurrency=self._slots,
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

    async def _run_entry(self, key: str) -> None:
        await self._start(key)


async def _nothing_to_start(key: str) -> None:
    raise RuntimeError(f"{key} came before the queue was run")
