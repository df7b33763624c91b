"""Work that many wait for."""

import asyncio

import pytest

from oci_client.singleflight import SingleFlight


class Work:
    def __init__(self) -> None:
        self.started = 0
        self.cancelled = 0
        self.release = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.started += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure:
            raise self.failure
        return self.started


@pytest.fixture
async def work() -> Work:
    return Work()


async def test_all_get_the_one_result(work: Work) -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    tasks = [asyncio.create_task(flights.run("key", work)) for _ in range(3)]
    await asyncio.sleep(0)
    work.release.set()

    assert await asyncio.gather(*tasks) == [1, 1, 1]
    assert await flights.run("key", work) == 2


async def test_keys_do_not_wait_for_each_other(work: Work) -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    work.release.set()

    assert sorted(await asyncio.gather(flights.run("a", work), flights.run("b", work))) == [1, 2]


async def test_all_get_the_one_error_and_the_next_tries_again(work: Work) -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    work.failure = OSError("no")
    work.release.set()

    failures = await asyncio.gather(*[flights.run("key", work) for _ in range(3)], return_exceptions=True)
    work.failure = None

    assert all(isinstance(failure, OSError) for failure in failures)
    assert await flights.run("key", work) == 2


async def test_the_last_to_leave_cancels_the_work(work: Work) -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    first, second = [asyncio.create_task(flights.run("key", work)) for _ in range(2)]
    await asyncio.sleep(0)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    assert work.cancelled == 0
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    await asyncio.sleep(0)

    assert (work.started, work.cancelled) == (1, 1)
    work.release.set()
    assert await flights.run("key", work) == 2


async def test_the_last_asker_leaves_after_the_work(work: Work) -> None:
    flights: SingleFlight[str, int] = SingleFlight()
    ended = False

    async def tidy() -> int:
        nonlocal ended
        try:
            return await work()
        finally:
            await asyncio.sleep(0.01)
            ended = True

    task = asyncio.create_task(flights.run("key", tidy))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert ended
