"""The runs that are to come, in PostgreSQL."""

import uuid
from datetime import datetime
from typing import Final

from psycopg.rows import kwargs_row

from policy_svc.domain.trigger import NextRun
from policy_svc.postgres.rows import to_policy
from policy_svc.store import Claim
from service_kit.database import Pool, single

# Hands out what is due; replicas skip rows that another one holds.
_CLAIM_DUE: Final = """
UPDATE policies SET lease_token = %(token)s, leased_until = %(until)s
 WHERE uid IN (SELECT uid FROM policies
                WHERE next_run_time <= %(now)s AND (leased_until IS NULL OR leased_until <= %(now)s)
                ORDER BY next_run_time LIMIT %(limit)s FOR UPDATE SKIP LOCKED)
RETURNING uid, id, description, source_registry, destinations, filters, newest, override, backup_tag, disabled, trigger,
          options, deletion, overlap, max_parallel_tasks, windows, retention, revision, create_time, update_time,
          fire_time, next_run_time
"""

_ADVANCE: Final = """
UPDATE policies
   SET fire_time = %(fire_time)s, next_run_time = %(next_run_time)s, lease_token = NULL, leased_until = NULL
 WHERE uid = %(uid)s AND lease_token = %(token)s
"""

_POSTPONE: Final = """
UPDATE policies SET lease_token = NULL, leased_until = %(until)s WHERE uid = %(uid)s AND lease_token = %(token)s
"""


class PostgresScheduleStore:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim_due(self, *, now: datetime, until: datetime, limit: int) -> list[Claim]:
        parameters = {"token": (token := str(uuid.uuid4())), "now": now, "until": until, "limit": limit}
        async with single(self._pool) as conn, conn.cursor(row_factory=kwargs_row(to_policy)) as cursor:
            await cursor.execute(_CLAIM_DUE, parameters)
            claimed = await cursor.fetchall()
        return [Claim(policy=each, token=token) for each in claimed]

    async def advance(self, claim: Claim, next_run: NextRun | None) -> bool:
        parameters = {
            "uid": claim.policy.uid,
            "token": claim.token,
            "fire_time": next_run.fire_time if next_run else None,
            "next_run_time": next_run.run_time if next_run else None,
        }
        async with single(self._pool) as conn:
            cursor = await conn.execute(_ADVANCE, parameters)
            return cursor.rowcount == 1

    async def postpone(self, claim: Claim, *, until: datetime) -> bool:
        parameters = {"uid": claim.policy.uid, "token": claim.token, "until": until}
        async with single(self._pool) as conn:
            cursor = await conn.execute(_POSTPONE, parameters)
            return cursor.rowcount == 1
