"""Events as people see them."""

from collections.abc import Sequence
from typing import Any, Final

from psycopg.rows import kwargs_row
from psycopg.types.json import Jsonb

from policy_svc.events.domain.errors import EventNotFound
from policy_svc.events.domain.event import Event, EventState
from policy_svc.events.postgres.rows import to_event
from service_kit.database import Pool, single

_INSERT: Final = """
INSERT INTO events (uid, registry, id, kind, repository, tag, digest, occur_time, receive_time, state)
SELECT uid, registry, id, kind, repository, tag, digest, occur_time, receive_time, state
  FROM ROWS FROM (
           jsonb_to_recordset(%(events)s)
           AS (uid text, registry text, id text, kind text, repository text, tag text, digest text,
               occur_time timestamptz, receive_time timestamptz, state text)
       ) WITH ORDINALITY
 ORDER BY ordinality
ON CONFLICT ON CONSTRAINT events_registry_id_key DO NOTHING
"""

_GET: Final = """
SELECT number, uid, registry, id, kind, repository, tag, digest, occur_time, receive_time, state,
       ARRAY(SELECT DISTINCT execution FROM event_deliveries
              WHERE event_number = number AND execution <> '' ORDER BY execution) AS executions,
       (SELECT COALESCE(string_agg(problem, ' ' ORDER BY policy_uid), '') FROM event_deliveries
         WHERE event_number = number AND problem <> '') AS problem
  FROM events WHERE uid = %(uid)s
"""

_PAGE: Final = """
SELECT number, uid, registry, id, kind, repository, tag, digest, occur_time, receive_time, state,
       ARRAY(SELECT DISTINCT execution FROM event_deliveries
              WHERE event_number = number AND execution <> '' ORDER BY execution) AS executions,
       (SELECT COALESCE(string_agg(problem, ' ' ORDER BY policy_uid), '') FROM event_deliveries
         WHERE event_number = number AND problem <> '') AS problem
  FROM events
 WHERE (%(before)s::bigint IS NULL OR number < %(before)s)
   AND (%(registry)s::text IS NULL OR registry = %(registry)s)
   AND (%(states)s::text[] IS NULL OR state = ANY (%(states)s))
 ORDER BY number DESC LIMIT %(limit)s
"""


class PostgresEventStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def add(self, events: Sequence[Event]) -> int:
        async with single(self._pool) as conn:
            cursor = await conn.execute(_INSERT, {"events": Jsonb([_document(each) for each in events])})
            return cursor.rowcount

    async def get(self, uid: str) -> Event:
        async with single(self._pool) as conn, conn.cursor(row_factory=kwargs_row(to_event)) as cursor:
            await cursor.execute(_GET, {"uid": uid})
            if (event := await cursor.fetchone()) is None:
                raise EventNotFound(event=f"events/{uid}")
            return event

    async def page(
        self, *, before: int | None, limit: int, registry: str | None = None, states: Sequence[EventState] = ()
    ) -> list[Event]:
        wanted = {"before": before, "limit": limit, "registry": registry, "states": list(states) or None}
        async with single(self._pool) as conn, conn.cursor(row_factory=kwargs_row(to_event)) as cursor:
            await cursor.execute(_PAGE, wanted)
            return await cursor.fetchall()


def _document(event: Event) -> dict[str, Any]:
    notice = event.notice
    return {
        "uid": event.uid,
        "registry": event.registry,
        "id": notice.id,
        "kind": notice.kind,
        "repository": notice.repository,
        "tag": notice.tag,
        "digest": notice.digest,
        "occur_time": notice.occur_time.isoformat(),
        "receive_time": event.receive_time.isoformat(),
        "state": event.state,
    }
