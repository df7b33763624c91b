"""What a policy wrote, page by page of its source, for plans."""

from collections.abc import Sequence
from typing import Final

from psycopg.rows import dict_row

from execution_svc.domain.plan import Remembered
from execution_svc.domain.policy import Policy
from execution_svc.domain.written import TagPlace, WrittenTag
from execution_svc.postgres.others import other_policies
from service_kit.database import Pool, single

_PAGE: Final = """
SELECT destination_registry, destination_repository, tag, digest, source_repository, source_tag, missing_since
  FROM written_tags
 WHERE policy = %(policy)s AND source_registry = %(registry)s AND NOT deleted AND NOT found
   AND destination_registry = ANY(%(destinations)s)
   AND source_repository IN (SELECT DISTINCT source_repository FROM written_tags
                              WHERE policy = %(policy)s AND source_registry = %(registry)s AND NOT deleted
                                AND NOT found AND destination_registry = ANY(%(destinations)s)
                                AND source_repository > %(after)s
                              ORDER BY source_repository LIMIT %(repositories)s)
 ORDER BY source_repository, destination_registry, destination_repository, tag
"""


class PostgresWrittenPages:
    """Reads only, and without a lease: a plan belongs to no execution."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def written_by(self, policy: Policy, after: str, repositories: int) -> list[Remembered]:
        parameters = {
            "policy": policy.identity,
            "registry": policy.source_registry,
            "destinations": [each.registry for each in policy.destinations],
            "after": after,
            "repositories": repositories,
        }
        async with single(self._pool) as conn, conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_PAGE, parameters)
            rows = await cursor.fetchall()
        return [Remembered(missing_since=row.pop("missing_since"), written=WrittenTag(**row)) for row in rows]

    async def other_policies(self, policy: Policy, places: Sequence[TagPlace]) -> dict[TagPlace, str]:
        async with single(self._pool) as conn:
            return await other_policies(conn, policy, places)
