"""Writes the ends of runs down. Those that come close together share a transaction, which costs the disk one trip."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from jobservice.store import End

GATHER_S: Final = 0.005  # waited for more ends; less than it costs to write one


class KeepsEnds(Protocol):
    """Where ends are written."""

    async def finish(self, ends: Sequence[End]) -> frozenset[str]: ...


class Ends:
    """One transaction at a time; what comes while it lasts goes into the next."""

    def __init__(self, store: KeepsEnds) -> None:
        self._store = store
        self._waiting: list[tuple[End, asyncio.Future[bool]]] = []
        self._writing = asyncio.Lock()

    async def write(self, end: End) -> bool:
        """Returns when it is written: whether the run still held its job. Raises what the store raises."""
        written: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((end, written))
        async with self._writing:
            if not written.done():
                await asyncio.sleep(GATHER_S)
                await self._write_waiting()
        return await written

    async def _write_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            held = await self._store.finish([end for end, _ in waiting])
        except Exception as error:  # noqa: BLE001  (raised again by each that waits)
            for _, written in waiting:
                written.set_exception(error)
        except BaseException:
            self._waiting = waiting + self._waiting
            raise
        else:
            for end, written in waiting:
                written.set_result(end.beat.key in held)
