"""One delegator a database, however many replicas of the service run.

It saves work and is not what keeps jobs single: two at a time would submit the same keys, and fold by revision.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

import psycopg
import structlog

from service_kit.tasks import run_until_one_fails

RETRY_INTERVAL_S: Final = 2.0
CHECK_INTERVAL_S: Final = 2.0  # a leader whose connection is gone has been succeeded
LOCK_KEY: Final = 0x7472616E73686970  # one number for all replicas, used for nothing else in this database

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def run_as_leader(conninfo: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Does the work, which never ends by itself, whenever this process has the lock; until it is cancelled."""
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as conn:
                await _lead(conn, work)
        except psycopg.OperationalError as error:
            log.warning("leadership lost", error=str(error))
        await asyncio.sleep(RETRY_INTERVAL_S)


async def _lead(conn: psycopg.AsyncConnection[Any], work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """The lock is the session's: it goes with the connection, however that ends."""
    while not await _locked(conn):  # noqa: ASYNC110 - the lock is the database's, and notifies nobody
        await asyncio.sleep(RETRY_INTERVAL_S)
    log.info("leading the delegation")
    await run_until_one_fails(_check(conn), work())


async def _locked(conn: psycopg.AsyncConnection[Any]) -> bool:
    cursor = await conn.execute("SELECT pg_try_advisory_lock(%s)", (LOCK_KEY,))
    row = await cursor.fetchone()
    return row is not None and row[0]


async def _check(conn: psycopg.AsyncConnection[Any]) -> None:
    while True:
        await asyncio.sleep(CHECK_INTERVAL_S)
        await conn.execute("SELECT 1")
