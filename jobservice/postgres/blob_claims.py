"""Leases on blobs in PostgreSQL, so that a blob travels to a registry once at a time over all workers."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, LiteralString

import psycopg
import structlog

from service_kit.database import Pool

LEASE_S: Final = 20.0  # a worker that was killed holds others up for so long
RENEW_INTERVAL_S: Final = 5.0  # several are tried before a lease runs out
POLL_INTERVAL_S: Final = 0.25  # of those who wait; short beside the time that a large blob takes

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_CLAIM: Final = """
INSERT INTO blob_claims (registry_uid, digest, owner, leased_until)
VALUES (%(registry)s, %(digest)s, %(owner)s, now() + make_interval(secs => %(lease)s))
ON CONFLICT (registry_uid, digest) DO UPDATE
   SET owner = excluded.owner, leased_until = excluded.leased_until
 WHERE blob_claims.leased_until < now()
RETURNING true
"""

_RELEASE: Final = """
DELETE FROM blob_claims WHERE registry_uid = %(registry)s AND digest = %(digest)s AND owner = %(owner)s
"""

_RENEW: Final = "UPDATE blob_claims SET leased_until = now() + make_interval(secs => %(lease)s) WHERE owner = %(owner)s"


class PostgresBlobClaims:
    """Implements the engine's BlobClaims. `run` keeps the leases alive."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._owner = uuid.uuid4().hex
        self._held = 0

    @asynccontextmanager
    async def claim(self, registry: str, digest: str) -> AsyncIterator[bool]:
        """Wait until the blob is ours, and keep it; tells whether another worker was sending it in the meantime."""
        about = {"registry": registry, "digest": digest, "owner": self._owner, "lease": LEASE_S}
        waited = False
        while not await self._execute(_CLAIM, about):
            waited = True
            await asyncio.sleep(POLL_INTERVAL_S)
        self._held += 1
        try:
            yield waited
        finally:
            self._held -= 1
            await asyncio.shield(self._release(about))

    async def _release(self, about: dict[str, object]) -> None:
        try:
            await self._execute(_RELEASE, about)
        except psycopg.OperationalError as error:
            # It costs others the rest of the lease, no more.
            log.warning("claim not released", error=str(error))

    async def run(self) -> None:
        """Renew the leases, for ever."""
        while True:
            await asyncio.sleep(RENEW_INTERVAL_S)
            if self._held:
                try:
                    await self._execute(_RENEW, {"owner": self._owner, "lease": LEASE_S})
                except psycopg.OperationalError as error:
                    log.warning("claims not renewed", error=str(error))

    async def _execute(self, statement: LiteralString, about: dict[str, object]) -> bool:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, about)
            return cursor.rowcount > 0
