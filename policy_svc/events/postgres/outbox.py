"""Events on their way to policies.

Locks are taken in one order, of a queue before those of events, and of several in the order of their keys.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row, kwargs_row
from psycopg.types.json import Jsonb

from policy_svc.events.domain.batch import Batch
from policy_svc.events.domain.event import Event
from policy_svc.events.postgres.rows import to_event
from service_kit.database import Pool, single

# Replicas skip what another one is about to claim.
_CLAIM_UNROUTED: Final = """
UPDATE events SET route_token = %(token)s, routed_until = %(until)s
 WHERE number IN (SELECT number FROM events
                   WHERE NOT routed AND (routed_until IS NULL OR routed_until <= %(now)s)
                   ORDER BY number LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING number, uid, registry, id, kind, repository, tag, digest, occur_time, receive_time
"""
_LOCK_UNROUTED: Final = """
SELECT number FROM events
 WHERE number = ANY (%(numbers)s) AND route_token = %(token)s AND NOT routed
 ORDER BY number FOR NO KEY UPDATE
"""
_INSERT_DELIVERIES: Final = """
INSERT INTO event_deliveries (event_number, policy_uid, registry, state)
SELECT event_number, policy_uid, registry, 'PENDING'
  FROM jsonb_to_recordset(%(deliveries)s) AS delivery (event_number bigint, policy_uid text)
  JOIN events ON number = event_number
"""
# A queue that is there keeps its time: its first event has set it, or a failure has. The update is for the lock, since
# whoever empties the queue may be about to delete it.
_ADD_QUEUES: Final = """
INSERT INTO event_queues (policy_uid, registry, due_time)
SELECT DISTINCT policy_uid, registry, %(due)s::timestamptz FROM event_deliveries
 WHERE event_number = ANY (%(numbers)s)
 ORDER BY policy_uid, registry
ON CONFLICT ON CONSTRAINT event_queues_pkey DO UPDATE SET due_time = event_queues.due_time
"""
_ROUTED: Final = """
UPDATE events
   SET routed = true, route_token = NULL, routed_until = NULL,
       state = CASE WHEN EXISTS (SELECT FROM event_deliveries WHERE event_number = number)
                    THEN 'PENDING' ELSE 'DELIVERED' END
 WHERE number = ANY (%(numbers)s)
"""

_CLAIM_QUEUE: Final = """
UPDATE event_queues SET lease_token = %(token)s, leased_until = %(until)s
 WHERE (policy_uid, registry) = (SELECT policy_uid, registry FROM event_queues
                                  WHERE due_time <= %(now)s AND (leased_until IS NULL OR leased_until <= %(now)s)
                                  ORDER BY due_time LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING policy_uid, registry, attempts
"""
_FILL_BATCH: Final = """
UPDATE event_deliveries SET in_batch = true
 WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s AND state = 'PENDING'
   AND event_number IN (SELECT event_number FROM event_deliveries
                         WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s AND state = 'PENDING'
                         ORDER BY event_number LIMIT %(limit)s)
   AND NOT EXISTS (SELECT FROM event_deliveries
                    WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s AND state = 'PENDING' AND in_batch)
"""
_BATCH: Final = """
SELECT number, uid, events.registry, id, kind, repository, tag, digest, occur_time, receive_time
  FROM event_deliveries JOIN events ON number = event_number
 WHERE policy_uid = %(policy_uid)s AND event_deliveries.registry = %(registry)s
   AND event_deliveries.state = 'PENDING' AND in_batch
 ORDER BY number
"""

_LOCK_QUEUE: Final = """
SELECT policy_uid FROM event_queues
 WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s AND lease_token = %(token)s FOR UPDATE
"""
_SETTLE: Final = """
UPDATE event_deliveries SET state = %(state)s, execution = %(execution)s, problem = %(problem)s, in_batch = false
 WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s AND state = 'PENDING' AND in_batch
RETURNING event_number
"""
# Deliveries of one event to several policies settle side by side. Without the lock each would see the other one's as
# pending, and none would finish the event.
_LOCK_EVENTS: Final = "SELECT number FROM events WHERE number = ANY (%(numbers)s) ORDER BY number FOR NO KEY UPDATE"
_FINISH: Final = """
UPDATE events SET state = 'DELIVERED'
 WHERE number = ANY (%(numbers)s) AND state = 'PENDING'
   AND NOT EXISTS (SELECT FROM event_deliveries WHERE event_number = number AND event_deliveries.state = 'PENDING')
"""
_DELETE_QUEUE: Final = """
DELETE FROM event_queues
 WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s
   AND NOT EXISTS (SELECT FROM event_deliveries
                    WHERE event_deliveries.policy_uid = event_queues.policy_uid
                      AND event_deliveries.registry = event_queues.registry AND state = 'PENDING')
"""
_RELEASE_QUEUE: Final = """
UPDATE event_queues SET lease_token = NULL, leased_until = NULL, due_time = %(due)s, attempts = %(attempts)s
 WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s
"""
_NOTE_PROBLEM: Final = """
UPDATE event_deliveries SET problem = %(problem)s
 WHERE policy_uid = %(policy_uid)s AND registry = %(registry)s AND state = 'PENDING' AND in_batch
"""
_NEXT_DUE: Final = "SELECT min(GREATEST(due_time, leased_until)) FROM event_queues"

# What somebody is about to deliver is left to them.
_LOCK_OLD: Final = """
SELECT number FROM events
 WHERE state = 'PENDING' AND receive_time < %(received_before)s
   AND NOT EXISTS (SELECT FROM event_deliveries JOIN event_queues USING (policy_uid, registry)
                    WHERE event_number = number AND in_batch AND leased_until > %(now)s)
 ORDER BY number LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
"""
_EXPIRE_DELIVERIES: Final = """
UPDATE event_deliveries SET state = 'EXPIRED', in_batch = false
 WHERE event_number = ANY (%(numbers)s) AND state = 'PENDING'
"""
_EXPIRE: Final = """
UPDATE events SET state = 'EXPIRED', routed = true, route_token = NULL, routed_until = NULL
 WHERE number = ANY (%(numbers)s)
"""
_FORGET: Final = """
DELETE FROM events
 WHERE number IN ((SELECT number FROM events WHERE state <> 'PENDING' AND receive_time < %(received_before)s
                    ORDER BY number LIMIT %(limit)s)
                  UNION
                  (SELECT number FROM events WHERE state <> 'PENDING'
                    ORDER BY number DESC OFFSET %(keep)s LIMIT %(limit)s))
"""

_Connection = psycopg.AsyncConnection[Any]


class PostgresOutbox:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim_unrouted(self, *, token: str, now: datetime, until: datetime, limit: int) -> list[Event]:
        lease = {"token": token, "now": now, "until": until, "limit": limit}
        async with single(self._pool) as conn, conn.cursor(row_factory=kwargs_row(to_event)) as cursor:
            await cursor.execute(_CLAIM_UNROUTED, lease)
            return sorted(await cursor.fetchall(), key=lambda event: event.number)

    async def route(self, *, token: str, policies: Mapping[int, Sequence[str]], due: datetime) -> None:
        async with self._pool.connection() as conn:
            held = await _numbers(conn, _LOCK_UNROUTED, {"token": token, "numbers": list(policies)})
            deliveries = [
                {"event_number": number, "policy_uid": policy_uid} for number in held for policy_uid in policies[number]
            ]
            await conn.execute(_INSERT_DELIVERIES, {"deliveries": Jsonb(deliveries)})
            await conn.execute(_ADD_QUEUES, {"numbers": held, "due": due})
            await conn.execute(_ROUTED, {"numbers": held})

    async def claim_batch(self, *, token: str, now: datetime, until: datetime, limit: int) -> Batch | None:
        while True:
            async with self._pool.connection() as conn:
                queue = await self._claim_queue(conn, {"token": token, "now": now, "until": until})
                if queue is None:
                    return None
                await conn.execute(_FILL_BATCH, {**queue, "limit": limit})
                async with conn.cursor(row_factory=kwargs_row(to_event)) as cursor:
                    await cursor.execute(_BATCH, queue)
                    if events := await cursor.fetchall():
                        return Batch(token=token, events=tuple(events), **queue)
                # What it held has expired.
                await conn.execute(_DELETE_QUEUE, queue)

    async def settle(self, batch: Batch, *, execution: str | None, problem: str = "", now: datetime) -> bool:
        queue = _queue_of(batch)
        outcome = {"state": "STARTED" if execution else "DROPPED", "execution": execution or "", "problem": problem}
        async with self._pool.connection() as conn:
            if not await _is_held(conn, queue):
                return False
            numbers = await _numbers(conn, _SETTLE, {**queue, **outcome})
            await conn.execute(_LOCK_EVENTS, {"numbers": numbers})
            await conn.execute(_FINISH, {"numbers": numbers})
            await conn.execute(_DELETE_QUEUE, queue)
            await conn.execute(_RELEASE_QUEUE, {**queue, "due": now, "attempts": 0})
            return True

    async def postpone(self, batch: Batch, *, problem: str, until: datetime) -> bool:
        queue = _queue_of(batch)
        async with self._pool.connection() as conn:
            if not await _is_held(conn, queue):
                return False
            await conn.execute(_NOTE_PROBLEM, {**queue, "problem": problem})
            await conn.execute(_RELEASE_QUEUE, {**queue, "due": until, "attempts": batch.attempts + 1})
            return True

    async def next_due(self) -> datetime | None:
        async with single(self._pool) as conn:
            row = await (await conn.execute(_NEXT_DUE)).fetchone()
            due: datetime | None = row[0] if row else None
            return due

    async def expire(self, *, received_before: datetime, now: datetime, limit: int) -> int:
        async with self._pool.connection() as conn:
            old = {"received_before": received_before, "now": now, "limit": limit}
            numbers = await _numbers(conn, _LOCK_OLD, old)
            await conn.execute(_EXPIRE_DELIVERIES, {"numbers": numbers})
            await conn.execute(_EXPIRE, {"numbers": numbers})
            return len(numbers)

    async def forget(self, *, received_before: datetime, keep: int, limit: int) -> int:
        async with single(self._pool) as conn:
            wanted = {"received_before": received_before, "keep": keep, "limit": limit}
            return (await conn.execute(_FORGET, wanted)).rowcount

    async def _claim_queue(self, conn: _Connection, lease: dict[str, Any]) -> dict[str, Any] | None:
        async with conn.cursor(row_factory=dict_row) as cursor:
            await cursor.execute(_CLAIM_QUEUE, lease)
            return await cursor.fetchone()


async def _numbers(conn: _Connection, query: Any, parameters: dict[str, Any]) -> list[int]:
    cursor = await conn.execute(query, parameters)
    return [number for (number,) in await cursor.fetchall()]


async def _is_held(conn: _Connection, queue: dict[str, str]) -> bool:
    cursor = await conn.execute(_LOCK_QUEUE, queue)
    return await cursor.fetchone() is not None


def _queue_of(batch: Batch) -> dict[str, str]:
    return {"policy_uid": batch.policy_uid, "registry": batch.registry, "token": batch.token}
