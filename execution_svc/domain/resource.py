"""What the source has, as it is being listed."""

from dataclasses import dataclass

from execution_svc.domain.transfer import Failure, Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Some artifacts of one repository."""

    repository: str
    references: tuple[Reference, ...]


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
