"""Threads that move blobs, and the bridge between them and the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from jobservice.engine.cancellation import Cancellation
from jobservice.engine.limits import AS_USUAL, TransferLimits
from oci_client.auth import Authorizer, Scope
from oci_client.errors import RegistryTimeout

T = TypeVar("T")

THREADS: Final = 32  # of one process; most wait for a registry that is far away, and the gates bound the rest
STOP_TIMEOUT_S: Final = 0.5  # to let go of a socket takes milliseconds; only a connect in progress takes longer
AUTHORIZATION_FRESH_S: Final = 30.0  # tokens are good for a minute at the least; older ones are asked for again
AUTHORIZATION_TIMEOUT_S: Final = 60.0  # bounds a thread's wait for the event loop


class Mover:
    """Runs blocking transfers in threads of its own."""

    def __init__(self, threads: int = THREADS, *, limits: TransferLimits = AS_USUAL) -> None:
        self.limits = limits
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="blob")

    async def run(self, transfer: Callable[[], T], cancellation: Cancellation) -> T:
        """Run `transfer` and return what it returns. When the caller is cancelled, so is the transfer, at once."""
        future = asyncio.get_running_loop().run_in_executor(self._pool, transfer)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            cancellation.cancel()
            future.add_done_callback(_retrieve)
            await asyncio.wait([future], timeout=STOP_TIMEOUT_S)
            raise

    def close(self) -> None:
        """Let the threads end; transfers that still run were cancelled before."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class ThreadAuthorization:
    """Gives threads the Authorization for some scopes; the event loop is asked only when the value at hand is old."""

    def __init__(self, authorizer: Authorizer, scopes: frozenset[Scope]) -> None:
        self._authorizer = authorizer
        self._scopes = scopes
        self._loop = asyncio.get_running_loop()
        self._value: str | None = None
        self._fetched_at = float("-inf")

    async def prepare(self) -> None:
        """Fetch the value, from the event loop."""
        self._value = await self._authorizer.authorize(self._scopes)
        self._fetched_at = time.monotonic()

    def __call__(self, rejected: str | None) -> str | None:
        """Return the value, from a thread; another one than `rejected` if there is one."""
        if rejected is not None or time.monotonic() - self._fetched_at > AUTHORIZATION_FRESH_S:
            asked = asyncio.run_coroutine_threadsafe(
                self._authorizer.authorize(self._scopes, rejected=rejected), self._loop
            )
            try:
                self._value = asked.result(AUTHORIZATION_TIMEOUT_S)
            except TimeoutError as exc:
                asked.cancel()
                raise RegistryTimeout("no authorization could be had in time") from exc
            self._fetched_at = time.monotonic()
        return self._value


def _retrieve(future: asyncio.Future[T]) -> None:
    """Look at an abandoned transfer's error, so that nobody warns of it."""
    if not future.cancelled():
        future.exception()
