"""EventService over gRPC, as its callers see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from policy_svc.events.postgres import PostgresEventStore, PostgresOutbox, PostgresSourceStore
from policy_svc.events.service import EventService
from policy_svc.events.servicer import EventServicer
from service_kit.clock import SystemClock
from service_kit.database import Pool
from service_kit.errors import Kind
from service_kit.testing import served
from tests.events import DIGEST_A
from tests.integration.policy_svc_events.event_peers import UIDS, FakeRegistries
from tests.refusals import refused
from transship.policy.v1 import event_pb2 as pb
from transship.policy.v1.event_pb2_grpc import EventServiceStub, add_EventServiceServicer_to_server

if TYPE_CHECKING:  # it is in the stubs only
    from transship.policy.v1.event_pb2_grpc import EventServiceAsyncStub

HUB = "registries/hub"
[HUB_BY_UID] = UIDS


@pytest.fixture
async def stub(pool: Pool) -> AsyncIterator[EventServiceAsyncStub]:
    clock = SystemClock()
    service = EventService(PostgresEventStore(pool), PostgresSourceStore(pool), FakeRegistries(), clock, lambda: None)
    async with served(add_EventServiceServicer_to_server, EventServicer(service, clock)) as channel:
        yield EventServiceStub(channel)


def an_event(event_id: str = "one", **fields: Any) -> pb.Event:
    given = {"registry": HUB, "kind": pb.Event.KIND_PUSH, "repository": "library/app", "tag": "1.0"}
    return pb.Event(id=event_id, **{**given, **fields})


def publish(*events: pb.Event) -> pb.PublishEventsRequest:
    return pb.PublishEventsRequest(events=events)


async def listed(stub: EventServiceAsyncStub, **fields: Any) -> list[str]:
    """The ids of all events, page by page."""
    ids: list[str] = []
    token = ""
    while True:
        page = await stub.ListEvents(pb.ListEventsRequest(page_size=2, page_token=token, **fields))
        ids += [each.id for each in page.events]
        token = page.next_page_token
        if not token:
            return ids


async def test_a_published_event_is_read_as_it_was(stub: EventServiceAsyncStub) -> None:
    occurred = Timestamp(seconds=1_700_000_000, nanos=5000)
    event = an_event(digest=DIGEST_A, occur_time=occurred)

    answer = await stub.PublishEvents(publish(event, event))

    assert (answer.stored_count, answer.known_count) == (1, 1)
    [found] = (await stub.ListEvents(pb.ListEventsRequest())).events
    assert await stub.GetEvent(pb.GetEventRequest(name=found.name)) == found
    assert found.receive_time.ToDatetime(UTC) <= datetime.now(UTC)
    assert found == an_event(
        name=found.name,
        digest=DIGEST_A,
        occur_time=occurred,
        receive_time=found.receive_time,
        state=pb.Event.STATE_PENDING,
    )


async def test_an_event_happened_when_it_came_unless_it_says_when(stub: EventServiceAsyncStub) -> None:
    before = datetime.now(UTC)
    await stub.PublishEvents(publish(an_event()))

    [found] = (await stub.ListEvents(pb.ListEventsRequest())).events
    assert before <= found.occur_time.ToDatetime(UTC) <= found.receive_time.ToDatetime(UTC)


@pytest.mark.parametrize(
    ("request_", "fields"),
    [
        (publish(), ["events"]),
        (publish(*(an_event(str(number)) for number in range(1001))), ["events"]),
        (publish(an_event(), an_event("")), ["events[1].id"]),
        (publish(an_event("x" * 129)), ["events[0].id"]),
        (publish(an_event("a\0")), ["events[0].id"]),
        (publish(an_event(registry="hub")), ["events[0].registry"]),
        (publish(an_event(kind=pb.Event.KIND_UNSPECIFIED)), ["events[0].kind"]),
        (publish(an_event(repository="")), ["events[0].repository"]),
        (publish(an_event(repository="Library")), ["events[0].repository"]),
        (publish(an_event(repository="a\0")), ["events[0].repository"]),
        (publish(an_event(tag="-")), ["events[0].tag"]),
        (publish(an_event(digest="sha256:x")), ["events[0].digest"]),
        (publish(an_event(digest="sha256:" + "g" * 64)), ["events[0].digest"]),
        (publish(an_event(tag="")), ["events[0]"]),
        (publish(an_event(occur_time=Timestamp(seconds=10**15))), ["events[0].occur_time"]),
    ],
)
async def test_a_bad_event_is_refused_with_its_field(
    stub: EventServiceAsyncStub, request_: pb.PublishEventsRequest, fields: list[str]
) -> None:
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.PublishEvents(request_)

    assert refusal.fields == fields
    assert await listed(stub) == []


async def test_an_unknown_registry_is_refused_with_its_field(stub: EventServiceAsyncStub) -> None:
    with refused(Kind.NOT_FOUND, "REGISTRY_NOT_FOUND") as refusal:
        await stub.PublishEvents(publish(an_event(), an_event("two", registry="registries/gone")))

    assert refusal.fields == ["events[1].registry"]
    assert await listed(stub) == []


async def test_events_are_listed_in_pages_and_by_filters(stub: EventServiceAsyncStub, pool: Pool) -> None:
    await stub.PublishEvents(publish(*(an_event(str(number)) for number in range(5))))
    await stub.PublishEvents(publish(an_event("other", registry="registries/backup")))

    assert await listed(stub) == ["other", "4", "3", "2", "1", "0"]
    assert await listed(stub, registry="registries/backup") == ["other"]
    assert await listed(stub, registry=HUB_BY_UID) == ["4", "3", "2", "1", "0"]
    assert await listed(stub, states=[pb.Event.STATE_EXPIRED]) == []
    now = datetime.now(UTC)
    await PostgresOutbox(pool).expire(received_before=now, now=now, limit=2)
    assert await listed(stub, states=[pb.Event.STATE_EXPIRED]) == ["1", "0"]
    assert len(await listed(stub, states=[pb.Event.STATE_EXPIRED, pb.Event.STATE_PENDING])) == 6


async def test_a_page_token_is_of_one_list(stub: EventServiceAsyncStub) -> None:
    await stub.PublishEvents(publish(an_event(), an_event("two")))
    token = (await stub.ListEvents(pb.ListEventsRequest(page_size=1))).next_page_token
    assert token

    for request in (
        pb.ListEventsRequest(page_token=token, registry=HUB),
        pb.ListEventsRequest(page_token=token, states=[pb.Event.STATE_PENDING]),
        pb.ListEventsRequest(page_token="x"),
    ):
        with refused(Kind.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
            await stub.ListEvents(request)
    with refused(Kind.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN"):
        await stub.ListEventSources(pb.ListEventSourcesRequest(page_token=token))
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.ListEvents(pb.ListEventsRequest(page_size=1001))
    assert refusal.fields == ["page_size"]


async def test_an_unknown_event_is_not_found(stub: EventServiceAsyncStub) -> None:
    with refused(Kind.NOT_FOUND, "EVENT_NOT_FOUND") as refusal:
        await stub.GetEvent(pb.GetEventRequest(name="events/gone"))

    assert refusal.error.metadata == {"event": "events/gone"}


async def test_a_source_tells_its_secret_once(stub: EventServiceAsyncStub) -> None:
    created = await stub.CreateEventSource(pb.CreateEventSourceRequest(registry=HUB_BY_UID))
    other = await stub.CreateEventSource(pb.CreateEventSourceRequest(registry="registries/backup"))

    assert (created.name, created.registry, created.path) == ("eventSources/hub", HUB, "/v1/events/hub")
    assert len({created.secret, other.secret, ""}) == 3
    first = await stub.ListEventSources(pb.ListEventSourcesRequest(page_size=1))
    second = await stub.ListEventSources(pb.ListEventSourcesRequest(page_size=1, page_token=first.next_page_token))
    assert [each.name for each in (*first.event_sources, *second.event_sources)] == [other.name, created.name]
    assert {each.secret for each in (*first.event_sources, *second.event_sources)} == {""}
    assert not second.next_page_token
    assert not first.event_sources[0].HasField("last_receive_time")
    assert first.event_sources[0].create_time == other.create_time


async def test_a_registry_has_one_source_until_it_is_deleted(stub: EventServiceAsyncStub) -> None:
    created = await stub.CreateEventSource(pb.CreateEventSourceRequest(registry=HUB))

    with refused(Kind.ALREADY_EXISTS, "EVENT_SOURCE_ALREADY_EXISTS"):
        await stub.CreateEventSource(pb.CreateEventSourceRequest(registry=HUB_BY_UID))
    await stub.DeleteEventSource(pb.DeleteEventSourceRequest(name=created.name))
    with refused(Kind.NOT_FOUND, "EVENT_SOURCE_NOT_FOUND") as refusal:
        await stub.DeleteEventSource(pb.DeleteEventSourceRequest(name=created.name))
    assert refusal.error.metadata == {"registry": HUB}
    again = await stub.CreateEventSource(pb.CreateEventSourceRequest(registry=HUB))
    assert again.secret != created.secret


async def test_a_source_needs_a_registry(stub: EventServiceAsyncStub) -> None:
    with refused(Kind.NOT_FOUND, "REGISTRY_NOT_FOUND"):
        await stub.CreateEventSource(pb.CreateEventSourceRequest(registry="registries/gone"))
