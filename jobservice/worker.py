"""The worker side of a process: its loops, each supervised, and how they end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from jobservice.feeder import Feeder
from jobservice.queue import Queue
from jobservice.reaper import Reaper
from jobservice.runner import Runner
from jobservice.supervise import supervise
from service_kit.tasks import end_tasks


class Worker:
    """Claims and runs jobs from `start` to `drain`."""

    def __init__(self, queue: Queue, feeder: Feeder, runner: Runner, reaper: Reaper) -> None:
        self._queue = queue
        self._feeder = feeder
        self._runner = runner
        self._reaper = reaper
        self._taking: list[asyncio.Task[None]] = []
        self._tending: list[asyncio.Task[None]] = []

    @classmethod
    @asynccontextmanager
    async def working(cls, queue: Queue, feeder: Feeder, runner: Runner, reaper: Reaper) -> AsyncIterator[Worker]:
        """Works within the block and drains at its end, unless that was done before."""
        worker = cls(queue, feeder, runner, reaper)
        worker.start()
        try:
            yield worker
        finally:
            await worker.drain()

    def start(self) -> None:
        self._taking = [
            _supervised("queue", lambda: self._queue.run(self._runner.start)),
            _supervised("feeder", self._feeder.run),
        ]
        self._tending = [
            _supervised("sampler", self._runner.sample),
            _supervised("reaper", self._reaper.run),
        ]

    async def drain(self) -> None:
        """Takes no more jobs and gives back those that run. Heartbeats go on until the last one is given back."""
        async with asyncio.TaskGroup() as group:
            group.create_task(end_tasks(*self._taking))
            group.create_task(self._runner.drain())
        await end_tasks(*self._tending)


def _supervised(name: str, loop: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
    return asyncio.create_task(supervise(name, loop), name=name)
