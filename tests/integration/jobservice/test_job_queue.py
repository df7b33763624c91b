"""The feeder, the reaper and procrastinate on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from importlib import resources
from typing import Any

import procrastinate
import psycopg
import pytest

from jobservice.feeder import _FEED, WINDOW_PER_SLOT, Feeder
from jobservice.postgres.jobs import PostgresJobStore
from jobservice.postgres.runs import PostgresRunStore
from jobservice.procrastinate_queue import ProcrastinateQueue
from jobservice.reaper import Reaper
from service_kit.database import Pool, open_pool, session_conninfo
from tests.jobs import a_spec
from tests.postgres import Database

SLOTS = 4
WINDOW = WINDOW_PER_SLOT * SLOTS


@pytest.fixture
async def url(database: Database) -> str:
    return await database("jobservice")


@pytest.fixture
async def pool(url: str) -> AsyncIterator[Pool]:
    async with open_pool(url, schema="job") as pool:
        yield pool


@pytest.fixture
async def queue(url: str) -> AsyncIterator[ProcrastinateQueue]:
    async with ProcrastinateQueue.opened(url) as queue:
        yield queue


@pytest.fixture
def jobs(pool: Pool) -> PostgresJobStore:
    return PostgresJobStore(pool)


@pytest.fixture
def runs(pool: Pool) -> PostgresRunStore:
    return PostgresRunStore(pool)


@pytest.fixture
def feeder(pool: Pool, queue: ProcrastinateQueue) -> Feeder:
    return Feeder(pool, queue, slots=SLOTS)


async def count(pool: Pool, condition: str) -> int:
    async with pool.connection() as connection:
        cursor = await connection.execute(f"SELECT count(*) FROM {condition}")
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


def group_of(key: str) -> str:
    return key.partition("-")[0]


def test_the_migration_holds_what_procrastinate_ships() -> None:
    """A new procrastinate shows here: its own migrations then become migrations of ours."""
    ours = resources.files("jobservice").joinpath("migrations/0002_procrastinate.sql").read_text()
    theirs = resources.files("procrastinate").joinpath("sql/schema.sql").read_text()
    assert theirs in ours
    assert procrastinate.__version__.startswith("3.10.")


async def test_the_window_is_small_and_the_backlog_waits(
    pool: Pool, jobs: PostgresJobStore, feeder: Feeder, queue: ProcrastinateQueue
) -> None:
    await jobs.submit([a_spec(f"a-{number:03}") for number in range(100)])
    fed = await feeder.feed()
    assert fed == [f"a-{number:03}" for number in range(WINDOW)]
    assert await queue.holds([*fed, "a-099"]) == frozenset(fed)
    assert await feeder.feed() == []


async def test_groups_take_turns(jobs: PostgresJobStore, runs: PostgresRunStore, feeder: Feeder) -> None:
    await jobs.submit([a_spec(f"many-{number:04}", group="many") for number in range(1000)])
    first = await feeder.feed()
    await jobs.submit([a_spec(f"few-{number}", group="few") for number in range(3)])
    assert len(await runs.claim(first[:SLOTS], worker="w")) == SLOTS

    assert [group_of(key) for key in await feeder.feed()] == ["few", "few", "few", "many"]


async def test_two_feeders_fill_one_window(
    pool: Pool, jobs: PostgresJobStore, feeder: Feeder, queue: ProcrastinateQueue
) -> None:
    await jobs.submit([a_spec(f"a-{number}") for number in range(100)])
    await asyncio.gather(*(Feeder(pool, queue, slots=SLOTS).feed() for _ in range(5)), feeder.feed())
    assert await count(pool, "jobs WHERE queued_at IS NOT NULL") == WINDOW
    assert await count(pool, "procrastinate.procrastinate_jobs, jsonb_array_elements(args -> 'keys')") == WINDOW


async def test_what_could_not_be_queued_is_not_marked(pool: Pool, jobs: PostgresJobStore, feeder: Feeder) -> None:
    await jobs.submit([a_spec("a")])
    async with pool.connection() as connection:
        await connection.execute("ALTER TABLE procrastinate.procrastinate_jobs RENAME TO gone")
    with pytest.raises(procrastinate.exceptions.ConnectorException):
        await feeder.feed()
    assert await count(pool, "jobs WHERE queued_at IS NOT NULL") == 0


async def test_a_key_is_started_once_and_its_entry_removed(
    pool: Pool, jobs: PostgresJobStore, feeder: Feeder, queue: ProcrastinateQueue
) -> None:
    started: list[str] = []
    both = asyncio.Event()

    async def start(keys: Sequence[str]) -> None:
        started.extend(keys)
        if len(started) == 2:
            both.set()

    await jobs.submit([a_spec("a"), a_spec("b")])
    await feeder.feed()
    running = asyncio.create_task(queue.run(start))
    await both.wait()
    running.cancel()
    await asyncio.wait([running])

    assert sorted(started) == ["a", "b"]
    assert await count(pool, "procrastinate.procrastinate_jobs") == 0


async def test_each_worker_gets_its_portion(
    url: str, pool: Pool, jobs: PostgresJobStore, feeder: Feeder, queue: ProcrastinateQueue
) -> None:
    """Two idle workers share five keys; the one that is slow with its first portion does not get the other."""
    portions: list[list[str]] = []
    all_taken = asyncio.Event()

    async def start(keys: Sequence[str]) -> None:
        portions.append(list(keys))
        if len(portions) == 2:
            all_taken.set()
        await asyncio.Event().wait()

    async with ProcrastinateQueue.opened(url) as other:
        running = [asyncio.create_task(each.run(start)) for each in (queue, other)]
        while await count(pool, "procrastinate.procrastinate_workers") < 2:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
        await jobs.submit([a_spec(f"a-{number}") for number in range(5)])
        await feeder.feed()
        await all_taken.wait()
        for each in running:
            each.cancel()
        await asyncio.wait(running)

    assert sorted(portions) == [["a-0", "a-1", "a-2"], ["a-3", "a-4"]]


async def test_a_forgotten_job_goes_back_to_the_backlog(
    pool: Pool, jobs: PostgresJobStore, runs: PostgresRunStore, feeder: Feeder, queue: ProcrastinateQueue
) -> None:
    for key in ("kept", "lost"):
        await jobs.submit([a_spec(key)])
        await feeder.feed()
    async with pool.connection() as connection:
        await connection.execute("SET LOCAL search_path TO procrastinate")
        await connection.execute("DELETE FROM procrastinate_jobs WHERE args -> 'keys' ? 'lost'")
    returned: list[bool] = []
    await Reaper(runs, queue, retention_s=3600, on_returned=lambda: returned.append(True)).reap(
        silent_s=15, forgotten_s=0
    )

    assert await runs.queued_for(0) == ["kept"]
    assert returned == [True]
    assert await feeder.feed() == ["lost"]


async def test_entries_of_vanished_workers_are_swept(
    pool: Pool, jobs: PostgresJobStore, feeder: Feeder, queue: ProcrastinateQueue
) -> None:
    for key in "ab":
        await jobs.submit([a_spec(key)])
        await feeder.feed()
    async with pool.connection() as connection:
        await connection.execute("SET LOCAL search_path TO procrastinate")
        await connection.execute(
            "UPDATE procrastinate_jobs SET status = 'doing', worker_id = NULL WHERE args -> 'keys' ? 'a'"
        )
    assert await queue.sweep() == 1
    assert await queue.holds(["a", "b"]) == {"b"}


def rows_read(plan: dict[str, Any]) -> int:
    """The most rows that any step of an executed plan gave."""
    below = max(map(rows_read, plan.get("Plans", [])), default=0)
    return max(below, int(plan["Actual Rows"] * plan["Actual Loops"]))


async def test_feeding_reads_only_the_heads_of_the_groups(url: str) -> None:
    """A long backlog must not make each feeding slow."""
    async with await psycopg.AsyncConnection.connect(
        session_conninfo(url, schema="job"), autocommit=True
    ) as connection:
        await connection.execute(
            "INSERT INTO jobs (key, fairness_group, work)"
            " SELECT 'job-' || n, CASE n WHEN 1 THEN 'few' ELSE 'many' END, '{}' FROM generate_series(1, 50000) AS n"
        )
        await connection.execute("ANALYZE jobs")
        cursor = await connection.execute("EXPLAIN (ANALYZE, FORMAT JSON) " + _FEED, {"limit": WINDOW})
        [[[explained]]] = await cursor.fetchall()
    assert rows_read(explained["Plan"]) <= 2 * WINDOW
