"""Gives up events that could not be delivered, forgets finished ones, and deletes sources whose registries are gone."""

import asyncio
from datetime import timedelta
from typing import Final, Protocol

import structlog

from policy_svc.events.store import Outbox
from service_kit.clock import Clock

INTERVAL_S: Final = 60.0
EXPIRES_AFTER: Final = timedelta(hours=24)  # a registry has changed so much since that a whole run is the better answer
KEPT_FOR: Final = timedelta(days=7)
KEPT: Final = 100_000  # some 50 MB
MAX_AT_ONCE: Final = 1000  # rows of a transaction, so that nobody waits for its locks

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Sources(Protocol):
    async def delete_orphaned_sources(self) -> None:
        """Deletes the sources of registries that are gone."""
        ...


class Housekeeping:
    def __init__(self, outbox: Outbox, sources: Sources, clock: Clock) -> None:
        self._outbox = outbox
        self._sources = sources
        self._clock = clock

    async def run(self) -> None:
        """Works until it is cancelled; a failure, as of the database, is logged and tried again later."""
        while True:
            try:
                await self.tidy()
            except Exception as error:
                log.exception("housekeeping of events failed", exc_info=error)
            await asyncio.sleep(INTERVAL_S)

    async def tidy(self) -> None:
        """Does all that there is to do now."""
        now = self._clock.now()
        while expired := await self._outbox.expire(received_before=now - EXPIRES_AFTER, now=now, limit=MAX_AT_ONCE):
            log.warning("events expired", events=expired)
        while await self._outbox.forget(received_before=now - KEPT_FOR, keep=KEPT, limit=MAX_AT_ONCE):
            pass
        await self._sources.delete_orphaned_sources()
