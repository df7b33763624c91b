"""The database of a stack while it runs: the embedded one, kept running."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import structlog

from transship.local.errors import PostgresFailed
from transship.local.postgres import EmbeddedPostgres
from transship.local.process import FIRST_DELAY_S, MAX_DELAY_S
from transship.local.state import StateDir

DATABASE: Final = "transship"
_WATCH_INTERVAL_S: Final = 0.5

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def embedded_postgres(state: StateDir) -> EmbeddedPostgres:
    return EmbeddedPostgres(state.postgres, state.run, log_file=state.log("postgres"))


class KeptPostgres:
    """The embedded PostgreSQL of a state directory, off the event loop.

    All calls go to one thread that lives as long as the server shall: the server ends with the thread that started it.
    """

    def __init__(self, state: StateDir, *, changed: Callable[[], None]) -> None:
        self._postgres = embedded_postgres(state)
        self._changed = changed
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="postgres")

    @property
    def pid(self) -> int | None:
        return self._postgres.pid

    @property
    def url(self) -> str:
        return self._postgres.url(DATABASE)

    async def start(self) -> None:
        await self._call(self._postgres.start)
        await self._call(lambda: self._postgres.create_database(DATABASE))
        self._changed()

    async def stop(self) -> None:
        await self._call(self._postgres.stop)
        await asyncio.to_thread(self._thread.shutdown)

    async def keep(self) -> None:
        """Starts the server again whenever it has ended, until cancelled."""
        delay_s = FIRST_DELAY_S
        while True:
            await asyncio.sleep(_WATCH_INTERVAL_S)
            if self.pid is not None:
                delay_s = FIRST_DELAY_S
                continue
            log.warning("PostgreSQL ended", restart_in_s=delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, MAX_DELAY_S)
            try:
                await self.start()
            except PostgresFailed as error:
                log.exception("PostgreSQL did not start", error=str(error))

    async def _call(self, what: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, what)
