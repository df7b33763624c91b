"""Event sources and the hashes of their secrets."""

from datetime import datetime, timedelta
from typing import Final

from psycopg.rows import class_row

from policy_svc.events.domain.errors import EventSourceAlreadyExists, EventSourceNotFound
from policy_svc.events.domain.event import EventSource
from service_kit.database import Pool, single, unique_violation

RECEIVED_STEP_S: Final = 1.0  # a busy registry must not wait for one row with each pull that it tells of

_REGISTRY_TAKEN: Final = "event_sources_pkey"

_INSERT: Final = """
INSERT INTO event_sources (registry, secret_hash, create_time)
VALUES (%(registry)s, %(secret_hash)s, %(create_time)s)
"""
_FIND: Final = """
SELECT registry, secret_hash, create_time, last_receive_time FROM event_sources WHERE registry = %(registry)s
"""
_PAGE: Final = """
SELECT registry, secret_hash, create_time, last_receive_time FROM event_sources
 WHERE registry > %(after)s ORDER BY registry LIMIT %(limit)s
"""
_DELETE: Final = "DELETE FROM event_sources WHERE registry = %(registry)s"
_RECEIVED: Final = """
UPDATE event_sources SET last_receive_time = %(now)s
 WHERE registry = %(registry)s AND (last_receive_time IS NULL OR last_receive_time <= %(before)s)
"""


class PostgresSourceStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, source: EventSource) -> None:
        row = {
            "registry": source.registry,
            "secret_hash": source.secret_hash,
            "create_time": source.create_time,
        }
        try:
            async with single(self._pool) as conn:
                await conn.execute(_INSERT, row)
        except Exception as error:
            if unique_violation(error) == _REGISTRY_TAKEN:
                raise EventSourceAlreadyExists(registry=source.registry) from error
            raise

    async def find(self, registry: str) -> EventSource | None:
        async with single(self._pool) as conn, conn.cursor(row_factory=class_row(EventSource)) as cursor:
            await cursor.execute(_FIND, {"registry": registry})
            return await cursor.fetchone()

    async def page(self, *, after: str, limit: int) -> list[EventSource]:
        async with single(self._pool) as conn, conn.cursor(row_factory=class_row(EventSource)) as cursor:
            await cursor.execute(_PAGE, {"after": after, "limit": limit})
            return await cursor.fetchall()

    async def delete(self, registry: str) -> None:
        async with single(self._pool) as conn:
            cursor = await conn.execute(_DELETE, {"registry": registry})
            if cursor.rowcount == 0:
                raise EventSourceNotFound(registry=registry)

    async def received(self, registry: str, now: datetime) -> None:
        before = now - timedelta(seconds=RECEIVED_STEP_S)
        async with single(self._pool) as conn:
            await conn.execute(_RECEIVED, {"registry": registry, "now": now, "before": before})
