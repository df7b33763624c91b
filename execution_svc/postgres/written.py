"""What policies have written, found and deleted, as their tasks report it."""
# ruff: noqa: S608  (statements are made of constants)

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from execution_svc.postgres.settling import Connection

# Long after any event of a deletion has been delivered or has expired.
DELETED_KEPT_FOR: Final = timedelta(days=30)

_EACH_RESULT: Final = """
SELECT COALESCE(NULLIF(e.policy_snapshot ->> 'uid', ''), e.policy) AS policy,
       tasks.destination_registry, tasks.destination_repository,
       COALESCE(NULLIF(result ->> 'destination_tag', ''), result ->> 'tag') AS tag,
       COALESCE(NULLIF(result ->> 'destination_digest', ''), result ->> 'digest') AS digest,
       tasks.source_registry, tasks.source_repository, result ->> 'outcome' AS outcome,
       tasks.id, tasks.operation, result -> 'failure' ->> 'reason' AS reason, result ->> 'tag' AS result_tag,
       result ->> 'digest' AS result_digest, e.id AS execution_id, e.start_time
  FROM tasks JOIN executions AS e ON e.id = tasks.execution_id
 CROSS JOIN LATERAL jsonb_array_elements(tasks.results) AS result
 WHERE tasks.id = ANY(%(tasks)s) AND tasks.results IS NOT NULL
"""
# Two tasks may report one place: one of them is as good as the other, but what was written counts more than what was
# found. What the policy finds as it once wrote it stays written. The order keeps two transactions from waiting for each
# other.
_WRITTEN_OR_FOUND: Final = (
    """
WITH results AS ("""
    + _EACH_RESULT
    + """)
INSERT INTO written_tags (policy, destination_registry, destination_repository, tag, digest, source_registry,
                          source_repository, source_tag, source_digest, execution_id, write_time, found)
SELECT DISTINCT ON (policy, destination_registry, destination_repository, tag)
       policy, destination_registry, destination_repository, tag, digest, source_registry,
       source_repository, result_tag, result_digest, execution_id, %(now)s, outcome = 'UNCHANGED' AS found
  FROM results
 WHERE operation = 'COPY' AND tag <> ''
   AND (outcome = 'COPIED'
        OR (outcome = 'UNCHANGED'
            AND NOT EXISTS (SELECT FROM written_tags AS w
                             WHERE w.policy = results.policy AND w.destination_registry = results.destination_registry
                               AND w.destination_repository = results.destination_repository AND w.tag = results.tag
                               AND w.source_digest = results.result_digest AND NOT w.deleted)))
 ORDER BY policy, destination_registry, destination_repository, tag, found
ON CONFLICT ON CONSTRAINT written_tags_pkey DO UPDATE
   SET digest = excluded.digest, source_registry = excluded.source_registry,
       source_repository = excluded.source_repository, source_tag = excluded.source_tag,
       source_digest = excluded.source_digest, execution_id = excluded.execution_id,
       write_time = excluded.write_time, found = excluded.found, deleted = false, changed = false,
       missing_since = NULL
"""
)
# What the policy has from here now, whether it was missed or came from somewhere else, is missed from now on when it is
# missed here.
_HAS_A_SOURCE: Final = (
    """
WITH results AS ("""
    + _EACH_RESULT
    + """)
UPDATE written_tags AS w
   SET source_registry = results.source_registry, source_repository = results.source_repository,
       source_tag = results.result_tag, missing_since = NULL
  FROM results
 WHERE results.operation = 'COPY' AND results.outcome = 'UNCHANGED' AND NOT w.deleted
   AND w.source_digest = results.result_digest
   AND (w.policy, w.destination_registry, w.destination_repository, w.tag)
       = (results.policy, results.destination_registry, results.destination_repository, results.tag)
   AND (w.missing_since IS NOT NULL
        OR (w.source_registry, w.source_repository, w.source_tag)
           <> (results.source_registry, results.source_repository, results.result_tag))
"""
)
# What was copied from a place shows what is there: if that is not what we have brought or deleted, somebody has changed
# it. What a run that began before has seen may be older than ours.
_SEEN_OTHERWISE: Final = (
    """
WITH results AS ("""
    + _EACH_RESULT
    + """)
UPDATE written_tags AS w SET changed = true
  FROM results
 WHERE results.operation = 'COPY' AND results.outcome IN ('COPIED', 'UNCHANGED') AND results.result_digest <> ''
   AND (w.destination_registry, w.destination_repository, w.tag)
       = (results.source_registry, results.source_repository, results.result_tag)
   AND (w.deleted OR w.digest <> results.result_digest) AND w.write_time <= results.start_time AND NOT w.changed
"""
)
# A deletion reports the tag that it has deleted; what that is at the source, the task says.
_DELETED: Final = (
    """
WITH results AS ("""
    + _EACH_RESULT
    + """)
INSERT INTO written_tags (policy, destination_registry, destination_repository, tag, digest, source_registry,
                          source_repository, source_tag, source_digest, execution_id, write_time, deleted)
SELECT DISTINCT ON (policy, destination_registry, destination_repository, tag)
       policy, destination_registry, destination_repository, results.tag, digest, source_registry,
       source_repository, COALESCE(asked.tag, results.tag), '', execution_id, %(now)s, true
  FROM results LEFT JOIN LATERAL (
       SELECT named.tag FROM tasks, unnest(tasks.tags, tasks.destination_tags) AS named (tag, there)
        WHERE tasks.id = results.id AND COALESCE(NULLIF(named.there, ''), named.tag) = results.tag
        LIMIT 1) AS asked ON true
 WHERE operation = 'DELETE' AND outcome = 'DELETED'
 ORDER BY policy, destination_registry, destination_repository, tag
ON CONFLICT ON CONSTRAINT written_tags_pkey DO UPDATE
   SET execution_id = excluded.execution_id, write_time = excluded.write_time, deleted = true, found = false,
       changed = false, missing_since = NULL
"""
)
# What was gone before is as good as deleted; what somebody has changed there is not ours any more.
_GONE: Final = (
    """
WITH results AS ("""
    + _EACH_RESULT
    + """)
UPDATE written_tags AS w
   SET deleted = true, found = false, changed = false, missing_since = NULL, write_time = %(now)s
  FROM results
 WHERE results.operation = 'DELETE' AND results.outcome = 'UNCHANGED' AND NOT w.deleted
   AND (w.policy, w.destination_registry, w.destination_repository, w.tag)
       = (results.policy, results.destination_registry, results.destination_repository, results.tag)
"""
)
_CHANGED: Final = (
    """
WITH results AS ("""
    + _EACH_RESULT
    + """)
DELETE FROM written_tags AS w USING results
 WHERE results.operation = 'DELETE' AND results.outcome = 'SKIPPED' AND results.reason = 'TAG_CHANGED'
   AND (w.policy, w.destination_registry, w.destination_repository, w.tag)
       = (results.policy, results.destination_registry, results.destination_repository, results.tag)
"""
)
_FORGET_DELETED: Final = "DELETE FROM written_tags WHERE deleted AND write_time < %(before)s"


async def remember(
    conn: Connection, now: datetime, *, copies: Sequence[str] = (), deletions: Sequence[str] = ()
) -> None:
    """Takes over what these tasks, which have ended, have copied, found and deleted."""
    if copies:
        for statement in (_HAS_A_SOURCE, _WRITTEN_OR_FOUND, _SEEN_OTHERWISE):
            await conn.execute(statement, {"tasks": list(copies), "now": now})
    if deletions:
        for statement in (_DELETED, _GONE, _CHANGED):
            await conn.execute(statement, {"tasks": list(deletions), "now": now})
        await conn.execute(_FORGET_DELETED, {"before": now - DELETED_KEPT_FOR})
