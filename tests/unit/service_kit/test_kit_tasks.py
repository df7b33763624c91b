"""Loops that have no end of their own."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any

import pytest

from service_kit import tasks
from service_kit.tasks import end_tasks, run_until_one_fails


async def repeated(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """What fails is begun again; it may fail just as it is cancelled."""
    while True:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(work())
        except* OSError:
            pass


async def breaks_when_cancelled() -> None:
    try:
        await asyncio.Event().wait()
    finally:
        raise OSError("broken at that very moment")


async def test_a_loop_ends_although_its_first_cancellation_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "CANCEL_AGAIN_S", 0.01)
    failures: Iterator[Callable[[], Awaitable[object]]] = iter([breaks_when_cancelled, breaks_when_cancelled])

    async def work() -> None:
        await next(failures, asyncio.Event().wait)()

    task = asyncio.create_task(repeated(work))
    await asyncio.sleep(0)

    async with asyncio.timeout(10):
        await end_tasks(task)

    assert task.cancelled()


async def test_what_a_task_raises_at_its_end_is_not_raised_again() -> None:
    task = asyncio.create_task(breaks_when_cancelled())
    await asyncio.sleep(0)

    await end_tasks(task)

    assert isinstance(task.exception(), OSError)


async def test_a_task_that_has_ended_is_fine() -> None:
    task = asyncio.create_task(asyncio.sleep(0))
    await task
    await end_tasks(task)
    await end_tasks()


async def deaf_to_one_cancellation(begun: asyncio.Event) -> None:
    """As a loop is when the cancellation comes just as what it waits for succeeds."""
    begun.set()
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()


async def test_a_failure_is_raised_although_another_loop_does_not_hear_its_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tasks, "CANCEL_AGAIN_S", 0.01)
    begun = asyncio.Event()

    async def breaks() -> None:
        await begun.wait()
        raise OSError("the stream broke")

    async with asyncio.timeout(10):
        with pytest.raises(OSError, match="the stream broke"):
            await run_until_one_fails(deaf_to_one_cancellation(begun), breaks())


async def test_loops_end_with_whoever_runs_them() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def loop() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(run_until_one_fails(loop(), loop()))
    await begun.wait()
    await end_tasks(task)

    assert task.cancelled()
    assert ended.is_set()
