"""Events and where they come from."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    PUSH = "PUSH"
    DELETE = "DELETE"


class EventState(StrEnum):
    """The last two are final."""

    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a registry tells. `id` is its sender's; at least one of tag and digest is there."""

    id: str
    kind: EventKind
    repository: str
    tag: str = ""
    digest: str = ""
    occur_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A stored notice and what has become of it. `number` grows in the order of arrival; 0 before it is stored."""

    uid: str
    registry: str
    notice: Notice
    receive_time: datetime
    state: EventState = EventState.PENDING
    executions: tuple[str, ...] = ()
    problem: str = ""
    number: int = 0

    @property
    def name(self) -> str:
        return f"events/{self.uid}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSource:
    """A registry that may send notifications, and the SHA-256 of the secret that it proves itself with."""

    registry: str
    secret_hash: bytes
    create_time: datetime
    last_receive_time: datetime | None = None

    @property
    def id(self) -> str:
        """That of the registry."""
        return self.registry.removeprefix("registries/")
