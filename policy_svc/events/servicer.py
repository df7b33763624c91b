"""Speaks protobuf for events."""
# ruff: noqa: ARG002  (gRPC passes a context to every method)

import grpc
from google.protobuf.empty_pb2 import Empty

from policy_svc.events import convert
from policy_svc.events.service import EventService
from service_kit.clock import Clock
from service_kit.paging import page_size
from transship.policy.v1 import event_pb2 as pb
from transship.policy.v1.event_pb2_grpc import EventServiceServicer

_Context = grpc.aio.ServicerContext[object, object]


class EventServicer(EventServiceServicer):
    def __init__(self, events: EventService, clock: Clock) -> None:
        self._events = events
        self._clock = clock

    async def PublishEvents(self, request: pb.PublishEventsRequest, context: _Context) -> pb.PublishEventsResponse:
        published = convert.published_from_pb(request, self._clock.now())
        return convert.receipt_to_pb(await self._events.publish(published))

    async def GetEvent(self, request: pb.GetEventRequest, context: _Context) -> pb.Event:
        return convert.event_to_pb(await self._events.get(convert.uid_from_name(request.name)))

    async def ListEvents(self, request: pb.ListEventsRequest, context: _Context) -> pb.ListEventsResponse:
        size = page_size(request.page_size)
        before = convert.cursor_from_pb(request)
        states = convert.states_from_pb(request)
        found = await self._events.page(before=before, limit=size + 1, registry=request.registry or None, states=states)
        return convert.page_to_pb(found, size=size, request=request)

    async def CreateEventSource(self, request: pb.CreateEventSourceRequest, context: _Context) -> pb.EventSource:
        source, secret = await self._events.create_source(request.registry)
        return convert.source_to_pb(source, secret)

    async def ListEventSources(
        self, request: pb.ListEventSourcesRequest, context: _Context
    ) -> pb.ListEventSourcesResponse:
        size = page_size(request.page_size)
        after = convert.source_cursor_from_pb(request)
        return convert.sources_to_pb(await self._events.page_of_sources(after=after, limit=size + 1), size=size)

    async def DeleteEventSource(self, request: pb.DeleteEventSourceRequest, context: _Context) -> Empty:
        await self._events.delete_source(convert.registry_from_source_name(request.name))
        return Empty()
