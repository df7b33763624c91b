"""How many requests a registry gets at once: as many as it takes, found out for each kind of request.

The window opens quickly while all goes well and is halved when the registry says that it is too much, as TCP does with
a network. A pause that the registry asks for holds back every request to it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from jobservice.engine.backoff import MAX_RETRY_AFTER_S
from oci_client.gate import Action, Outcome
from oci_client.headers import RateLimit

FIRST_REQUESTS: Final = 8  # at once, before anything is known of the registry
MAX_REQUESTS: Final = 64  # small ones at once; a registry 40 ms away then answers some 1,500 a second
MAX_BLOBS: Final = 16  # at once each way; more streams only share the same line
MIN_REQUESTS: Final = 1
SAME_HOLD_S: Final = 0.5  # answers of one moment differ by less

_BLOB_ACTIONS: Final = frozenset({Action.GET_BLOB, Action.PUT_BLOB})
_TOO_MANY: Final = 429
_OVERLOADED: Final = frozenset({_TOO_MANY, 503})
_REDIRECTS: Final = range(300, 400)  # half of a request: the other half tells how it went


class Window:
    """Lets a number of requests through at once; those that wait go by priority, the lowest first, then by age.

    It belongs to the event loop; only `try_enter` is for any thread.
    """

    def __init__(self, most: int) -> None:
        self.size = float(min(FIRST_REQUESTS, most))
        self._most = most
        self._slow_start = True
        self._in_flight = 0
        self._lock = threading.Lock()  # of what threads may change: the number in flight
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._narrowed_at = float("-inf")

    @asynccontextmanager
    async def slot(self, priority: int = 0) -> AsyncIterator[None]:
        """Wait for a place, and keep it as long as the context lasts."""
        await self.enter(priority)
        try:
            yield
        finally:
            self.leave()

    def widen(self) -> None:
        """A request went well: double the window with each round of them at first, later add one a round."""
        self.size = min(self._most, self.size + (1 if self._slow_start else 1 / self.size))
        self._admit()

    def narrow(self, sent_at: float, now: float) -> None:
        """The registry had too much: halve the window, but only once for all that was under way at the time."""
        if sent_at <= self._narrowed_at:
            return
        self._slow_start = False
        self._narrowed_at = now
        self.size = max(MIN_REQUESTS, self.size / 2)

    def try_enter(self) -> bool:
        """Take a place if one is free and nobody waits for it; `leave` it. May be called from any thread."""
        with self._lock:
            if self._in_flight >= int(self.size) or self._waiting:
                return False
            self._in_flight += 1
            return True

    async def enter(self, priority: int = 0) -> None:
        """Wait for a place; `leave` it."""
        if self.try_enter():
            return
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (priority, next(self._order), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # The place was given just as its waiter was cancelled.
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place to the next."""
        with self._lock:
            self._in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        with self._lock:
            while self._waiting and self._in_flight < int(self.size):
                _, _, turn = heapq.heappop(self._waiting)
                if not turn.done():
                    self._in_flight += 1
                    turn.set_result(None)


class RegistryGate:
    """The windows of one registry, one for each kind of request. Implements oci_client's Gate."""

    def __init__(
        self, *, on_hold: Callable[[float], None] = lambda _: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._on_hold = on_hold
        self._held_until = 0.0
        self._windows = {action: Window(MAX_BLOBS if action in _BLOB_ACTIONS else MAX_REQUESTS) for action in Action}

    def slot(self, action: Action, priority: int = 0) -> AbstractAsyncContextManager[None]:
        """Wait until the registry is not held and its window has a place."""
        return _Slot(self, self._windows[action], priority)

    def try_enter(self, action: Action) -> bool:
        """Take a place for such a request if one is free right now; `leave` it. May be called from any thread."""
        return self.held_for_s() <= 0 and self._windows[action].try_enter()

    def leave(self, action: Action) -> None:
        """Give back a place that was had by `try_enter`."""
        self._windows[action].leave()

    async def wait_for_release(self) -> None:
        """Wait while the registry is held."""
        # A hold may be made longer while it lasts.
        while (pause := self.held_for_s()) > 0:  # noqa: ASYNC110 - time ends it, not an event
            await asyncio.sleep(pause)

    def held_for_s(self) -> float:
        """Return how long the registry is still held; no more than 0 when it is not. May be asked from any thread."""
        return self._held_until - self._clock()

    def observe(self, action: Action, outcome: Outcome) -> None:
        """Learn from how a request went."""
        now = self._clock()
        window = self._windows[action]
        if outcome.status is None or outcome.status in _OVERLOADED:
            window.narrow(now - outcome.elapsed_s, now)
        elif outcome.status < _TOO_MANY and outcome.status not in _REDIRECTS:
            window.widen()
        pause = _pause_s(outcome)
        # Many requests at once are told the same.
        if pause and self.hold(pause):
            self._on_hold(min(pause, MAX_RETRY_AFTER_S))

    def hold(self, seconds: float) -> bool:
        """Send nothing to the registry for so long; a longer hold stays. Tells whether this one is news."""
        until = self._clock() + min(seconds, MAX_RETRY_AFTER_S)
        is_news = until > self._held_until + SAME_HOLD_S
        self._held_until = max(self._held_until, until)
        return is_news

    def window_size(self, action: Action) -> float:
        """Return how many such requests are let through at once."""
        return self._windows[action].size


class _Slot(AbstractAsyncContextManager[None]):
    """A class, because there is one for every request, and a generator costs three times as much."""

    __slots__ = ("_gate", "_priority", "_window")

    def __init__(self, gate: RegistryGate, window: Window, priority: int) -> None:
        self._gate = gate
        self._window = window
        self._priority = priority

    async def __aenter__(self) -> None:
        await self._window.enter(self._priority)
        try:
            await self._gate.wait_for_release()
        except BaseException:
            self._window.leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._window.leave()


def _pause_s(outcome: Outcome) -> float | None:
    if outcome.status in _OVERLOADED and outcome.retry_after:
        return outcome.retry_after
    return _until_refill_s(outcome.rate_limit) if outcome.rate_limit else None


def _until_refill_s(limit: RateLimit) -> float | None:
    """Return a pause for a quota that is used up: until it is reset, or about one more request fits into its window."""
    if limit.remaining > 0:
        return None
    if limit.reset_s is not None or not limit.window_s:
        return limit.reset_s
    return limit.window_s / limit.limit if limit.limit else MAX_RETRY_AFTER_S
