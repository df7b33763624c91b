"""Wakes whoever waits for a change of an execution, as PostgreSQL tells of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from execution_svc.domain.execution import ExecutionId
from service_kit.database import listen

CHANNEL: Final = "execution_changed"  # as in the migrations
LEAST_INTERVAL_S: Final = 0.1  # changes that come closer together wake once


class Subscription:
    """Remembers that something has changed until somebody has waited for it."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._not_before = 0.0

    def notify(self) -> None:
        self._changed.set()

    async def wait(self, timeout_s: float) -> None:
        """Returns after a change or the timeout, at most ten times a second. Then read the state: changes add up."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(timeout_s):
                await self._changed.wait()
        except TimeoutError:
            pass
        await asyncio.sleep(self._not_before - loop.time())
        self._not_before = loop.time() + LEAST_INTERVAL_S
        self._changed.clear()


class Changes:
    """One listening connection for all the waiting tasks of a process."""

    def __init__(self) -> None:
        self._of_one: dict[ExecutionId, set[Subscription]] = {}
        self._of_any: set[Subscription] = set()

    async def run(self, conninfo: str) -> None:
        """Listens until it is cancelled; while the database is away, nobody is woken."""
        async for payload in listen(conninfo, CHANNEL):
            self.notify(ExecutionId(payload) if payload else None)

    def notify(self, execution: ExecutionId | None) -> None:
        """Wakes those who wait for this execution; everybody when changes may have been missed."""
        if execution is None:
            woken = set().union(self._of_any, *self._of_one.values())
        else:
            woken = self._of_any | self._of_one.get(execution, set())
        for subscription in woken:
            subscription.notify()

    @contextmanager
    def subscribe(self, execution: ExecutionId | None = None) -> Iterator[Subscription]:
        """To changes of one execution, or of any."""
        subscription = Subscription()
        group = self._of_any if execution is None else self._of_one.setdefault(execution, set())
        group.add(subscription)
        try:
            yield subscription
        finally:
            group.discard(subscription)
            if execution is not None and not group:
                self._of_one.pop(execution, None)
