"""Values of a transfer: what is asked for, how far it has come, how it ended. Shared by the queue and the engine."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Final, Self


class Side(StrEnum):
    """The registry at which something happened."""

    SOURCE = "source"
    DESTINATION = "destination"


class Outcome(StrEnum):
    """How one reference ended."""

    COPIED = "copied"
    UNCHANGED = "unchanged"
    SKIPPED = "skipped"
    FAILED = "failed"
    DELETED = "deleted"
    STOPPED = "stopped"


class Action(StrEnum):
    """What would be done about one reference."""

    COPY = "copy"
    UNCHANGED = "unchanged"
    SKIP = "skip"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something failed, in a form that programs can act on.

    `reason` is one of ErrorReason. `retryable` tells whether another attempt of the job may do better.
    """

    reason: str
    message: str
    side: Side | None = None
    registry_code: str = ""
    http_status: int = 0
    retryable: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactReference:
    """One artifact of a repository: a tag, a digest, or both. Empty means that it is not known.

    `destination_tag` is what it is called at the destination; empty for as at the source.
    """

    tag: str = ""
    digest: str = ""
    destination_tag: str = ""

    @property
    def tag_there(self) -> str:
        """The tag at the destination; empty for an artifact that is named by its digest alone."""
        return self.destination_tag or self.tag

    @property
    def place(self) -> str:
        """What it is known by at the destination. A job has one result for each place."""
        return self.tag_there or self.digest

    def __str__(self) -> str:
        return self.tag or self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceResult:
    """How one reference ended, and why it did not go well if it did not."""

    reference: ArtifactReference
    outcome: Outcome
    failure: Failure | None = None
    backup_tag: str = ""  # under which is kept what was overwritten; empty for nothing
    destination_digest: str = ""  # that was written, where it is not the one at the source

    @property
    def digest_there(self) -> str:
        """The digest at the destination, if it was written."""
        return self.destination_digest or self.reference.digest


def newest_by_place(results: Iterable[ReferenceResult]) -> dict[str, ReferenceResult]:
    """Return the last result that was told of each place."""
    return {result.reference.place: result for result in results}


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReference:
    """What would become of one reference; see PlannedReference of the protos."""

    reference: ArtifactReference
    action: Action
    failure: Failure | None = None
    present_digest: str = ""  # of what would be overwritten
    blobs_to_move: int = 0
    bytes_to_move: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """How artifacts are copied; see TransferOptions of the protos. Empty and 0 mean no restriction."""

    platforms: tuple[str, ...] = ()
    referrers: bool = False
    referrer_types: tuple[str, ...] = ()
    foreign_layers: bool = False
    max_bytes_per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateWork:
    """Copies references of one repository to another. Registries are resource names, `registries/{registry}`."""

    source_registry: str
    source_repository: str
    destination_registry: str
    destination_repository: str
    references: tuple[ArtifactReference, ...]
    override: bool = False
    options: TransferOptions = TransferOptions()
    backup_tag: str = ""  # template of a tag under which an overwritten one is kept; empty for no backup


@dataclass(frozen=True, slots=True, kw_only=True)
class DeleteWork:
    """Deletes tags of a repository; one that has a digest only while it stands for that."""

    registry: str
    repository: str
    references: tuple[ArtifactReference, ...]


_BROUGHT: Final = (
    "blobs_copied", "blobs_mounted", "blobs_present", "bytes_copied", "bytes_mounted", "bytes_present",
)  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Progress:
    """Counts what a transfer has done so far: references anew in each attempt, blobs and bytes over all of them.

    The one mutable value here: the engine adds to it as it goes, and a sampler reads it. All counters belong to the
    event loop but `bytes_copied`, which threads add to through `count_copied`.
    """

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
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def after(cls, earlier: Mapping[str, int]) -> Self:
        """Return those with which the next attempt begins: what was brought stays, and is all there was to bring."""
        begun = cls()
        for name in _BROUGHT:
            setattr(begun, name, earlier.get(name, 0))
        begun.blobs_total = begun.blobs_copied + begun.blobs_mounted + begun.blobs_present
        begun.bytes_total = begun.bytes_copied + begun.bytes_mounted + begun.bytes_present
        return begun

    def count_copied(self, number: int) -> None:
        """Add to `bytes_copied`, from any thread."""
        with self._lock:
            self.bytes_copied += number

    def as_dict(self) -> dict[str, int]:
        """Return the counters by name, at this moment."""
        return {counter.name: getattr(self, counter.name) for counter in fields(self) if counter.name[0] != "_"}
