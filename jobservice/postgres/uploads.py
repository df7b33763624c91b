"""Keeps the sessions of large uploads in PostgreSQL, so that another worker can go on after a crash."""

from __future__ import annotations

import asyncio
from typing import Final

import psycopg
import structlog

from service_kit.database import Pool

# Registries let sessions expire after a day to a week. One that is older is hardly worth the question.
LIFETIME_S: Final = 24 * 3600.0
PURGE_INTERVAL_S: Final = 3600.0

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_LOAD: Final = """
SELECT url, held_bytes
  FROM uploads
 WHERE registry_uid = %(registry)s AND repository = %(repository)s AND digest = %(digest)s
   AND saved_at > now() - make_interval(secs => %(lifetime)s)
"""

_SAVE: Final = """
INSERT INTO uploads (registry_uid, repository, digest, url, held_bytes)
VALUES (%(registry)s, %(repository)s, %(digest)s, %(url)s, %(offset)s)
ON CONFLICT (registry_uid, repository, digest) DO UPDATE
   SET url = excluded.url, held_bytes = excluded.held_bytes, saved_at = now()
"""

_DROP: Final = """
DELETE FROM uploads WHERE registry_uid = %(registry)s AND repository = %(repository)s AND digest = %(digest)s
"""

_PURGE: Final = "DELETE FROM uploads WHERE saved_at <= now() - make_interval(secs => %(lifetime)s)"


class PostgresUploads:
    """Implements the engine's Uploads. `run` forgets old sessions."""

    def __init__(self, pool: Pool, *, lifetime_s: float = LIFETIME_S) -> None:
        self._pool = pool
        self._lifetime_s = lifetime_s

    async def load(self, registry: str, repository: str, digest: str) -> tuple[str, int] | None:
        """Return the session's URL and the bytes that it held."""
        about = {"registry": registry, "repository": repository, "digest": digest, "lifetime": self._lifetime_s}
        try:
            async with self._pool.connection() as connection:
                found: tuple[str, int] | None = await (await connection.execute(_LOAD, about)).fetchone()
        except psycopg.OperationalError as error:
            log.warning("upload not loaded", error=str(error))
            return None
        return found

    async def save(self, registry: str, repository: str, digest: str, url: str, offset: int) -> None:
        """Keep the session in place of an earlier one."""
        about = {"registry": registry, "repository": repository, "digest": digest, "url": url, "offset": offset}
        try:
            async with self._pool.connection() as connection:
                await connection.execute(_SAVE, about)
        except psycopg.OperationalError as error:
            log.warning("upload not saved", error=str(error))

    async def drop(self, registry: str, repository: str, digest: str) -> None:
        """Forget the session."""
        about = {"registry": registry, "repository": repository, "digest": digest}
        try:
            async with self._pool.connection() as connection:
                await connection.execute(_DROP, about)
        except psycopg.OperationalError as error:
            log.warning("upload not dropped", error=str(error))

    async def purge(self) -> int:
        """Forget the sessions that are too old, and return how many there were."""
        async with self._pool.connection() as connection:
            return (await connection.execute(_PURGE, {"lifetime": self._lifetime_s})).rowcount

    async def run(self) -> None:
        """Purge, for ever."""
        while True:
            await self.purge()
            await asyncio.sleep(PURGE_INTERVAL_S)
