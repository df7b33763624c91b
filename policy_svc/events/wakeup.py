"""Tells a loop of this process that there is work."""

import asyncio
from contextlib import suppress


class Wakeup:
    """Remembers that there is work until the loop has waited for it."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def __call__(self) -> None:
        self._event.set()

    async def wait(self, timeout_s: float) -> None:
        """Returns when there is work, or after the timeout: other processes have work too, and wake nobody here."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        self._event.clear()
