"""Loops that must not end: each is begun again after a pause that grows while it keeps failing."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

RESTART_FIRST_S: Final = 0.2
RESTART_MAX_S: Final = 5.0
_STEADY_S: Final = 30.0  # having run for so long, it has recovered

log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def supervise(name: str, loop: Callable[[], Awaitable[None]]) -> None:
    """Runs the loop for ever, whatever it raises; ends by cancellation only."""
    clock = asyncio.get_running_loop()
    pause_s = RESTART_FIRST_S
    while True:
        began = clock.time()
        try:
            await loop()
        except Exception as error:  # noqa: BLE001  (a loop that a database restart ends for good is a dead worker)
            log.warning("loop failed", loop=name, error=repr(error), retry_s=pause_s)
        if clock.time() - began > _STEADY_S:
            pause_s = RESTART_FIRST_S
        await asyncio.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311  (spreads restarts, guards nothing)
        pause_s = min(pause_s * 2, RESTART_MAX_S)
