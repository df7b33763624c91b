"""News of changed jobs: PostgreSQL notifies each process once, and the process tells its streams and its workers.

A notification only wakes; what has changed is read from the table. So a lost one costs time and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

CHANNEL: Final = "transship_job_changed"

_MAX_PAYLOAD_CHARS: Final = 7900  # PostgreSQL refuses 8,000 bytes; keys are ASCII
_URGENT: Final = "!"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Jobs that have changed; None when they are too many to name. Urgent unless it is only progress or a log line."""

    keys: frozenset[str] | None
    urgent: bool

    def to_payload(self) -> str:
        keys = ",".join(sorted(self.keys or ()))
        return (_URGENT if self.urgent else "") + (keys if len(keys) <= _MAX_PAYLOAD_CHARS else "")

    @classmethod
    def from_payload(cls, payload: str) -> Change:
        """The change; an empty payload, which the listener gives after each connect, is any change."""
        keys = payload.removeprefix(_URGENT)
        return cls(keys=frozenset(keys.split(",")) if keys else None, urgent=payload.startswith(_URGENT) or not keys)


class Subscription:
    """What has changed, of some keys, since it was last taken."""

    def __init__(self, keys: Collection[str]) -> None:
        self._keys = keys  # shared with the subscriber, who adds and removes
        self._changed: set[str] = set()
        self._woken = asyncio.Event()
        self._urgent = asyncio.Event()

    def tell(self, change: Change) -> None:
        self._changed.update(self._keys if change.keys is None else change.keys.intersection(self._keys))
        if not self._changed:
            return
        self._woken.set()
        if change.urgent:
            self._urgent.set()

    def wake(self) -> None:
        """Ends the waiting without a change."""
        self._woken.set()
        self._urgent.set()

    async def wait(self, timeout_s: float) -> None:
        """Returns at the first change, or when the time is over."""
        await _wait(self._woken, timeout_s)

    async def wait_urgent(self, timeout_s: float) -> None:
        """Returns at the first urgent change, or when the time is over."""
        await _wait(self._urgent, timeout_s)

    def take(self) -> frozenset[str]:
        """The keys that have changed; from here on they have not."""
        taken = frozenset(self._changed)
        self._changed.clear()
        self._woken.clear()
        self._urgent.clear()
        return taken


class Changes:
    """Fans the notifications of one listener out to its subscribers."""

    def __init__(self) -> None:
        self._subscriptions: set[Subscription] = set()

    @contextmanager
    def subscribed(self, keys: Collection[str]) -> Iterator[Subscription]:
        """Tells of changes of the keys that are in the collection when the change comes."""
        subscription = Subscription(keys)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)

    def publish(self, change: Change) -> None:
        for subscription in self._subscriptions:
            subscription.tell(change)

    async def follow(self, payloads: AsyncIterator[str]) -> None:
        """Publishes what a listener on `CHANNEL` gives, for as long as it does."""
        async for payload in payloads:
            self.publish(Change.from_payload(payload))


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return
