"""The errors of events."""

from service_kit.errors import Kind, ServiceError


class EventNotFound(ServiceError):
    """There is no event {event}. It may have been forgotten: finished events are kept for some days only."""

    kind = Kind.NOT_FOUND
    reason = "EVENT_NOT_FOUND"


class EventSourceNotFound(ServiceError):
    """The registry {registry} has no event source. Create one to get its URL and its secret."""

    kind = Kind.NOT_FOUND
    reason = "EVENT_SOURCE_NOT_FOUND"


class EventSourceAlreadyExists(ServiceError):
    """The registry {registry} has an event source already. Delete it to get another secret."""

    kind = Kind.ALREADY_EXISTS
    reason = "EVENT_SOURCE_ALREADY_EXISTS"
