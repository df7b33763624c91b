"""What is copied, how far that went, and why it failed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from service_kit.errors import ServiceError


class Side(StrEnum):
    """The registry at which something failed."""

    UNSPECIFIED = "UNSPECIFIED"
    SOURCE = "SOURCE"
    DESTINATION = "DESTINATION"


class Outcome(StrEnum):
    """How one reference ended."""

    UNSPECIFIED = "UNSPECIFIED"
    COPIED = "COPIED"
    UNCHANGED = "UNCHANGED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"
    DELETED = "DELETED"
    STOPPED = "STOPPED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed, in a form that programs can act on."""

    reason: str
    message: str
    side: Side = Side.UNSPECIFIED
    registry_code: str = ""
    http_status: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, error: ServiceError, side: Side = Side.UNSPECIFIED) -> Self:
        return cls(reason=error.reason, message=error.message, side=side, metadata=error.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One artifact of a repository: a tag, a digest, or both; and its tag at the destination where that differs."""

    tag: str = ""
    digest: str = ""
    destination_tag: str = ""

    @property
    def key(self) -> str:
        """What it is known by: two references of one key are the same, even if the tag has moved meanwhile."""
        return self.tag or self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceResult:
    """How one reference of a task ended."""

    tag: str
    digest: str
    outcome: Outcome
    failure: Failure | None = None
    destination_tag: str = ""
    backup_tag: str = ""
    destination_digest: str = ""  # empty when it is that of the source


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What was done so far. The names are those of the columns and of the protobuf fields."""

    references_total: int = 0
    references_copied: int = 0
    references_unchanged: int = 0
    references_skipped: int = 0
    references_deleted: int = 0
    references_failed: int = 0
    blobs_total: int = 0
    blobs_copied: int = 0
    blobs_mounted: int = 0
    blobs_present: int = 0
    bytes_total: int = 0
    bytes_copied: int = 0
    bytes_mounted: int = 0
    bytes_present: int = 0

    @property
    def references_done(self) -> int:
        """References that are dealt with, however."""
        done = self.references_copied + self.references_unchanged + self.references_skipped
        return done + self.references_deleted + self.references_failed


NO_PROGRESS: Final = Progress()


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a task's log."""

    sequence: int
    write_time: datetime | None
    severity: str  # as the proto spells it: only passed on
    message: str
    fields: Mapping[str, str]
