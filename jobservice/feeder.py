"""Moves jobs that are due from the backlog into the queue: a few at a time, so that groups take turns."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import psycopg
from psycopg.rows import scalar_row

from jobservice.queue import Queue
from service_kit.database import Pool

FEED_INTERVAL_S: Final = 1.0  # for jobs whose back-off is over, and those submitted to other replicas
FEED_PAUSE_S: Final = 0.02  # slots that become free in that time are filled together: the window lasts for longer
WINDOW_PER_SLOT: Final = 2  # entries that wait for a slot: enough that none stands idle, few enough to be fair

# Feeders of several processes would otherwise fill the window once each.
# What a crash of the database takes back is fed again; so nobody waits for the disk.
_LOCK: Final = """
SELECT pg_try_advisory_xact_lock(hashtext('transship feeder')), set_config('synchronous_commit', 'off', true)
"""

_COUNT_WAITING: Final = "SELECT count(*) FROM jobs WHERE state = 'pending' AND queued_at IS NOT NULL"

# A job's turn is its place in its group, behind those of the group that are under way: whoever has the least gets
# next. Only the heads of the groups are read, group by group along the index, however long the backlog is.
_FEED: Final = """
WITH RECURSIVE groups (name) AS (
    SELECT min(fairness_group) FROM jobs WHERE state = 'pending' AND queued_at IS NULL
    UNION ALL
    SELECT (SELECT min(fairness_group) FROM jobs
             WHERE state = 'pending' AND queued_at IS NULL AND fairness_group > groups.name)
      FROM groups WHERE groups.name IS NOT NULL
), under_way AS (
    SELECT fairness_group, count(*) AS jobs FROM jobs
     WHERE state IN ('pending', 'running') AND queued_at IS NOT NULL GROUP BY fairness_group
), heads AS (
    SELECT head.key, coalesce(under_way.jobs, 0) + head.place AS turn
      FROM groups
      LEFT JOIN under_way ON under_way.fairness_group = groups.name
     CROSS JOIN LATERAL (
         SELECT key, row_number() OVER (ORDER BY run_after, key) AS place FROM jobs
          WHERE fairness_group = groups.name AND state = 'pending' AND queued_at IS NULL AND run_after <= now()
          ORDER BY run_after, key LIMIT %(limit)s) AS head
), next AS (
    SELECT key, turn FROM heads ORDER BY turn, key LIMIT %(limit)s
), fed AS (
    UPDATE jobs SET queued_at = now() FROM next
     WHERE jobs.key = next.key AND jobs.state = 'pending' AND jobs.queued_at IS NULL
    RETURNING jobs.key, next.turn
)
SELECT key FROM fed ORDER BY turn, key
"""


class Feeder:
    """Keeps the queue's window full."""

    def __init__(self, pool: Pool, queue: Queue, *, slots: int) -> None:
        self._pool = pool
        self._queue = queue
        self._window = WINDOW_PER_SLOT * slots
        self._hungry = asyncio.Event()
        self._backlog = True  # whether there may be more than fitted in

    def wake(self) -> None:
        """There may be something to feed."""
        self._hungry.set()

    def room_made(self) -> None:
        """There may be room for what did not fit in."""
        if self._backlog:
            self._hungry.set()

    async def run(self) -> None:
        while True:
            self._hungry.clear()
            await self.feed()
            await asyncio.sleep(FEED_PAUSE_S)
            try:
                async with asyncio.timeout(FEED_INTERVAL_S):
                    await self._hungry.wait()
            except TimeoutError:
                continue

    async def feed(self) -> list[str]:
        """Fills the window; gives what it has put in. Marked and queued is one transaction."""
        async with self._pool.connection() as connection:
            if not await _scalar(connection, _LOCK):
                return []
            room = self._window - await _scalar(connection, _COUNT_WAITING)
            self._backlog = True
            if room <= 0:
                return []
            async with connection.cursor(row_factory=scalar_row) as cursor:
                await cursor.execute(_FEED, {"limit": room})
                keys: list[str] = await cursor.fetchall()
            self._backlog = len(keys) == room
            await self._queue.enqueue(keys, connection)
            return keys


async def _scalar(connection: psycopg.AsyncConnection[Any], statement: Any) -> Any:
    row = await (await connection.execute(statement)).fetchone()
    return row[0] if row else None
