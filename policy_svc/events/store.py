"""Where events are kept, and which of them wait for what."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from policy_svc.events.domain.batch import Batch
from policy_svc.events.domain.event import Event, EventSource, EventState


class EventStore(Protocol):
    async def add(self, events: Sequence[Event]) -> int:
        """Keeps all of them or none; returns how many are new, the others being known by registry and id."""
        ...

    async def get(self, uid: str) -> Event:
        """Raises EventNotFound."""
        ...

    async def page(
        self, *, before: int | None, limit: int, registry: str | None = None, states: Sequence[EventState] = ()
    ) -> list[Event]:
        """Events whose numbers are below `before`, the highest first; those of a registry or in states, if given."""
        ...


class SourceStore(Protocol):
    async def add(self, source: EventSource) -> None:
        """Raises EventSourceAlreadyExists when the registry has one."""
        ...

    async def find(self, registry: str) -> EventSource | None: ...

    async def page(self, *, after: str, limit: int) -> list[EventSource]:
        """Sources whose registries follow `after`, by registry."""
        ...

    async def delete(self, registry: str) -> None:
        """Raises EventSourceNotFound."""
        ...

    async def received(self, registry: str, now: datetime) -> None:
        """Notes that a notification came. Of those that come within a second it may note one."""
        ...


class Outbox(Protocol):
    """Hands out work under tokens; what is done with a token that has run out changes nothing."""

    async def claim_unrouted(self, *, token: str, now: datetime, until: datetime, limit: int) -> list[Event]:
        """Events of which nobody has found yet which policies they concern, the oldest first."""
        ...

    async def route(self, *, token: str, policies: Mapping[int, Sequence[str]], due: datetime) -> None:
        """Notes by event number which policies (their uids) wait for it; an event for which none waits is finished.

        The first batch of a policy is due at that time.
        """
        ...

    async def claim_batch(self, *, token: str, now: datetime, until: datetime, limit: int) -> Batch | None:
        """Events of a policy and a registry that are due, and that nobody else holds."""
        ...

    async def settle(self, batch: Batch, *, execution: str | None, problem: str = "", now: datetime) -> bool:
        """Finishes the batch, with the execution that it has started if there is one; False when the token is void."""
        ...

    async def postpone(self, batch: Batch, *, problem: str, until: datetime) -> bool:
        """Gives the batch back as it is, to be claimed again later; False when the token is void."""
        ...

    async def next_due(self) -> datetime | None:
        """When the next batch is due that nobody holds; None when no event waits."""
        ...

    async def expire(self, *, received_before: datetime, now: datetime, limit: int) -> int:
        """Gives up some of the events that came before that time, and returns how many."""
        ...

    async def forget(self, *, received_before: datetime, keep: int, limit: int) -> int:
        """Deletes some of the finished events that came before that time or are not among the newest; says how many."""
        ...
