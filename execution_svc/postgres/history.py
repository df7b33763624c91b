"""What is asked of the written tags, in PostgreSQL."""
# ruff: noqa: S608  (statements are made of constants)

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from psycopg.rows import class_row

from execution_svc.domain.errors import LeaseLost
from execution_svc.domain.execution import FlowLease
from execution_svc.domain.policy import Policy
from execution_svc.domain.prune import RepositoryCount
from execution_svc.domain.written import Artifact, TagPlace, WrittenTag
from execution_svc.postgres.others import OTHERS_AT_PLACE, other_policies
from execution_svc.postgres.settling import Connection
from service_kit.database import Pool, single

# From what is at a place back to where its copies began; each step once, so that a circle ends. A copy is known by its
# digest, a deletion by there being nothing, and both only until something else was seen at the place: then somebody has
# taken it back to what we once brought.
_ORIGINS: Final = """
WITH RECURSIVE came AS (
    SELECT asked.place, w.deleted, w.source_registry, w.source_repository, w.source_tag, w.source_digest
      FROM unnest(%(repositories)s::text[], %(tags)s::text[], %(digests)s::text[]) WITH ORDINALITY
           AS asked (repository, tag, digest, place)
     CROSS JOIN LATERAL (
           SELECT * FROM written_tags
            WHERE destination_registry = %(registry)s AND destination_repository = asked.repository
              AND tag = asked.tag AND asked.tag <> '' AND deleted = %(deleted)s AND (deleted OR digest = asked.digest)
            UNION ALL
           SELECT * FROM written_tags
            WHERE destination_registry = %(registry)s AND destination_repository = asked.repository
              AND digest = asked.digest AND asked.tag = '' AND NOT deleted AND NOT %(deleted)s) AS w
     WHERE NOT w.found AND NOT w.changed
    UNION
    SELECT came.place, w.deleted, w.source_registry, w.source_repository, w.source_tag, w.source_digest
      FROM came JOIN written_tags AS w
        ON w.destination_registry = came.source_registry AND w.destination_repository = came.source_repository
       AND w.tag = came.source_tag AND w.deleted = came.deleted AND (w.deleted OR w.digest = came.source_digest)
     WHERE NOT w.found AND NOT w.changed)
SELECT place, array_agg(DISTINCT source_registry) FROM came GROUP BY place
"""
_UNDER_WAY: Final = """
SELECT EXISTS (
    SELECT FROM tasks JOIN unnest(%(repositories)s::text[], %(tags)s::text[]) AS asked (repository, tag)
                        ON tasks.destination_repository = asked.repository
     WHERE destination_registry = %(registry)s AND delegated AND state IN ('PENDING', 'RUNNING')
       AND execution_id <> %(execution)s
       AND (asked.tag = '' OR EXISTS (SELECT FROM unnest(tasks.tags, tasks.destination_tags) AS named (tag, there)
                                       WHERE COALESCE(NULLIF(named.there, ''), named.tag) = asked.tag)))
"""
_COLUMNS: Final = "destination_registry, destination_repository, tag, digest, source_repository, source_tag"
_WRITTEN_FROM: Final = (
    "SELECT "
    + _COLUMNS
    + """
  FROM written_tags
 WHERE policy = %(policy)s AND source_registry = %(registry)s AND source_repository = %(repository)s
   AND CASE WHEN %(tag)s = '' THEN source_digest = %(digest)s ELSE source_tag = %(tag)s END AND NOT deleted
 ORDER BY destination_registry, destination_repository, tag
"""
)

# Many tags may have become missing since the statistics were made; taken for few, each would be looked for by itself
# among all that were listed.
_JOIN_AS_A_WHOLE: Final = "SET LOCAL enable_nestloop = off"
_LOCK: Final = "SELECT FROM executions WHERE id = %(execution)s AND flow_token = %(token)s FOR NO KEY UPDATE"
_LISTED: Final = """
WITH listed AS MATERIALIZED (
    SELECT DISTINCT source_repository, named.tag FROM tasks, unnest(tags) AS named (tag)
     WHERE execution_id = %(execution)s AND operation = 'COPY')
"""
_FOUND_AGAIN: Final = (
    _LISTED
    + """
UPDATE written_tags AS w SET missing_since = NULL FROM listed
 WHERE w.policy = %(policy)s AND w.source_registry = %(registry)s AND w.missing_since IS NOT NULL
   AND listed.source_repository = w.source_repository AND listed.tag = w.source_tag
"""
)
_UNLISTED: Final = (
    _LISTED
    + """
SELECT DISTINCT w.source_repository FROM written_tags AS w
 WHERE w.policy = %(policy)s AND w.source_registry = %(registry)s AND NOT w.deleted
   AND (NOT w.found OR w.missing_since IS NULL)
   AND NOT EXISTS (SELECT FROM listed WHERE listed.source_repository = w.source_repository
                                        AND listed.tag = w.source_tag)
 ORDER BY w.source_repository
"""
)
_LOOKED_AT: Final = """
UPDATE written_tags AS w
   SET missing_since = CASE WHEN EXISTS (SELECT FROM unnest(%(there_repositories)s::text[], %(there_tags)s::text[])
                                                     AS there (repository, tag)
                                          WHERE there.repository = w.source_repository AND there.tag = w.source_tag)
                            THEN NULL ELSE COALESCE(w.missing_since, %(now)s) END
 WHERE w.policy = %(policy)s AND w.source_registry = %(registry)s AND NOT w.deleted
   AND w.source_repository = ANY(%(repositories)s)
"""
_MISSED: Final = """
UPDATE written_tags AS w SET missing_since = %(now)s
  FROM unnest(%(repositories)s::text[], %(tags)s::text[]) AS gone (repository, tag)
 WHERE w.policy = %(policy)s AND w.source_registry = %(registry)s AND NOT w.deleted AND w.missing_since IS NULL
   AND w.source_repository = gone.repository AND w.source_tag = gone.tag
"""
# What the execution brings to the same place from elsewhere stays: a repository of the source may have a new name.
_BROUGHT: Final = """
WITH brought AS MATERIALIZED (
    SELECT DISTINCT destination_registry, destination_repository, COALESCE(NULLIF(named.there, ''), named.tag) AS tag,
           true AS is_brought
      FROM tasks, unnest(tags, destination_tags) AS named (tag, there)
     WHERE execution_id = %(execution)s AND operation = 'COPY')
"""
_IS_DUE: Final = "(missing_since <= %(before)s AND is_brought IS NULL)"
_OF_POLICY: Final = """
  FROM written_tags AS w LEFT JOIN brought USING (destination_registry, destination_repository, tag)
 WHERE policy = %(policy)s AND source_registry = %(registry)s AND NOT deleted AND NOT found
   AND destination_registry = ANY(%(destinations)s)
"""
_COUNTS: Final = (
    _BROUGHT + "SELECT destination_registry AS registry, destination_repository AS repository, count(*) AS written, "
    "count(*) FILTER (WHERE CASE WHEN "
    + _IS_DUE
    + " THEN NOT EXISTS ("
    + OTHERS_AT_PLACE
    + ") END) AS due"
    + _OF_POLICY
    + """
 GROUP BY destination_registry, destination_repository
HAVING bool_or("""
    + _IS_DUE
    + """)
 ORDER BY destination_registry, destination_repository
"""
)
_DUE: Final = (
    _BROUGHT
    + "SELECT "
    + _COLUMNS
    + _OF_POLICY
    + " AND "
    + _IS_DUE
    + """
   AND (destination_registry, destination_repository, tag) > (%(after_registry)s, %(after_repository)s, %(after_tag)s)
 ORDER BY destination_registry, destination_repository, tag
 LIMIT %(limit)s
"""
)


class PostgresHistory:
    """The written tags. Whoever changes them, or decides by them, holds a lease."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def origins(self, registry: str, artifacts: Sequence[Artifact], *, deleted: bool) -> list[frozenset[str]]:
        parameters = {
            "registry": registry,
            "repositories": [each.repository for each in artifacts],
            "tags": [each.tag for each in artifacts],
            "digests": [each.digest for each in artifacts],
            "deleted": deleted,
        }
        async with single(self._pool) as conn:
            cursor = await conn.execute(_ORIGINS, parameters)
            found = {place: frozenset(registries) for place, registries in await cursor.fetchall()}
        return [found.get(place, frozenset()) for place in range(1, len(artifacts) + 1)]

    async def under_way(self, lease: FlowLease, artifacts: Sequence[Artifact]) -> bool:
        parameters = {
            "execution": lease.execution,
            "registry": lease.policy.source_registry,
            "repositories": [each.repository for each in artifacts],
            "tags": [each.tag for each in artifacts],
        }
        async with single(self._pool) as conn:
            cursor = await conn.execute(_UNDER_WAY, parameters)
            row = await cursor.fetchone()
        return bool(row and row[0])

    async def written_from(self, lease: FlowLease, artifact: Artifact) -> list[WrittenTag]:
        parameters = {**_of(lease), **asdict(artifact)}
        async with single(self._pool) as conn, conn.cursor(row_factory=class_row(WrittenTag)) as cursor:
            await cursor.execute(_WRITTEN_FROM, parameters)
            return await cursor.fetchall()

    async def unlisted(self, lease: FlowLease) -> list[str]:
        async with self._pool.connection() as conn:
            await _hold(conn, lease)
            await conn.execute(_JOIN_AS_A_WHOLE)
            await conn.execute(_FOUND_AGAIN, _of(lease))
            cursor = await conn.execute(_UNLISTED, _of(lease))
            return [repository for (repository,) in await cursor.fetchall()]

    async def looked_at(
        self, lease: FlowLease, repositories: Sequence[str], there: Sequence[Artifact], now: datetime
    ) -> None:
        parameters = {
            **_of(lease),
            "repositories": list(repositories),
            "there_repositories": [each.repository for each in there],
            "there_tags": [each.tag for each in there],
            "now": now,
        }
        async with self._pool.connection() as conn:
            await _hold(conn, lease)
            await conn.execute(_LOOKED_AT, parameters)

    async def missed(self, lease: FlowLease, gone: Sequence[Artifact], now: datetime) -> None:
        parameters = {
            **_of(lease),
            "repositories": [each.repository for each in gone],
            "tags": [each.tag for each in gone],
            "now": now,
        }
        async with self._pool.connection() as conn:
            await _hold(conn, lease)
            await conn.execute(_MISSED, parameters)

    async def other_policies(self, policy: Policy, places: Sequence[TagPlace]) -> dict[TagPlace, str]:
        async with single(self._pool) as conn:
            return await other_policies(conn, policy, places)

    async def count_due(self, lease: FlowLease, before: datetime) -> list[RepositoryCount]:
        async with self._pool.connection() as conn, conn.cursor(row_factory=class_row(RepositoryCount)) as cursor:
            await cursor.execute(_JOIN_AS_A_WHOLE)
            await cursor.execute(_COUNTS, {**_of(lease), "before": before})
            return await cursor.fetchall()

    async def due(self, lease: FlowLease, before: datetime, after: WrittenTag | None, limit: int) -> list[WrittenTag]:
        parameters = {
            **_of(lease),
            "before": before,
            "after_registry": after.destination_registry if after else "",
            "after_repository": after.destination_repository if after else "",
            "after_tag": after.tag if after else "",
            "limit": limit,
        }
        async with self._pool.connection() as conn, conn.cursor(row_factory=class_row(WrittenTag)) as cursor:
            await cursor.execute(_JOIN_AS_A_WHOLE)
            await cursor.execute(_DUE, parameters)
            return await cursor.fetchall()


async def _hold(conn: Connection, lease: FlowLease) -> None:
    cursor = await conn.execute(_LOCK, {"execution": lease.execution, "token": lease.token})
    if await cursor.fetchone() is None:
        raise LeaseLost


def _of(lease: FlowLease) -> dict[str, Any]:
    return {
        "execution": lease.execution,
        "policy": lease.policy.identity,
        "registry": lease.policy.source_registry,
        "destinations": [each.registry for each in lease.policy.destinations],
    }
