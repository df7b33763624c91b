"""Wakes whoever waits for a change of an execution, as PostgreSQL tells of them."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from execution_svc.domain.execution import ExecutionId
from service_kit.database import listen

CHANNEL: Final = "execution_changed"  # as in the migrations
WATCH_INTERVAL_S: Final = 0.1  # watchers are told of changes at most ten times a second, of the end at once
WORK_INTERVAL_S: Final = 0.01  # who has work to do is woken at once; what changes in the same moment is one change

_ENDED: Final = "!"  # before the id of an execution that has ended


class Subscription:
    """Remembers that something has changed until somebody has waited for it."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._not_before = 0.0

    def notify(self, *, ended: bool = False) -> None:
        self._changed.set()
        if ended:
            self._ended.set()

    async def wait(self, timeout_s: float) -> None:
        """Returns after a change or the timeout. Then read the state: changes that come close together add up."""
        await _wait(self._changed, timeout_s)
        await _wait(self._ended, self._not_before - asyncio.get_running_loop().time())
        self._not_before = asyncio.get_running_loop().time() + self._interval_s
        self._changed.clear()
        self._ended.clear()


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()


class Changes:
    """One listening connection for all the waiting tasks of a process."""

    def __init__(self) -> None:
        self._of_one: dict[ExecutionId, set[Subscription]] = {}
        self._of_any: set[Subscription] = set()

    async def run(self, conninfo: str) -> None:
        """Listens until it is cancelled; while the database is away, nobody is woken."""
        async for payload in listen(conninfo, CHANNEL):
            name = payload.removeprefix(_ENDED)
            self.notify(ExecutionId(name) if name else None, ended=name != payload)

    def notify(self, execution: ExecutionId | None, *, ended: bool = False) -> None:
        """Wakes those who wait for this execution; everybody when changes may have been missed."""
        if execution is None:
            woken = set().union(self._of_any, *self._of_one.values())
        else:
            woken = self._of_any | self._of_one.get(execution, set())
        for subscription in woken:
            subscription.notify(ended=ended)

    @contextmanager
    def subscribe(self, execution: ExecutionId | None = None) -> Iterator[Subscription]:
        """To changes of one execution, for those who watch it, or of any, for those who work on it."""
        subscription = Subscription(WORK_INTERVAL_S if execution is None else WATCH_INTERVAL_S)
        group = self._of_any if execution is None else self._of_one.setdefault(execution, set())
        group.add(subscription)
        try:
            yield subscription
        finally:
            group.discard(subscription)
            if execution is not None and not group:
                self._of_one.pop(execution, None)
