"""What started an execution, and what it is about."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from service_kit.errors import FieldViolation, InvalidRequest


class Trigger(StrEnum):
    """What started an execution."""

    MANUAL = "MANUAL"
    SCHEDULED = "SCHEDULED"
    EVENT = "EVENT"


class EventOperation(StrEnum):
    """What has happened to an artifact."""

    PUSH = "PUSH"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventResource:
    """An artifact of which an event has told. Tag and digest may be empty, each or both."""

    operation: EventOperation
    repository: str
    tag: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What started an execution, who did, and, where it is not all of the source, what for."""

    trigger: Trigger = Trigger.MANUAL
    started_by: str = ""
    event_resources: tuple[EventResource, ...] = ()

    def __post_init__(self) -> None:
        """Raises InvalidRequest for resources that no event has told of."""
        if self.event_resources and self.trigger is not Trigger.EVENT:
            violation = FieldViolation(
                "event_resources", "go with TRIGGER_EVENT and no other trigger", "EVENT_RESOURCES_WITHOUT_EVENT"
            )
            raise InvalidRequest(violations=[violation])


BY_HAND: Final = Origin()
