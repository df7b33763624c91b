"""Where two sources meet at one place of a destination, and what becomes of them."""
# ruff: noqa: S608  (statements are made of constants)

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg.types.json import Jsonb

from execution_svc.domain.execution import ExecutionId
from execution_svc.domain.task import Collision
from execution_svc.domain.transfer import Failure
from execution_svc.postgres.rows import failure_document
from execution_svc.postgres.settling import Connection

_OF_REPOSITORIES: Final = """
SELECT destination_registry, destination_repository, '' AS tag, array_agg(DISTINCT source_repository) AS sources
  FROM tasks
 WHERE execution_id = %(execution)s AND run > 0 AND operation = 'COPY' AND destination_registry <> ALL(%(by_tag)s)
 GROUP BY destination_registry, destination_repository
HAVING count(DISTINCT source_repository) > 1
"""
_OF_TAGS: Final = """
SELECT destination_registry, destination_repository, there.tag,
       array_agg(DISTINCT source_repository || ':' || named.tag) AS sources
  FROM tasks CROSS JOIN LATERAL unnest(tags, destination_tags) AS named (tag, there)
 CROSS JOIN LATERAL (SELECT COALESCE(NULLIF(named.there, ''), named.tag) AS tag) AS there
 WHERE execution_id = %(execution)s AND run > 0 AND operation = 'COPY' AND destination_registry = ANY(%(by_tag)s)
   AND there.tag <> ''
 GROUP BY destination_registry, destination_repository, there.tag
HAVING count(DISTINCT source_repository || ':' || named.tag) > 1
"""
_FAIL_REPOSITORIES: Final = """
UPDATE tasks
   SET state = 'FAILED', run = 0, failure = bad.failure, end_time = %(now)s, references_failed = reference_count
  FROM jsonb_to_recordset(%(bad)s) AS bad (registry text, repository text, tag text, failure jsonb)
 WHERE execution_id = %(execution)s AND destination_registry = bad.registry AND destination_repository = bad.repository
   AND bad.tag = '' AND operation = 'COPY' AND state = 'PENDING' AND NOT delegated
"""
# The references of each task that may be copied, and those that may not.
_PARTED: Final = """
SELECT tasks.id, bad.failure,
       array_agg(named.tag ORDER BY place) AS tags, array_agg(named.digest ORDER BY place) AS digests,
       array_agg(named.there ORDER BY place) AS destination_tags
  FROM tasks CROSS JOIN LATERAL unnest(tags, digests, destination_tags) WITH ORDINALITY
                                AS named (tag, digest, there, place)
  LEFT JOIN jsonb_to_recordset(%(bad)s) AS bad (registry text, repository text, tag text, failure jsonb)
    ON bad.registry = destination_registry AND bad.repository = destination_repository
   AND bad.tag = COALESCE(NULLIF(named.there, ''), named.tag) AND bad.tag <> ''
 WHERE execution_id = %(execution)s AND destination_registry = ANY(%(registries)s)
   AND destination_repository = ANY(%(repositories)s)
   AND operation = 'COPY' AND state = 'PENDING' AND NOT delegated
 GROUP BY tasks.id, bad.failure
"""
_FAIL_TAGS: Final = (
    """
WITH parted AS ("""
    + _PARTED
    + """),
kept AS (
    UPDATE tasks
       SET tags = parted.tags, digests = parted.digests, destination_tags = parted.destination_tags,
           reference_count = cardinality(parted.tags), references_total = cardinality(parted.tags)
      FROM parted WHERE parted.id = tasks.id AND parted.failure IS NULL
       AND cardinality(parted.tags) < tasks.reference_count),
emptied AS (
    DELETE FROM tasks USING parted
     WHERE parted.id = tasks.id AND NOT EXISTS (SELECT FROM parted AS rest
                                                 WHERE rest.id = parted.id AND rest.failure IS NULL))
INSERT INTO tasks (id, execution_id, operation, destination_index, source_registry, source_repository,
                   destination_registry, destination_repository, tags, digests, destination_tags, reference_count,
                   state, run, failure, create_time, end_time, references_total, references_failed)
SELECT md5(tasks.id || parted.failure::text)::uuid::text, execution_id, operation, destination_index, source_registry,
       source_repository, destination_registry, destination_repository, parted.tags, parted.digests,
       parted.destination_tags, cardinality(parted.tags), 'FAILED', 0, parted.failure, create_time, %(now)s,
       cardinality(parted.tags), cardinality(parted.tags)
  FROM parted JOIN tasks ON tasks.id = parted.id WHERE parted.failure IS NOT NULL
ON CONFLICT ON CONSTRAINT tasks_pkey DO NOTHING
"""
)


async def find_collisions(conn: Connection, execution: ExecutionId, by_tag: Sequence[str]) -> list[Collision]:
    """In the registries of `by_tag`, places are tags; elsewhere they are repositories."""
    found = []
    for statement in (_OF_REPOSITORIES, _OF_TAGS):
        cursor = await conn.execute(statement, {"execution": execution, "by_tag": list(by_tag)})
        found += [
            Collision(
                destination_registry=registry,
                destination_repository=repository,
                destination_tag=tag,
                sources=tuple(sources),
            )
            for registry, repository, tag, sources in await cursor.fetchall()
        ]
    return found


async def fail_collisions(
    conn: Connection, execution: ExecutionId, collided: Sequence[tuple[Collision, Failure]], now: datetime
) -> None:
    """Fails what collides and has no job yet; the other references of its tasks stay."""
    bad = [
        {
            "registry": each.destination_registry,
            "repository": each.destination_repository,
            "tag": each.destination_tag,
            "failure": failure_document(failure),
        }
        for each, failure in collided
    ]
    parameters: dict[str, Any] = {
        "execution": execution,
        "bad": Jsonb(bad),
        "now": now,
        "registries": list({each.destination_registry for each, _ in collided}),
        "repositories": list({each.destination_repository for each, _ in collided if each.destination_tag}),
    }
    await conn.execute(_FAIL_REPOSITORIES, parameters)
    if parameters["repositories"]:
        await conn.execute(_FAIL_TAGS, parameters)
