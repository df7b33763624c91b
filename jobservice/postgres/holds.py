"""Tells all workers, through PostgreSQL, which registries ask to be left alone, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg
import structlog

from service_kit.database import Pool

POLL_INTERVAL_S: Final = 1.0  # so long another worker may go on with its requests

log: structlog.stdlib.BoundLogger = structlog.get_logger()

# Each end is reckoned by the clock of the database, which all workers share.
_ANNOUNCE: Final = """
INSERT INTO registry_holds (registry_uid, held_until)
SELECT registry_uid, now() + make_interval(secs => seconds)
  FROM unnest(%(registries)s::text[], %(seconds)s::float8[]) AS asked (registry_uid, seconds)
 ORDER BY registry_uid
ON CONFLICT (registry_uid) DO UPDATE SET held_until = greatest(registry_holds.held_until, excluded.held_until)
"""

_READ: Final = """
SELECT registry_uid, extract(epoch FROM held_until - now())::float8 FROM registry_holds WHERE held_until > now()
"""

_FORGET: Final = "DELETE FROM registry_holds WHERE held_until <= now() - interval '1 hour'"


class PostgresHolds:
    """Carries holds between the processes; nothing does so without `run`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._new: dict[str, float] = {}
        self._told = asyncio.Event()

    def announce(self, registry: str, seconds: float) -> None:
        """Tell the other workers, within moments."""
        self._new[registry] = max(seconds, self._new.get(registry, 0.0))
        self._told.set()

    async def run(self, hold: Callable[[str, float], object]) -> None:
        """Tell and listen, for ever. `hold` gets each registry's uid and the seconds that are left."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_INTERVAL_S):
                    await self._told.wait()
            try:
                await self.exchange(hold)
            except psycopg.OperationalError as error:
                log.warning("holds not exchanged", error=str(error))
                await asyncio.sleep(POLL_INTERVAL_S)

    async def exchange(self, hold: Callable[[str, float], object]) -> None:
        """Do that once."""
        new, self._new = self._new, {}
        self._told.clear()
        try:
            async with self._pool.connection() as connection:
                if new:
                    await connection.execute(_ANNOUNCE, {"registries": list(new), "seconds": list(new.values())})
                    await connection.execute(_FORGET)
                held = await (await connection.execute(_READ)).fetchall()
        except BaseException:
            for registry, seconds in new.items():
                self.announce(registry, seconds)
            raise
        for registry, seconds in held:
            hold(registry, seconds)
