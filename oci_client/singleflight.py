"""Many callers, one piece of work."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Flight(Generic[V]):
    task: "asyncio.Task[V]"
    waiters: int = 0


class SingleFlight(Generic[K, V]):
    """Callers that ask for the same key at the same time share one run of the work, and its result or error.

    A caller that is cancelled leaves the others alone; the last one takes the work with it, and leaves after it.
    """

    def __init__(self) -> None:
        self._flights: dict[K, _Flight[V]] = {}

    async def run(self, key: K, work: Callable[[], Coroutine[Any, Any, V]]) -> V:
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(asyncio.create_task(work()))
        flight.waiters += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.waiters -= 1
            if flight.waiters == 0 or flight.task.done():
                self._forget(key, flight)
            if flight.waiters == 0 and not flight.task.done():
                flight.task.cancel()
                await asyncio.wait([flight.task])
                # Looked at, so that nobody warns of an error that came of the cancellation.
                if not flight.task.cancelled():
                    flight.task.exception()

    def _forget(self, key: K, flight: _Flight[V]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
