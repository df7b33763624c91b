"""What an execution would do."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Self

from execution_svc.domain.transfer import Failure
from execution_svc.domain.written import WrittenTag


class Action(StrEnum):
    """What would become of a reference."""

    UNSPECIFIED = "UNSPECIFIED"
    COPY = "COPY"
    UNCHANGED = "UNCHANGED"
    SKIP = "SKIP"
    DELETE = "DELETE"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedReference:
    """One reference, and what would become of it."""

    tag: str
    digest: str = ""
    destination_tag: str = ""
    action: Action
    failure: Failure | None = None
    present_digest: str = ""
    blobs_to_move: int = 0
    bytes_to_move: int = 0

    @property
    def key(self) -> str:
        """What it is known by in its repository, as `Reference.key`."""
        return self.tag or self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespaceCreation:
    """A project, namespace or repository that would be created."""

    namespace: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedAction:
    """Something that an execution would do; a failure says why nothing can be done of a repository."""

    destination_registry: str
    source_repository: str = ""
    destination_repository: str = ""
    kind: PlannedReference | NamespaceCreation | Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A tag that a policy wrote, and since when its source has been seen without it."""

    written: WrittenTag
    missing_since: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneGuard:
    """Why nothing would be deleted."""

    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """Adds up what an execution would do. The names are those of the protobuf fields."""

    references_to_copy: int = 0
    references_unchanged: int = 0
    references_skipped: int = 0
    failures: int = 0
    tags_to_delete: int = 0
    namespaces_to_create: int = 0
    bytes_to_move: int = 0
    prune_guard: str = ""

    def plus(self, found: PlannedAction | PruneGuard) -> Self:
        if isinstance(found, PruneGuard):
            return replace(self, prune_guard=found.message)
        match found.kind:
            case NamespaceCreation():
                return replace(self, namespaces_to_create=self.namespaces_to_create + 1)
            case Failure():
                return replace(self, failures=self.failures + 1)
            case PlannedReference():
                return self._with_reference(found.kind)

    def _with_reference(self, reference: PlannedReference) -> Self:
        match reference.action:
            case Action.COPY:
                moved = self.bytes_to_move + reference.bytes_to_move
                return replace(self, references_to_copy=self.references_to_copy + 1, bytes_to_move=moved)
            case Action.UNCHANGED:
                return replace(self, references_unchanged=self.references_unchanged + 1)
            case Action.SKIP:
                return replace(self, references_skipped=self.references_skipped + 1)
            case Action.DELETE:
                return replace(self, tags_to_delete=self.tags_to_delete + 1)
            case Action.FAIL | Action.UNSPECIFIED:
                return replace(self, failures=self.failures + 1)
