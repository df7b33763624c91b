"""What the engine remembers in PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from jobservice.postgres.blob_claims import PostgresBlobClaims
from jobservice.postgres.blob_locations import PostgresBlobLocations
from jobservice.postgres.holds import PostgresHolds
from jobservice.postgres.uploads import PostgresUploads
from service_kit.database import Pool, open_pool
from tests.engine_kit import until
from tests.postgres import Database


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("jobservice"), schema="job") as pool:
        yield pool


async def test_a_session_is_kept_for_its_successor(pool: Pool) -> None:
    key = ("r", "library/app", "sha256:1")
    uploads = PostgresUploads(pool)
    assert await uploads.load(*key) is None

    await uploads.save(*key, "http://r/session?_state=1", 100)
    await uploads.save(*key, "http://r/session?_state=2", 200)
    assert await PostgresUploads(pool).load(*key) == ("http://r/session?_state=2", 200)

    await uploads.drop(*key)
    assert await uploads.load(*key) is None


async def test_an_old_session_is_not_asked_for_and_forgotten(pool: Pool) -> None:
    uploads = PostgresUploads(pool, lifetime_s=0.0)
    await uploads.save("r", "library/app", "sha256:1", "http://r/session", 100)

    assert await uploads.load("r", "library/app", "sha256:1") is None
    assert await uploads.purge() == 1


async def test_without_the_database_a_transfer_goes_on(pool: Pool) -> None:
    uploads = PostgresUploads(pool)
    await pool.close()

    await uploads.save("r", "library/app", "sha256:1", "http://r/session", 100)
    assert await uploads.load("r", "library/app", "sha256:1") is None


async def test_a_hold_reaches_the_other_workers(pool: Pool) -> None:
    one, two = PostgresHolds(pool), PostgresHolds(pool)
    heard: dict[str, float] = {}
    tasks = [asyncio.create_task(one.run(lambda *_: None)), asyncio.create_task(two.run(heard.__setitem__))]
    one.announce("r", 60.0)
    one.announce("r", 30.0)

    await until(lambda: heard)

    assert heard.keys() == {"r"}
    assert 55 < heard["r"] <= 60
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_shorter_hold_does_not_end_a_longer_one(pool: Pool) -> None:
    heard: dict[str, float] = {}
    for seconds in (60.0, 10.0):
        holds = PostgresHolds(pool)
        holds.announce("r", seconds)
        await holds.exchange(heard.__setitem__)
    assert heard["r"] > 55


async def test_a_hold_that_is_over_is_not_told(pool: Pool) -> None:
    heard: dict[str, float] = {}
    holds = PostgresHolds(pool)
    holds.announce("r", 0.0)
    await holds.exchange(heard.__setitem__)
    assert heard == {}


async def test_locations_reach_other_workers_with_the_flush(pool: Pool) -> None:
    one, two = PostgresBlobLocations(pool), PostgresBlobLocations(pool)
    one.remember("r", "library/a", ["d"])
    assert (await one.find("r", "library/b", ["d"]))["d"] == ["library/a"]

    await one.flush()
    two.remember("r", "library/b", ["d"])
    assert list((await two.find("r", "library/b", ["d"]))["d"]) == ["library/b"]
    assert list((await two.find("r", "library/c", ["d"]))["d"]) == ["library/a", "library/b"]


async def test_a_location_that_is_forgotten_is_so_at_once_and_for_all(pool: Pool) -> None:
    one, two = PostgresBlobLocations(pool), PostgresBlobLocations(pool)
    one.remember("r", "library/a", ["d"])
    await one.flush()
    one.forget("r", "library/a", ["d"])
    assert (await one.find("r", "library/a", ["d"]))["d"] == []

    await one.flush()
    assert (await two.find("r", "library/a", ["d"])).get("d", []) == []


async def test_a_location_that_is_remembered_again_is_found_again(pool: Pool) -> None:
    locations = PostgresBlobLocations(pool)
    locations.remember("r", "library/a", ["d"])
    locations.forget("r", "library/a", ["d"])
    locations.remember("r", "library/a", ["d"])
    await locations.flush()
    assert list((await PostgresBlobLocations(pool).find("r", "library/a", ["d"]))["d"]) == ["library/a"]


async def test_one_worker_at_a_time_sends_a_blob(pool: Pool) -> None:
    one, two = PostgresBlobClaims(pool), PostgresBlobClaims(pool)
    order: list[str] = []

    async def send(claims: PostgresBlobClaims, name: str) -> bool:
        async with claims.claim("r", "d") as waited:
            order.append(f"{name} begins")
            await asyncio.sleep(0.05)
            order.append(f"{name} ends")
        return waited

    waited = await asyncio.gather(send(one, "one"), send(two, "two"))

    assert sorted(waited) == [False, True]
    assert order[0].split()[0] == order[1].split()[0]


async def test_claims_of_other_blobs_and_registries_do_not_wait(pool: Pool) -> None:
    claims = PostgresBlobClaims(pool)
    async with asyncio.timeout(5), claims.claim("r", "d"), claims.claim("r", "e"), claims.claim("s", "d"):
        pass


async def test_a_claim_is_free_after_a_cancelled_transfer(pool: Pool) -> None:
    claims = PostgresBlobClaims(pool)

    async def send() -> None:
        async with claims.claim("r", "d"):
            await asyncio.Event().wait()

    task = asyncio.create_task(send())
    await until(lambda: claims._held)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    async with asyncio.timeout(5), PostgresBlobClaims(pool).claim("r", "d") as waited:
        assert not waited


async def test_a_claim_that_cannot_be_released_does_not_spoil_the_transfer(pool: Pool) -> None:
    async with PostgresBlobClaims(pool).claim("r", "d"):
        await pool.close()
