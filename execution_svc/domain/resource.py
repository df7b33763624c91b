"""What the source has, as it is being listed, and what the destinations say to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from execution_svc.domain.transfer import Failure, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Some artifacts of one repository."""

    repository: str
    references: tuple[Reference, ...]
    public: bool = False  # whether the listing tells that everybody may read it


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFailure:
    """A repository that could not be listed, or not be prepared."""

    repository: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceBatch:
    """What one message of a listing brings."""

    resources: tuple[Resource, ...] = ()
    failures: tuple[RepositoryFailure, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """What has become of repositories that were to be prepared, by name; those that neither names are ready."""

    failures: Mapping[str, Failure] = field(default_factory=dict)
    excluded: Mapping[str, Failure] = field(default_factory=dict)  # nothing can be replicated into them, on purpose
    created_namespaces: tuple[str, ...] = ()  # that were created or, in a preview, would be
