"""Policies in PostgreSQL."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from psycopg.rows import kwargs_row
from psycopg.types.json import Jsonb

from policy_svc.domain.errors import PolicyAlreadyExists, PolicyNotFound
from policy_svc.domain.policy import Destination, Policy, PolicySpec, TransferOptions
from replication.filters import Action, Dimension, FilterRule
from replication.matchers import MATCHERS
from service_kit.database import Pool, unique_violation

_ID_TAKEN: Final = "policies_id_key"

_INSERT: Final = """
INSERT INTO policies (uid, id, description, source_registry, destinations, filters, registries,
                      override, disabled, options, revision, create_time, update_time)
VALUES (%(uid)s, %(id)s, %(description)s, %(source_registry)s, %(destinations)s, %(filters)s, %(registries)s,
        %(override)s, %(disabled)s, %(options)s, %(revision)s, %(create_time)s, %(update_time)s)
"""

# An id may look like the uid of another policy; the uid is the older right.
_GET: Final = """
SELECT uid, id, description, source_registry, destinations, filters, override, disabled,
       options, revision, create_time, update_time
  FROM policies WHERE uid = %(key)s OR id = %(key)s
 ORDER BY uid = %(key)s DESC LIMIT 1
"""

_PAGE: Final = """
SELECT uid, id, description, source_registry, destinations, filters, override, disabled,
       options, revision, create_time, update_time
  FROM policies WHERE id > %(after)s
 ORDER BY id LIMIT %(limit)s
"""

_PAGE_OF_REGISTRY: Final = """
SELECT uid, id, description, source_registry, destinations, filters, override, disabled,
       options, revision, create_time, update_time
  FROM policies WHERE id > %(after)s AND registries @> ARRAY[%(registry)s]
 ORDER BY id LIMIT %(limit)s
"""

_REPLACE: Final = """
UPDATE policies
   SET description = %(description)s, source_registry = %(source_registry)s, destinations = %(destinations)s,
       filters = %(filters)s, registries = %(registries)s, override = %(override)s, disabled = %(disabled)s,
       options = %(options)s, revision = %(revision)s, update_time = %(update_time)s
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
                await conn.execute(_INSERT, _parameters(policy))
        except Exception as error:
            if unique_violation(error) == _ID_TAKEN:
                raise PolicyAlreadyExists(policy=policy.name) from error
            raise

    async def get(self, key: str) -> Policy:
        async with self._pool.connection() as conn, conn.cursor(row_factory=kwargs_row(_to_policy)) as cursor:
            await cursor.execute(_GET, {"key": key})
            if (policy := await cursor.fetchone()) is None:
                raise PolicyNotFound(policy=f"policies/{key}")
            return policy

    async def page(self, *, after: str, limit: int, registry: str | None = None) -> list[Policy]:
        query = _PAGE if registry is None else _PAGE_OF_REGISTRY
        async with self._pool.connection() as conn, conn.cursor(row_factory=kwargs_row(_to_policy)) as cursor:
            await cursor.execute(query, {"after": after, "limit": limit, "registry": registry})
            return await cursor.fetchall()

    async def replace(self, policy: Policy) -> bool:
        async with self._pool.connection() as conn:
            cursor = await conn.execute(_REPLACE, _parameters(policy))
            return cursor.rowcount == 1

    async def delete(self, key: str) -> None:
        async with self._pool.connection() as conn:
            cursor = await conn.execute(_DELETE, {"key": key})
            if cursor.rowcount == 0:
                raise PolicyNotFound(policy=f"policies/{key}")


def _parameters(policy: Policy) -> dict[str, Any]:
    spec = policy.spec
    return {
        "uid": policy.uid,
        "id": policy.id,
        "description": spec.description,
        "source_registry": spec.source_registry,
        "destinations": Jsonb([asdict(each) for each in spec.destinations]),
        "filters": Jsonb([_rule_document(each) for each in spec.filters]),
        "registries": sorted(spec.registries),
        "override": spec.override,
        "disabled": spec.disabled,
        "options": Jsonb(asdict(spec.options)),
        "revision": policy.revision,
        "create_time": policy.create_time,
        "update_time": policy.update_time,
    }


def _to_policy(
    *,
    uid: str,
    id: str,  # noqa: A002  (the column's name)
    destinations: list[dict[str, Any]],
    filters: list[dict[str, Any]],
    options: dict[str, Any],
    revision: int,
    create_time: datetime,
    update_time: datetime,
    **rest: Any,
) -> Policy:
    spec = PolicySpec(
        destinations=tuple(Destination(**each) for each in destinations),
        filters=tuple(_to_rule(**each) for each in filters),
        options=_to_options(**options),
        **rest,
    )
    return Policy(id=id, uid=uid, spec=spec, revision=revision, create_time=create_time, update_time=update_time)


def _rule_document(rule: FilterRule) -> dict[str, str]:
    return {"dimension": rule.dimension, "action": rule.action, rule.matcher.kind: rule.matcher.text}


def _to_rule(*, dimension: str, action: str, **matcher: str) -> FilterRule:
    ((kind, text),) = matcher.items()
    return FilterRule(dimension=Dimension(dimension), action=Action(action), matcher=MATCHERS[kind](text))


def _to_options(*, platforms: list[str], referrer_types: list[str], **rest: Any) -> TransferOptions:
    return TransferOptions(platforms=tuple(platforms), referrer_types=tuple(referrer_types), **rest)
