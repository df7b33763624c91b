"""The port to the queue, which hands the next jobs to workers on any number of machines.

It holds a short window of keys; the table of jobs holds the backlog and the truth. A queue may give a key twice or
forget one: the claim of the table decides, and the reaper puts forgotten keys back.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import psycopg

Start = Callable[[Sequence[str]], Awaitable[None]]


class Queue(Protocol):
    async def enqueue(self, keys: Sequence[str], connection: psycopg.AsyncConnection[Any]) -> None:
        """Puts keys in, as part of the connection's transaction; each worker process gets its portion."""
        ...

    async def run(self, start: Start) -> None:
        """Takes one portion of keys after the other and awaits `start` for it, until the cancellation.

        Nothing is taken while a `start` lasts: so a process that is full leaves the keys to the others. A cancelled
        `start` lets go of the queue; the runs that it began go on. Raises when the database is gone.
        """
        ...

    async def holds(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that are in the queue."""
        ...

    async def sweep(self) -> int:
        """Removes what vanished workers left behind; gives how much that was."""
        ...
