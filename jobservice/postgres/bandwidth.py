"""Divides limits on bytes a second among the processes that move bytes under them just now."""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Final

import psycopg
import structlog

from jobservice.engine.throttle import Throttle
from service_kit.database import Pool

SHARE_INTERVAL_S: Final = 1.0  # how long a new process may add to the sum
LEASE_S: Final = 5.0  # the share of a process that was killed is given to the others after so long
IDLE_S: Final = 3.0  # a process that has moved nothing for so long gives its share away

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_SHARE: Final = """
WITH used AS (
    INSERT INTO bandwidth_users (name, owner, leased_until)
    SELECT name, %(owner)s, now() + make_interval(secs => %(lease)s) FROM unnest(%(names)s::text[]) AS given (name)
     ORDER BY name
    ON CONFLICT (name, owner) DO UPDATE SET leased_until = excluded.leased_until
    RETURNING name
)
SELECT used.name, 1 + (SELECT count(*) FROM bandwidth_users AS other
                        WHERE other.name = used.name AND other.owner <> %(owner)s AND other.leased_until > now())
  FROM used
"""

_LEAVE: Final = """
DELETE FROM bandwidth_users WHERE (owner = %(owner)s AND NOT name = ANY(%(names)s)) OR leased_until < now()
"""


@dataclass(slots=True)
class _Limit:
    bytes_per_second: int
    throttle: Throttle
    users: int = 1


class PostgresBandwidth:
    """Implements the engine's Bandwidth. `run` keeps the shares right; without it each process takes the whole."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._owner = uuid.uuid4().hex
        self._limits: dict[str, _Limit] = {}

    def throttle(self, name: str, bytes_per_second: int) -> Throttle | None:
        """Return the throttle of the limit with this name; a changed limit takes effect at once."""
        if not bytes_per_second:
            return None
        limit = self._limits.get(name)
        if limit is None:
            limit = self._limits[name] = _Limit(bytes_per_second, Throttle(bytes_per_second))
        elif limit.bytes_per_second != bytes_per_second:
            limit.bytes_per_second = bytes_per_second
            limit.throttle.set_rate(bytes_per_second / limit.users)
        return limit.throttle

    async def run(self) -> None:
        """Tell the others which limits are in use here, and take the share that is left, for ever."""
        while True:
            await asyncio.sleep(SHARE_INTERVAL_S)
            if self._limits:
                try:
                    await self.share()
                except psycopg.OperationalError as error:
                    log.warning("bandwidth not shared", error=str(error))

    async def share(self) -> None:
        """Do that once."""
        used_since = time.monotonic() - IDLE_S
        names = [name for name, limit in self._limits.items() if limit.throttle.used_at >= used_since]
        about = {"owner": self._owner, "names": names, "lease": LEASE_S}
        async with self._pool.connection() as connection:
            await connection.execute(_LEAVE, about)
            shares: list[tuple[str, int]] = await (await connection.execute(_SHARE, about)).fetchall()
        for name, users in shares:
            limit = self._limits[name]
            limit.users = users
            limit.throttle.set_rate(limit.bytes_per_second / users)
