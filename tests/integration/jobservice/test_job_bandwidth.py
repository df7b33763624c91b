"""Limits that hold over all processes: each takes an equal share, and gives it away when it is idle."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from jobservice.engine.throttle import Throttle
from jobservice.postgres import bandwidth
from jobservice.postgres.bandwidth import PostgresBandwidth
from service_kit.database import Pool, open_pool
from tests.postgres import Database

LIMIT = 1_000_000


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("jobservice"), schema="job") as pool:
        yield pool


def rate(throttle: Throttle | None) -> float:
    """Bytes a second, read off what a second's worth of bytes costs."""
    assert throttle is not None
    slept = throttle.take(LIMIT)
    return LIMIT / (throttle.take(LIMIT) - slept)


async def test_no_limit_is_no_throttle(pool: Pool) -> None:
    assert PostgresBandwidth(pool).throttle("policy", 0) is None


async def test_one_process_has_the_whole(pool: Pool) -> None:
    process = PostgresBandwidth(pool)
    throttle = process.throttle("policy", LIMIT)
    await process.share()

    assert rate(throttle) == pytest.approx(LIMIT, rel=0.01)


async def test_three_processes_have_a_third_each(pool: Pool) -> None:
    processes = [PostgresBandwidth(pool) for _ in range(3)]
    throttles = [process.throttle("policy", LIMIT) for process in processes]
    for process in [*processes, *processes]:
        await process.share()

    assert sum(rate(throttle) for throttle in throttles) == pytest.approx(LIMIT, rel=0.01)


async def test_limits_of_other_names_are_apart(pool: Pool) -> None:
    one, other = PostgresBandwidth(pool), PostgresBandwidth(pool)
    throttle = one.throttle("policy a", LIMIT)
    other.throttle("policy b", LIMIT)
    await other.share()
    await one.share()

    assert rate(throttle) == pytest.approx(LIMIT, rel=0.01)


async def test_an_idle_process_gives_its_share_away(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, idle = PostgresBandwidth(pool), PostgresBandwidth(pool)
    throttle = busy.throttle("policy", LIMIT)
    idle.throttle("policy", LIMIT)
    await idle.share()

    monkeypatch.setattr(bandwidth, "IDLE_S", -1.0)
    await idle.share()
    monkeypatch.undo()
    await busy.share()

    assert rate(throttle) == pytest.approx(LIMIT, rel=0.01)


async def test_a_changed_limit_keeps_the_share(pool: Pool) -> None:
    one, other = PostgresBandwidth(pool), PostgresBandwidth(pool)
    throttle = one.throttle("policy", LIMIT)
    other.throttle("policy", LIMIT)
    await other.share()
    await one.share()

    assert one.throttle("policy", 4 * LIMIT) is throttle
    assert rate(throttle) == pytest.approx(2 * LIMIT, rel=0.01)
