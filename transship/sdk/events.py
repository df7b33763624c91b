"""Events and event sources, as a client sees them."""

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from transship.policy.v1 import event_pb2 as pb
from transship.sdk.calls import Calls
from transship.sdk.names import event_name, event_source_name, registry_name

if TYPE_CHECKING:  # A name for type checkers only.
    from transship.policy.v1.event_pb2_grpc import EventServiceAsyncStub


class Events:
    """The news of registries: what was pushed and deleted there."""

    def __init__(self, stub: "EventServiceAsyncStub") -> None:
        self._stub = stub
        self._calls = Calls("policy_svc")

    async def publish(self, *events: pb.Event) -> pb.PublishEventsResponse:
        """Tells of up to 1,000 events. May be repeated: an event whose id is known is not taken again."""
        return await self._calls.repeatable(self._stub.PublishEvents, pb.PublishEventsRequest(events=events))

    async def get(self, name: str) -> pb.Event:
        """An event and what has become of it."""
        return await self._calls.repeatable(self._stub.GetEvent, pb.GetEventRequest(name=event_name(name)))

    async def list(self, *, registry: str = "", states: Sequence[pb.Event.State] = ()) -> AsyncIterator[pb.Event]:
        """The newest first; with a registry or states, those alone."""
        request = pb.ListEventsRequest(registry=registry and registry_name(registry), states=states)
        async for page in self._calls.pages(self._stub.ListEvents, request):
            for event in page.events:
                yield event


class EventSources:
    """Where registries send their notifications, and with which secret. A name may be the registry's."""

    def __init__(self, stub: "EventServiceAsyncStub") -> None:
        self._stub = stub
        self._calls = Calls("policy_svc")

    async def create(self, registry: str) -> pb.EventSource:
        """Makes a path and a secret for a registry; the secret is told this once."""
        request = pb.CreateEventSourceRequest(registry=registry_name(registry))
        return await self._calls.once(self._stub.CreateEventSource, request)

    async def list(self) -> AsyncIterator[pb.EventSource]:
        """In the order of their registries."""
        async for page in self._calls.pages(self._stub.ListEventSources, pb.ListEventSourcesRequest()):
            for source in page.event_sources:
                yield source

    async def delete(self, name: str) -> None:
        """What comes with its secret is refused from then on."""
        request = pb.DeleteEventSourceRequest(name=event_source_name(name))
        await self._calls.once(self._stub.DeleteEventSource, request)


def pushed(registry: str, repository: str, tag: str = "", *, digest: str = "", event_id: str = "") -> pb.Event:
    """That an artifact was pushed; an id is made up if none is given."""
    return _event(pb.Event.KIND_PUSH, registry, repository, tag, digest, event_id)


def deleted(registry: str, repository: str, tag: str = "", *, digest: str = "", event_id: str = "") -> pb.Event:
    """That a tag or an artifact was deleted; an id is made up if none is given."""
    return _event(pb.Event.KIND_DELETE, registry, repository, tag, digest, event_id)


def _event(kind: pb.Event.Kind, registry: str, repository: str, tag: str, digest: str, event_id: str) -> pb.Event:
    return pb.Event(
        id=event_id or str(uuid.uuid4()),
        registry=registry_name(registry),
        kind=kind,
        repository=repository,
        tag=tag,
        digest=digest,
    )
