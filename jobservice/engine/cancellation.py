"""Stops a thread that is inside a read, a write or a sleep."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class TransferCancelled(Exception):
    """The transfer was told to stop."""


class Cancellation:
    """A flag that also wakes whoever is blocked: it shuts down the sockets that are in use and ends sleeps."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._parts: list[Cancellation] = []

    def part(self) -> Cancellation:
        """Return a cancellation for a part of the transfer: it ends with the whole, and can be ended on its own."""
        part = Cancellation()
        with self._lock:
            self._parts.append(part)
            if self._event.is_set():
                part.cancel()
        return part

    def cancel(self) -> None:
        """Stop the transfer. May be called from any thread, more than once."""
        with self._lock:
            self._event.set()
            for sock in self._sockets:
                _shut_down(sock)
            for part in self._parts:
                part.cancel()

    def check(self) -> None:
        """Raise TransferCancelled if the transfer was told to stop."""
        if self._event.is_set():
            raise TransferCancelled

    def sleep(self, seconds: float) -> None:
        """Sleep, and raise TransferCancelled as soon as the transfer is told to stop."""
        if self._event.wait(seconds):
            raise TransferCancelled

    @contextmanager
    def guarding(self, sock: socket.socket) -> Iterator[None]:
        """Let `cancel` shut this socket down while the context lasts."""
        with self._lock:
            self._sockets.add(sock)
        try:
            self.check()
            yield
        except OSError:
            # A socket that `cancel` has shut down fails in many ways; all of them mean the same.
            self.check()
            raise
        finally:
            with self._lock:
                self._sockets.discard(sock)


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # not connected any more
        # The plain socket's method: that of an SSLSocket drops its TLS state under the thread that is using it.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
