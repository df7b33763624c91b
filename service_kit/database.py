"""PostgreSQL connections that notice a dead peer, and notifications that survive one."""

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from weakref import WeakKeyDictionary

import psycopg
import structlog
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

CONNECT_TIMEOUT_S: Final = 5  # a failed-over database answers on another address; do not wait for the old one
STATEMENT_TIMEOUT_MS: Final = 30_000  # no statement of a service runs longer; a lost one must not hold its locks
IDLE_IN_TRANSACTION_TIMEOUT_MS: Final = 60_000  # a stalled process must not hold locks or stop vacuum
TCP_USER_TIMEOUT_MS: Final = 15_000  # unacknowledged writes: the peer is gone
KEEPALIVES_IDLE_S: Final = 15  # silence before the first probe; without probes a half-open connection lasts for hours
KEEPALIVES_INTERVAL_S: Final = 5
KEEPALIVES_COUNT: Final = 3
UNCHECKED_S: Final = 1.0  # a connection that was used so recently is given out unchecked
LISTEN_CHECK_INTERVAL_S: Final = 30.0  # a quiet listener proves by a query that its connection still lives
RECONNECT_FIRST_S: Final = 0.1
RECONNECT_MAX_S: Final = 5.0

_SCHEMA_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_returned_at: WeakKeyDictionary[psycopg.AsyncConnection[Any], float] = WeakKeyDictionary()

Pool = AsyncConnectionPool[psycopg.AsyncConnection[Any]]


def session_conninfo(conninfo: str, *, schema: str) -> str:
    """The conninfo with our time-outs and the schema as search path; what it sets itself wins, except the options."""
    if not _SCHEMA_NAME.fullmatch(schema):
        raise ValueError(f"not a schema name: {schema!r}")
    given = psycopg.conninfo.conninfo_to_dict(conninfo)
    settings = {
        "search_path": schema,
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT_MS,
        "timezone": "UTC",
    }
    ours: dict[str, Any] = {
        "application_name": f"transship-{schema}",
        "connect_timeout": CONNECT_TIMEOUT_S,
        "tcp_user_timeout": TCP_USER_TIMEOUT_MS,
        "keepalives_idle": KEEPALIVES_IDLE_S,
        "keepalives_interval": KEEPALIVES_INTERVAL_S,
        "keepalives_count": KEEPALIVES_COUNT,
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    return make_conninfo(**{**ours, **given, "options": f"{given.get('options') or ''} {options}".strip()})


def open_pool(conninfo: str, *, schema: str, min_size: int = 1, max_size: int = 10) -> Pool:
    """A pool for `async with`; it connects on entry, closes on exit, and checks a connection that was idle."""
    return AsyncConnectionPool(
        session_conninfo(conninfo, schema=schema),
        min_size=min_size,
        max_size=max_size,
        timeout=CONNECT_TIMEOUT_S,
        name=schema,
        check=_check_if_idle,
        reset=_note_return,
        open=False,
    )


@asynccontextmanager
async def single(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A connection on which each statement is a transaction of its own: one round trip in place of three."""
    async with pool.connection() as connection:
        await connection.set_autocommit(True)
        yield connection


async def _note_return(connection: psycopg.AsyncConnection[Any]) -> None:
    if connection.autocommit:  # see `single`
        await connection.set_autocommit(False)
    _returned_at[connection] = time.monotonic()


async def _check_if_idle(connection: psycopg.AsyncConnection[Any]) -> None:
    """Proves that the connection lives, unless it did a moment ago: a check costs as much as a small statement."""
    if time.monotonic() - _returned_at.get(connection, 0.0) > UNCHECKED_S:
        await AsyncConnectionPool.check_connection(connection)


def unique_violation(error: BaseException) -> str | None:
    """The name of the unique or exclusion constraint that the statement broke; None for any other error."""
    if isinstance(error, psycopg.errors.UniqueViolation | psycopg.errors.ExclusionViolation):
        return error.diag.constraint_name
    return None


async def listen(conninfo: str, channel: str) -> AsyncGenerator[str, None]:
    """The payloads notified on a channel, for ever, on a connection of its own.

    Yields an empty payload after each connect, the first included: notifications may have been missed, read the state.
    Wrap it in `contextlib.aclosing`, so that the connection closes with the block.
    """
    backoff_s = RECONNECT_FIRST_S
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
                backoff_s = RECONNECT_FIRST_S
                yield ""
                while True:
                    async for notification in connection.notifies(timeout=LISTEN_CHECK_INTERVAL_S):
                        yield notification.payload
                    await connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            log.warning("listener lost its connection", channel=channel, error=str(error), retry_s=backoff_s)
        await asyncio.sleep(backoff_s * random.uniform(0.5, 1.0))  # noqa: S311  (spreads reconnects, guards nothing)
        backoff_s = min(backoff_s * 2, RECONNECT_MAX_S)
