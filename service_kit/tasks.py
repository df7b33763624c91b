"""Loops that have no end of their own, and how they end."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

CANCEL_AGAIN_S: Final = 1.0  # longer than any of them needs to end


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks that have no end of their own, and returns when they have ended, however that was.

    Cancels until it is heard: a TaskGroup (before Python 3.13) and `asyncio.wait_for` (before Python 3.12), which
    libraries call, lose a cancellation that comes just as something fails or succeeds, and a loop would go on for ever.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)  # what they raised at their end is of no use any more


async def run_until_one_fails(*loops: Coroutine[Any, Any, None]) -> None:
    """Runs them side by side until one raises, ends the others, and raises the same.

    In place of a TaskGroup, which cancels the others only once, and waits for ever when one of them does not hear it.
    """
    tasks = [asyncio.create_task(loop) for loop in loops]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
    finally:
        await end_tasks(*tasks)
