"""Keeps one stream to the jobservice open."""

import asyncio
from typing import Final

import psycopg
import structlog

from execution_svc.delegation.messages import JobStreams
from execution_svc.delegation.session import Session
from execution_svc.patience import waits_s
from execution_svc.signals import Changes
from execution_svc.store import DelegationStore
from service_kit.clock import Clock
from service_kit.errors import ServiceError

LONGEST_WAIT_S: Final = 5.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Delegator:
    """Opens a session after the other, with a pause that grows while none of them gets an answer."""

    def __init__(self, streams: JobStreams, store: DelegationStore, changes: Changes, clock: Clock) -> None:
        self._streams = streams
        self._store = store
        self._changes = changes
        self._clock = clock

    async def run(self) -> None:
        """Delegates until it is cancelled."""
        waits = waits_s(LONGEST_WAIT_S)
        while True:
            if await self._session():
                waits = waits_s(LONGEST_WAIT_S)
            await asyncio.sleep(next(waits))

    async def _session(self) -> bool:
        """One session; whether the jobservice said anything in it."""
        session: Session | None = None
        try:
            async with self._streams.open() as stream:
                session = Session(stream, self._store, self._changes, self._clock)
                await session.run()
        except (ServiceError, psycopg.OperationalError) as error:
            log.warning("delegation interrupted", error=str(error))
        return session is not None and session.healthy
