"""Between protobuf and the values of events."""

from datetime import UTC, datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from policy_svc.events.domain.event import Event, EventKind, EventSource, EventState, Notice
from policy_svc.events.service import Published, Receipt
from service_kit.errors import FieldViolation, InvalidPageToken, InvalidRequest
from service_kit.paging import PageToken
from service_kit.secret import Secret
from transship.policy.v1 import event_pb2 as pb

MAX_PAGE_BYTES: Final = 3 * 1024 * 1024  # clients refuse messages over 4 MiB

_MAX_NUMBER: Final = 2**63 - 1
_KINDS: Final = {pb.Event.KIND_PUSH: EventKind.PUSH, pb.Event.KIND_DELETE: EventKind.DELETE}
_KINDS_TO_PB: Final = {kind: number for number, kind in _KINDS.items()}
_STATES: Final = {
    pb.Event.STATE_PENDING: EventState.PENDING,
    pb.Event.STATE_DELIVERED: EventState.DELIVERED,
    pb.Event.STATE_EXPIRED: EventState.EXPIRED,
}
_STATES_TO_PB: Final = {state: number for number, state in _STATES.items()}
_SOURCES: Final = "event sources"  # in the place of a filter, so that no other list's token fits


def published_from_pb(request: pb.PublishEventsRequest, now: datetime) -> list[Published]:
    """Raises InvalidRequest for a time that there is not."""
    return [
        Published(registry=each.registry, notice=_notice_from_pb(each, f"events[{index}]", now))
        for index, each in enumerate(request.events)
    ]


def receipt_to_pb(receipt: Receipt) -> pb.PublishEventsResponse:
    return pb.PublishEventsResponse(stored_count=receipt.stored, known_count=receipt.known)


def uid_from_name(name: str) -> str:
    """The uid in a name that the proto's rules have passed."""
    return name.removeprefix("events/")


def event_to_pb(event: Event) -> pb.Event:
    notice = event.notice
    return pb.Event(
        name=event.name,
        id=notice.id,
        registry=event.registry,
        kind=_KINDS_TO_PB[notice.kind],
        repository=notice.repository,
        tag=notice.tag,
        digest=notice.digest,
        occur_time=_timestamp(notice.occur_time),
        receive_time=_timestamp(event.receive_time),
        state=_STATES_TO_PB[event.state],
        executions=event.executions,
        problem=event.problem,
    )


def states_from_pb(request: pb.ListEventsRequest) -> list[EventState]:
    return sorted({_STATES[each] for each in request.states})


def cursor_from_pb(request: pb.ListEventsRequest) -> int | None:
    """The number before which the page begins.

    Raises:
        InvalidPageToken: the token is not one of this list's.
    """
    token = PageToken.decode(request.page_token, *_filters(request))
    match token and token.cursor:
        case None:
            return None
        case (int(before),) if 0 < before <= _MAX_NUMBER:
            return before
        case _:
            raise InvalidPageToken


def page_to_pb(events: list[Event], *, size: int, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
    """A page of at most `size`; there is a next page when the events do not all fit."""
    page = pb.ListEventsResponse()
    room = MAX_PAGE_BYTES
    for event in events[:size]:
        message = event_to_pb(event)
        room -= message.ByteSize()
        if room < 0 and page.events:
            break
        page.events.append(message)
    if len(page.events) < len(events):
        page.next_page_token = PageToken((events[len(page.events) - 1].number,)).encode(*_filters(request))
    return page


def registry_from_source_name(name: str) -> str:
    """The name of the registry whose source the proto's rules have passed."""
    return f"registries/{name.removeprefix('eventSources/')}"


def source_to_pb(source: EventSource, secret: Secret | None = None) -> pb.EventSource:
    message = pb.EventSource(
        name=f"eventSources/{source.id}",
        registry=source.registry,
        path=f"/v1/events/{source.id}",
        secret=secret.reveal() if secret else "",
        create_time=_timestamp(source.create_time),
    )
    if source.last_receive_time:
        message.last_receive_time.CopyFrom(_timestamp(source.last_receive_time))
    return message


def source_cursor_from_pb(request: pb.ListEventSourcesRequest) -> str:
    """The registry after which the page begins; empty for the first page.

    Raises:
        InvalidPageToken: the token is not one of this list's.
    """
    token = PageToken.decode(request.page_token, _SOURCES)
    match token and token.cursor:
        case None:
            return ""
        case (str(after),) if after and after.isprintable():
            return after
        case _:
            raise InvalidPageToken


def sources_to_pb(sources: list[EventSource], *, size: int) -> pb.ListEventSourcesResponse:
    """A page of at most `size`; there is a next page when there are more."""
    page = pb.ListEventSourcesResponse(event_sources=[source_to_pb(each) for each in sources[:size]])
    if len(sources) > size:
        page.next_page_token = PageToken((sources[size - 1].registry,)).encode(_SOURCES)
    return page


def _notice_from_pb(event: pb.Event, field: str, now: datetime) -> Notice:
    return Notice(
        id=event.id,
        kind=_KINDS[event.kind],
        repository=event.repository,
        tag=event.tag,
        digest=event.digest,
        occur_time=_moment(event.occur_time, f"{field}.occur_time") if event.HasField("occur_time") else now,
    )


def _moment(timestamp: Timestamp, field: str) -> datetime:
    try:
        return timestamp.ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        violation = FieldViolation(field, "is no time between the years 1 and 9999", "TIME_INVALID")
        raise InvalidRequest(violations=[violation]) from error


def _filters(request: pb.ListEventsRequest) -> tuple[str, ...]:
    return request.registry, *states_from_pb(request)


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
