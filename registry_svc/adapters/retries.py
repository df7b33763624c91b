"""Second chances: for what may go better in a moment, with patience that ends."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeVar

from oci_client.errors import (
    EndlessPaging,
    OciError,
    RegistryError,
    ServerFault,
    TlsFailure,
    TooManyRequests,
    TruncatedBody,
    Unreachable,
)

ATTEMPTS: Final = 4
FIRST_DELAY_S: Final = 0.5
# A registry that asks for more is better told to the caller than waited for. Docker Hub's API counts by the minute.
MAX_DELAY_S: Final = 60.0
MAX_RETRIES: Final = 100  # of one listing: a registry that is down must not be waited for once a repository
MAX_NAMES: Final = 1_000_000  # of one list; they are remembered, and a list beyond that is broken or hostile

_TRANSIENT: Final = (TooManyRequests, ServerFault, Unreachable, TruncatedBody)

Sleep = Callable[[float], Awaitable[None]]

_T = TypeVar("_T")


class Retries:
    """The patience of one use of a registry, shared by all that is done in it at once."""

    def __init__(self, sleep: Sleep = asyncio.sleep) -> None:
        self._sleep = sleep
        self._left = MAX_RETRIES

    async def run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """The result of the work, which may run several times. Raises its last error."""
        attempt = 1
        while True:
            try:
                return await work()
            except OciError as error:
                await self._wait_or_raise(error, attempt)
            attempt += 1

    async def pages(
        self, open_list: Callable[[], AsyncIterator[list[_T]]], *, key: Callable[[_T], str] = str
    ) -> AsyncGenerator[list[_T], None]:
        """The pages of a list. After a failure it is read anew, and what was given out already is left out.

        That also holds for what a page repeats, since somebody has pushed between two pages. `key` tells what is the
        same.

        Raises:
            EndlessPaging: it has more than MAX_NAMES items.
        """
        seen: set[str] = set()
        attempt = 1
        while True:
            try:
                async with aclosing(_unseen(open_list(), seen, key)) as pages:
                    async for page in pages:
                        yield page
            except OciError as error:
                await self._wait_or_raise(error, attempt)
            else:
                return
            attempt += 1

    async def _wait_or_raise(self, error: OciError, attempt: int) -> None:
        delay_s = _delay_s(error, attempt)
        if delay_s is None or attempt == ATTEMPTS or self._left == 0:
            raise error
        self._left -= 1
        await self._sleep(delay_s)


async def _unseen(
    pages: AsyncIterator[list[_T]], seen: set[str], key: Callable[[_T], str]
) -> AsyncGenerator[list[_T], None]:
    async for page in pages:
        fresh = [item for item in page if _is_new(key(item), seen)]
        if len(seen) > MAX_NAMES:
            raise EndlessPaging(f"the list has more than {MAX_NAMES} names")
        yield fresh


def _is_new(name: str, seen: set[str]) -> bool:
    """Also remembers it."""
    before = len(seen)
    seen.add(name)
    return len(seen) > before


def _delay_s(error: OciError, attempt: int) -> float | None:
    """How long to wait before another try; None when that is of no use."""
    if not isinstance(error, _TRANSIENT) or isinstance(error, TlsFailure):
        return None
    if isinstance(error, RegistryError) and error.retry_after is not None:
        return error.retry_after if error.retry_after <= MAX_DELAY_S else None
    spread = random.uniform(0.5, 1.0)  # noqa: S311 - keeps many callers apart, guards nothing
    return float(FIRST_DELAY_S * 2 ** (attempt - 1) * spread)
