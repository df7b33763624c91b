"""The end of tasks that run beside a server."""

import asyncio
from typing import Any, Final

CANCEL_AGAIN_S: Final = 1.0  # longer than any of them needs to end


async def end_tasks(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks that have no end of their own, and returns when they have ended, however that was.

    Cancels until it is heard: a TaskGroup (before Python 3.13) and some libraries lose a cancellation that comes just
    as something fails, and a loop that repeats what fails would go on for ever.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)  # what they raised at their end is of no use any more
