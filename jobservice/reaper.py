"""Gives back what was lost: jobs of vanished workers, and jobs that the queue forgot. Deletes jobs of long ago."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from jobservice.queue import Queue
from jobservice.store import RunStore

LOST_AFTER_S: Final = 15.0  # five missed heartbeats
REAP_INTERVAL_S: Final = 5.0
MAX_LOST: Final = 5  # a job that kills its workers must not go round for ever
FORGET_BATCH: Final = 1000  # at each round: 200 a second, more than can end, and no long lock
FORGOTTEN_AFTER_S: Final = 30.0  # far more than an entry needs to appear in the queue

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Reaper:
    """Runs in every worker process; rows that another one reaps are skipped."""

    def __init__(self, store: RunStore, queue: Queue, *, retention_s: float, on_returned: Callable[[], None]) -> None:
        self._store = store
        self._queue = queue
        self._retention_s = retention_s
        self._on_returned = on_returned

    async def run(self) -> None:
        """Begins with a pause: after an outage of the database every worker has been silent, and none is lost."""
        await asyncio.sleep(LOST_AFTER_S)
        while True:
            await self.reap()
            await asyncio.sleep(REAP_INTERVAL_S)

    async def reap(self, *, silent_s: float = LOST_AFTER_S, forgotten_s: float = FORGOTTEN_AFTER_S) -> None:
        """One round."""
        reaped = await self._store.reap(silent_s=silent_s, max_lost=MAX_LOST)
        if reaped.returned or reaped.stopped or reaped.failed:
            log.warning(
                "workers lost", returned=len(reaped.returned), stopped=len(reaped.stopped), failed=len(reaped.failed)
            )
        waiting = await self._store.queued_for(forgotten_s)
        forgotten = frozenset(waiting) - await self._queue.holds(waiting) if waiting else frozenset()
        if forgotten:
            log.warning("jobs forgotten by the queue", jobs=len(forgotten))
            await self._store.unqueue(sorted(forgotten))
        await self._queue.sweep()
        await self._store.forget(ended_s=self._retention_s, limit=FORGET_BATCH)
        if reaped.returned or forgotten:
            self._on_returned()
