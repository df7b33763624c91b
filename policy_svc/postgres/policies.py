"""Policies in PostgreSQL."""

from typing import Final

from psycopg.rows import kwargs_row

from policy_svc.domain.errors import PolicyAlreadyExists, PolicyNotFound
from policy_svc.domain.policy import Policy
from policy_svc.postgres.rows import parameters, to_policy
from service_kit.database import Pool, unique_violation

_ID_TAKEN: Final = "policies_id_key"

_INSERT: Final = """
INSERT INTO policies (uid, id, description, source_registry, destinations, filters, newest, registries, override,
                      backup_tag, disabled, trigger, options, deletion, overlap, max_parallel_tasks, windows, retention,
                      revision, create_time, update_time, fire_time, next_run_time)
VALUES (%(uid)s, %(id)s, %(description)s, %(source_registry)s, %(destinations)s, %(filters)s, %(newest)s,
        %(registries)s, %(override)s, %(backup_tag)s, %(disabled)s, %(trigger)s, %(options)s, %(deletion)s, %(overlap)s,
        %(max_parallel_tasks)s, %(windows)s, %(retention)s, %(revision)s, %(create_time)s, %(update_time)s,
        %(fire_time)s, %(next_run_time)s)
"""

# An id may look like the uid of another policy; the uid is the older right.
_GET: Final = """
SELECT uid, id, description, source_registry, destinations, filters, newest, override, backup_tag, disabled, trigger,
       options, deletion, overlap, max_parallel_tasks, windows, retention, revision, create_time, update_time,
       fire_time, next_run_time
  FROM policies WHERE uid = %(key)s OR id = %(key)s
 ORDER BY uid = %(key)s DESC LIMIT 1
"""

_PAGE: Final = """
SELECT uid, id, description, source_registry, destinations, filters, newest, override, backup_tag, disabled, trigger,
       options, deletion, overlap, max_parallel_tasks, windows, retention, revision, create_time, update_time,
       fire_time, next_run_time
  FROM policies WHERE id > %(after)s
 ORDER BY id LIMIT %(limit)s
"""

_PAGE_OF_REGISTRY: Final = """
SELECT uid, id, description, source_registry, destinations, filters, newest, override, backup_tag, disabled, trigger,
       options, deletion, overlap, max_parallel_tasks, windows, retention, revision, create_time, update_time,
       fire_time, next_run_time
  FROM policies WHERE id > %(after)s AND registries @> ARRAY[%(registry)s]
 ORDER BY id LIMIT %(limit)s
"""

# A schedule that stays as it is goes on from where it stands now, which may be after where it stood when the policy was
# read; a changed one takes its run away from whoever is about to start it.
_REPLACE: Final = """
UPDATE policies
   SET description = %(description)s, source_registry = %(source_registry)s, destinations = %(destinations)s,
       filters = %(filters)s, newest = %(newest)s, registries = %(registries)s, override = %(override)s,
       backup_tag = %(backup_tag)s, disabled = %(disabled)s, trigger = %(trigger)s, options = %(options)s,
       deletion = %(deletion)s, overlap = %(overlap)s, max_parallel_tasks = %(max_parallel_tasks)s,
       windows = %(windows)s, retention = %(retention)s, revision = %(revision)s, update_time = %(update_time)s,
       fire_time = CASE WHEN (trigger, disabled) = (%(trigger)s, %(disabled)s)
                        THEN fire_time ELSE %(fire_time)s END,
       next_run_time = CASE WHEN (trigger, disabled) = (%(trigger)s, %(disabled)s)
                            THEN next_run_time ELSE %(next_run_time)s END,
       lease_token = CASE WHEN (trigger, disabled) = (%(trigger)s, %(disabled)s) THEN lease_token END,
       leased_until = CASE WHEN (trigger, disabled) = (%(trigger)s, %(disabled)s) THEN leased_until END
 WHERE uid = %(uid)s AND revision = %(revision)s - 1
"""

_DELETE: Final = """
DELETE FROM policies
 WHERE uid = (SELECT uid FROM policies WHERE uid = %(key)s OR id = %(key)s ORDER BY uid = %(key)s DESC LIMIT 1)
"""


class PostgresPolicyStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, policy: Policy) -> None:
        try:
            async with self._pool.connection() as conn:
                await conn.execute(_INSERT, parameters(policy))
        except Exception as error:
            if unique_violation(error) == _ID_TAKEN:
                raise PolicyAlreadyExists(policy=policy.name) from error
            raise

    async def get(self, key: str) -> Policy:
        async with self._pool.connection() as conn, conn.cursor(row_factory=kwargs_row(to_policy)) as cursor:
            await cursor.execute(_GET, {"key": key})
            if (policy := await cursor.fetchone()) is None:
                raise PolicyNotFound(policy=f"policies/{key}")
            return policy

    async def page(self, *, after: str, limit: int, registry: str | None = None) -> list[Policy]:
        query = _PAGE if registry is None else _PAGE_OF_REGISTRY
        async with self._pool.connection() as conn, conn.cursor(row_factory=kwargs_row(to_policy)) as cursor:
            await cursor.execute(query, {"after": after, "limit": limit, "registry": registry})
            return await cursor.fetchall()

    async def replace(self, policy: Policy) -> bool:
        async with self._pool.connection() as conn:
            cursor = await conn.execute(_REPLACE, parameters(policy))
            return cursor.rowcount == 1

    async def delete(self, key: str) -> None:
        async with self._pool.connection() as conn:
            cursor = await conn.execute(_DELETE, {"key": key})
            if cursor.rowcount == 0:
                raise PolicyNotFound(policy=f"policies/{key}")
