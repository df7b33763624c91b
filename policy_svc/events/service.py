"""The use cases of events."""

import hashlib
import hmac
import re
import secrets
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from policy_svc.domain.errors import registry_not_found
from policy_svc.events.domain.errors import EventSourceNotFound
from policy_svc.events.domain.event import Event, EventSource, EventState, Notice
from policy_svc.events.domain.rules import violations
from policy_svc.events.notifications import read
from policy_svc.events.store import EventStore, SourceStore
from service_kit.clock import Clock
from service_kit.errors import InvalidRequest, Unauthenticated
from service_kit.secret import Secret

SOURCES_AT_ONCE: Final = 100  # read; each costs a small call to the registry service
SECRET_BYTES: Final = 32  # as many as the hash has: nobody guesses either

_REGISTRY_UID: Final = re.compile(r"registries/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Registries(Protocol):
    async def find(self, name: str) -> str | None:
        """The true name of a registry that may be named by its uid; None when there is no such registry."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A notice with the registry that it is of, as its sender names it."""

    registry: str
    notice: Notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of events that came in: stored, known already, or none that anybody waits for."""

    stored: int
    known: int
    ignored: int = 0


class EventService:
    """Takes events in. `wake` is called when there are new ones to deliver."""

    def __init__(
        self, store: EventStore, sources: SourceStore, registries: Registries, clock: Clock, wake: Callable[[], None]
    ) -> None:
        self._store = store
        self._sources = sources
        self._registries = registries
        self._clock = clock
        self._wake = wake

    async def publish(self, published: Sequence[Published]) -> Receipt:
        """Stores all of them or none.

        Raises:
            InvalidRequest: something in one of them is wrong.
            ServiceError: of the reason REGISTRY_NOT_FOUND, or the registry service does not answer.
        """
        if found := [
            violation
            for index, each in enumerate(published)
            for violation in violations(each.notice, f"events[{index}].")
        ]:
            raise InvalidRequest(violations=found)
        names = await self._true_names(published)
        return await self._add([(names[each.registry], each.notice) for each in published])

    async def receive(self, source: EventSource, body: bytes) -> Receipt:
        """Stores what a registry tells about itself.

        Raises:
            InvalidRequest: the body is nothing that a registry sends.
        """
        now = self._clock.now()
        notification = read(body, now)
        receipt = await self._add([(source.registry, notice) for notice in notification.notices])
        await self._sources.received(source.registry, now)
        return Receipt(stored=receipt.stored, known=receipt.known, ignored=notification.ignored)

    async def get(self, uid: str) -> Event:
        return await self._store.get(uid)

    async def page(
        self, *, before: int | None, limit: int, registry: str | None, states: Sequence[EventState]
    ) -> list[Event]:
        """The newest first; those of a registry, named by its name or uid, and in states, if they are given."""
        if registry and _REGISTRY_UID.fullmatch(registry):
            registry = await self._registries.find(registry) or registry
        return await self._store.page(before=before, limit=limit, registry=registry, states=states)

    async def create_source(self, registry: str) -> tuple[EventSource, Secret]:
        """The source, and the secret that is told this once."""
        name = await self._registries.find(registry)
        if name is None:
            raise registry_not_found({"registry": registry})
        secret = secrets.token_urlsafe(SECRET_BYTES)
        source = EventSource(registry=name, secret_hash=_hash(secret), create_time=self._clock.now())
        await self._sources.add(source)
        return source, Secret(secret)

    async def authenticate(self, registry: str, secret: str) -> EventSource:
        """The source of the registry.

        Raises:
            EventSourceNotFound: there is none.
            Unauthenticated: the secret is not the one.
        """
        source = await self._sources.find(registry)
        if source is None:
            raise EventSourceNotFound(registry=registry)
        if not hmac.compare_digest(source.secret_hash, _hash(secret)):
            raise Unauthenticated
        return source

    async def page_of_sources(self, *, after: str, limit: int) -> list[EventSource]:
        return await self._sources.page(after=after, limit=limit)

    async def delete_source(self, registry: str) -> None:
        await self._sources.delete(registry)

    async def delete_orphaned_sources(self) -> None:
        """Deletes the sources of registries that are gone: their secrets must not speak for others of these names."""
        after = ""
        while page := await self._sources.page(after=after, limit=SOURCES_AT_ONCE):
            after = page[-1].registry
            for source in page:
                if await self._registries.find(source.registry) is None:
                    with suppress(EventSourceNotFound):  # another replica was faster
                        await self._sources.delete(source.registry)

    async def _true_names(self, published: Sequence[Published]) -> dict[str, str]:
        names: dict[str, str] = {}
        missing: dict[str, str] = {}
        for index, each in enumerate(published):
            if each.registry in names or each.registry in missing.values():
                continue
            if (name := await self._registries.find(each.registry)) is None:
                missing[f"events[{index}].registry"] = each.registry
            else:
                names[each.registry] = name
        if missing:
            raise registry_not_found(missing)
        return names

    async def _add(self, told: Sequence[tuple[str, Notice]]) -> Receipt:
        now = self._clock.now()
        events = [_event(registry, notice, now) for registry, notice in told]
        stored = await self._store.add(events) if events else 0
        if stored:
            self._wake()
        return Receipt(stored=stored, known=len(events) - stored)


def _event(registry: str, notice: Notice, now: datetime) -> Event:
    return Event(uid=str(uuid.uuid4()), registry=registry, notice=notice, receive_time=now)


def _hash(secret: str) -> bytes:
    """Without salt and once: a secret of so many random bytes cannot be found by trying."""
    # What a header has that is no UTF-8 comes as half surrogate pairs.
    return hashlib.sha256(secret.encode(errors="surrogateescape")).digest()
