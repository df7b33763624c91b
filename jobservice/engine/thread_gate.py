"""A registry's gate, as the threads that move blobs use it: the gate itself belongs to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from jobservice.engine.cancellation import Cancellation
from jobservice.engine.window import RegistryGate
from oci_client.gate import Action, Outcome


class TransferGate(Protocol):
    """What a transfer heeds and tells while it holds a place. All its methods are for threads."""

    def wait_for_release(self, cancellation: Cancellation) -> None:
        """Wait while the registry is held."""

    def observe(self, outcome: Outcome) -> None:
        """Tell how a request went."""

    def try_enter(self) -> bool:
        """Take another place if one is free right now; `leave` it."""

    def leave(self) -> None:
        """Give back a place that was had by `try_enter`."""


class ThreadGate:
    """The gate of one registry, for one kind of request. Implements TransferGate. Made on the event loop."""

    def __init__(self, gate: RegistryGate, action: Action) -> None:
        self._gate = gate
        self._action = action
        self._loop = asyncio.get_running_loop()

    def wait_for_release(self, cancellation: Cancellation) -> None:
        """Wait while the registry is held; raises TransferCancelled as soon as the transfer is told to stop."""
        # A hold may be made longer while it lasts.
        while (pause := self._gate.held_for_s()) > 0:
            cancellation.sleep(pause)

    def observe(self, outcome: Outcome) -> None:
        """Tell the gate how a request went."""
        self._soon(self._gate.observe, self._action, outcome)

    def try_enter(self) -> bool:
        """Take another place if one is free right now; `leave` it."""
        return self._gate.try_enter(self._action)

    def leave(self) -> None:
        """Give back a place that was had by `try_enter`."""
        self._soon(self._gate.leave, self._action)

    def _soon(self, change: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop has ended, and nobody will ask for anything again
            self._loop.call_soon_threadsafe(change, *arguments)


class OpenTransferGate:
    """Holds nothing back: for hosts that are no registry of ours. Implements TransferGate."""

    def wait_for_release(self, cancellation: Cancellation) -> None:
        """Wait for nothing."""

    def observe(self, outcome: Outcome) -> None:
        """Learn nothing."""

    def try_enter(self) -> bool:
        """Let everybody in."""
        return True

    def leave(self) -> None:
        """There is always another place."""


OPEN: Final = OpenTransferGate()
