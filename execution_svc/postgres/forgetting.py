"""Forgets what policies wrote, in PostgreSQL, a bounded number of rows in a statement."""

from typing import Final

from service_kit.database import Pool, single

TAGS_PER_BATCH: Final = 20_000  # well below a second, where a statement may last thirty

# Leaps from one policy to the next along the index. Inline policies have no name, and cannot be gone.
_POLICIES: Final = """
WITH RECURSIVE names AS (
    (SELECT policy FROM written_tags WHERE policy > '' ORDER BY policy LIMIT 1)
    UNION ALL
    SELECT (SELECT policy FROM written_tags WHERE policy > names.policy ORDER BY policy LIMIT 1)
      FROM names WHERE names.policy IS NOT NULL)
SELECT policy FROM names WHERE policy IS NOT NULL
"""
# By their places in the table: joined by their names, they may be looked for one by one among all others.
_FORGET: Final = """
DELETE FROM written_tags
 WHERE ctid = ANY(ARRAY(SELECT ctid FROM written_tags WHERE policy = %(policy)s LIMIT %(limit)s))
"""


class PostgresWrittenTags:
    """The written tags of all policies."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def policies(self) -> list[str]:
        async with single(self._pool) as conn:
            return [policy for (policy,) in await (await conn.execute(_POLICIES)).fetchall()]

    async def forget(self, policy: str) -> bool:
        async with single(self._pool) as conn:
            cursor = await conn.execute(_FORGET, {"policy": policy, "limit": TAGS_PER_BATCH})
            return cursor.rowcount > 0
