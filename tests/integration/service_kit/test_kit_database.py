"""Pool and listener against a real server."""

import asyncio
from contextlib import aclosing

import psycopg
import pytest

from service_kit.database import listen, open_pool, unique_violation
from tests.postgres import Database

KILL_LISTENERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"


async def test_a_connection_of_the_pool_sees_its_schema_and_has_our_limits(database: Database) -> None:
    async with open_pool(await database(), schema="kit", max_size=1) as pool, pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT current_setting('search_path'), current_setting('statement_timeout'), current_setting('timezone')"
        )
        assert await cursor.fetchone() == ("kit", "30s", "UTC")


async def test_the_pool_replaces_a_connection_that_the_server_closed(database: Database) -> None:
    async with open_pool(await database(), schema="kit", max_size=1) as pool:
        async with pool.connection() as connection:
            killed = connection.info.backend_pid
            with pytest.raises(psycopg.OperationalError):
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        async with pool.connection() as connection:
            assert connection.info.backend_pid != killed


async def test_a_schema_name_cannot_carry_options(database: Database) -> None:
    with pytest.raises(ValueError, match="not a schema name"):
        open_pool(await database(), schema="kit -c fsync=off")


async def test_a_unique_violation_names_its_constraint(database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(await database()) as connection:
        await connection.execute("CREATE TABLE t (name text CONSTRAINT t_name_key UNIQUE)")
        await connection.execute("INSERT INTO t VALUES ('a')")
        with pytest.raises(psycopg.errors.UniqueViolation) as caught:
            await connection.execute("INSERT INTO t VALUES ('a')")
        await connection.rollback()
    assert unique_violation(caught.value) == "t_name_key"
    assert unique_violation(ValueError()) is None


async def test_a_listener_wakes_its_caller_on_connect_on_notify_and_after_a_lost_connection(database: Database) -> None:
    url = await database()
    async with (
        aclosing(listen(url, "jobs changed")) as payloads,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as other,
    ):
        assert await anext(payloads) == ""
        await other.execute("NOTIFY \"jobs changed\", '42'")
        assert await anext(payloads) == "42"
        await other.execute(KILL_LISTENERS)
        assert await anext(payloads) == ""
        await other.execute("NOTIFY \"jobs changed\", '43'")
        assert await anext(payloads) == "43"


async def test_a_cancelled_listener_gives_its_connection_back(database: Database) -> None:
    url = await database()

    async def consume() -> None:
        async with aclosing(listen(url, "kit")) as payloads:
            async for _ in payloads:
                connected.set()

    connected = asyncio.Event()
    task = asyncio.create_task(consume())
    await connected.wait()
    task.cancel()
    await asyncio.wait([task])
    async with await psycopg.AsyncConnection.connect(url) as connection:
        for _ in range(100):
            cursor = await connection.execute("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
            if await cursor.fetchone() == (0,):
                return
            await connection.rollback()
            await asyncio.sleep(0.05)
    pytest.fail("the listener's connection is still open")
