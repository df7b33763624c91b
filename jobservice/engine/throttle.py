"""Limits on bytes a second, for all threads of a process; the share of the process is set from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

BURST_S: Final = 0.25  # of bytes at full rate may go at once after a pause, so that short ones are made up for


class Throttle:
    """Paces bytes. Shared by threads; each is told how long to sleep for what it has just moved."""

    def __init__(self, bytes_per_second: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._rate = bytes_per_second
        self._paid_until = clock()
        self.used_at = clock()

    def set_rate(self, bytes_per_second: float) -> None:
        """Change the rate for what is moved from now on."""
        with self._lock:
            self._rate = bytes_per_second

    def take(self, number: int) -> float:
        """Account for so many bytes and return the seconds to sleep before any more are moved."""
        with self._lock:
            now = self.used_at = self._clock()
            self._paid_until = max(self._paid_until, now - BURST_S) + number / self._rate
            return max(0.0, self._paid_until - now)


class Bandwidth(Protocol):
    """Gives out the throttles of limits that hold over all workers together."""

    def throttle(self, name: str, bytes_per_second: int) -> Throttle | None:
        """Return the throttle of the limit with this name, the same one for all in this process; None for no limit."""
