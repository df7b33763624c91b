"""Remembers in PostgreSQL which repositories hold which blobs, with a cache of what this process has seen itself."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import psycopg
import structlog

from service_kit.database import Pool, single

FLUSH_INTERVAL_S: Final = 0.5  # other workers learn of a blob that much later at the most
MAX_CACHED_DIGESTS: Final = 50_000  # about 15 MB
REPOSITORIES_OF_A_DIGEST: Final = 4  # candidates for a mount; more are never tried

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_FIND: Final = """
SELECT digest, (array_agg(repository ORDER BY (repository = %(repository)s) DESC, seen_at DESC))[1:%(most)s]
  FROM blob_locations
 WHERE registry_uid = %(registry)s AND digest = ANY(%(digests)s)
 GROUP BY digest
"""

_REMEMBER: Final = """
INSERT INTO blob_locations (registry_uid, digest, repository)
SELECT DISTINCT registry_uid, digest, repository
  FROM unnest(%(registries)s::text[], %(digests)s::text[], %(repositories)s::text[])
       AS seen (registry_uid, digest, repository)
 ORDER BY registry_uid, digest, repository
ON CONFLICT (registry_uid, digest, repository) DO UPDATE SET seen_at = now()
"""

_FORGET: Final = """
DELETE FROM blob_locations
 USING unnest(%(registries)s::text[], %(digests)s::text[], %(repositories)s::text[])
       AS gone (registry_uid, digest, repository)
 WHERE blob_locations.registry_uid = gone.registry_uid
   AND blob_locations.digest = gone.digest
   AND blob_locations.repository = gone.repository
"""

_Key = tuple[str, str]  # registry, digest
_Place = tuple[str, str, str]  # registry, digest, repository


class PostgresBlobLocations:
    """Implements the engine's BlobLocations. `run` writes behind; without it nothing reaches the database."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._seen: OrderedDict[_Key, list[str]] = OrderedDict()
        self._new: dict[_Place, bool] = {}  # whether the place holds the blob

    async def find(self, registry: str, repository: str, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return for each digest some repositories that hold it: `repository` first, if it does, then the newest."""
        found: dict[str, list[str]] = defaultdict(list)
        unsure = []
        for digest in digests:
            found[digest] = list(self._seen.get((registry, digest), ()))
            if repository not in found[digest]:
                unsure.append(digest)
        for digest, stored in (await self._load(registry, repository, unsure)).items():
            # What was forgotten a moment ago may still be stored.
            held = [place for place in stored if self._new.get((registry, digest, place), True)]
            found[digest] = list(dict.fromkeys([*held, *found[digest]]))
        return found

    def remember(self, registry: str, repository: str, digests: Collection[str]) -> None:
        """Note that the repository holds the blobs."""
        for digest in digests:
            known = self._seen.setdefault((registry, digest), [])
            self._seen.move_to_end((registry, digest))
            if repository not in known:
                known.insert(0, repository)
                del known[REPOSITORIES_OF_A_DIGEST:]
                self._new[registry, digest, repository] = True
        while len(self._seen) > MAX_CACHED_DIGESTS:
            self._seen.popitem(last=False)

    def forget(self, registry: str, repository: str, digests: Collection[str]) -> None:
        """Note that the repository does not hold the blobs after all."""
        for digest in digests:
            known = self._seen.get((registry, digest), [])
            if repository in known:
                known.remove(repository)
            self._new[registry, digest, repository] = False

    async def run(self) -> None:
        """Write behind, for ever. What cannot be written is tried again."""
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            try:
                await self.flush()
            except psycopg.OperationalError as error:
                log.warning("blob locations not written", error=str(error))

    async def flush(self) -> None:
        """Write what is new."""
        new, self._new = self._new, {}
        try:
            for statement, holds in ((_FORGET, False), (_REMEMBER, True)):
                places = [place for place, state in new.items() if state is holds]
                if places:
                    registries, digests, repositories = (list(column) for column in zip(*places, strict=True))
                    async with self._pool.connection() as connection:
                        await connection.execute(
                            statement, {"registries": registries, "digests": digests, "repositories": repositories}
                        )
        except BaseException:
            self._new = {**new, **self._new}
            raise

    async def _load(self, registry: str, repository: str, digests: Sequence[str]) -> Mapping[str, Sequence[str]]:
        if not digests:
            return {}
        async with single(self._pool) as connection:  # asked for each manifest
            cursor = await connection.execute(
                _FIND,
                {
                    "registry": registry,
                    "repository": repository,
                    "digests": digests,
                    "most": REPOSITORIES_OF_A_DIGEST,
                },
            )
            return dict(await cursor.fetchall())
