"""Use cases on jobs: get, list, stop, watch, read the log."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from jobservice.changes import Changes
from jobservice.domain import Job, JobState, JobStatus, LogEntry
from jobservice.store import Cursor, JobStore

POLL_S: Final = 2.0  # the table is read again so often, in case a notification was lost
COALESCE_S: Final = 0.1  # progress is told at most ten times a second, a change of state at once
LOG_BATCH: Final = 500


class Jobs:
    """Jobs for those who look after them one by one."""

    def __init__(self, store: JobStore, changes: Changes) -> None:
        self._store = store
        self._changes = changes

    async def get(self, key: str) -> Job:
        """Raises JobNotFound."""
        return await self._store.get(key)

    async def page(self, states: frozenset[JobState], *, limit: int, after: Cursor | None) -> list[Job]:
        return await self._store.page(states, limit=limit, after=after)

    async def stop(self, key: str) -> Job:
        """Raises JobNotFound."""
        await self._store.request_stop([key])
        return await self._store.get(key)

    async def watch(self, key: str) -> AsyncGenerator[JobStatus, None]:
        """The status now, then the newest one whenever it has changed, up to the final one. Raises JobNotFound."""
        with self._changes.subscribed({key}) as news:
            status = (await self._store.get(key)).status
            yield status
            while not status.state.is_final:
                await news.wait(POLL_S)
                await news.wait_urgent(COALESCE_S)
                news.take()
                for newer in await self._store.newer({key: status.revision}):
                    yield newer
                    status = newer

    async def read_log(self, key: str, *, after: int, follow: bool) -> AsyncGenerator[Sequence[LogEntry], None]:
        """The log in batches; with `follow`, until the job has ended. Raises JobNotFound."""
        with self._changes.subscribed({key}) as news:
            while True:
                news.take()
                # Read first: the lines of an ended job are all there.
                ended = (await self._store.get(key)).status.state.is_final
                while entries := await self._store.read_log(key, after=after, limit=LOG_BATCH):
                    yield entries
                    after = entries[-1].sequence
                if ended or not follow:
                    return
                await news.wait(POLL_S)
