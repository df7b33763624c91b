"""What an adapter is, and the values that it speaks in."""

from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from registry_svc.domain.registry import Endpoint
from replication.filters import Dimension, Selection
from replication.newest import Newest
from replication.rejection import Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What a registry can do. `max_path_components` is 0 for no limit."""

    description: str
    filter_dimensions: tuple[Dimension, ...] = (Dimension.NAME, Dimension.TAG)
    min_path_components: int = 1
    max_path_components: int = 0
    lists_repositories: bool = True
    deletes_tags: bool = True
    sends_events: bool = False
    lists_digests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """An artifact of a repository; the digest is empty when the listing did not bring it."""

    tag: str
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """Artifacts of one repository; a large repository comes in several. `public` is None where nobody tells."""

    repository: str
    references: tuple[Reference, ...]
    public: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What is to be listed.

    `within` leaves only these artifacts to be looked at; one without references stands for its whole repository, and
    None for the whole registry.
    """

    selection: Selection
    newest: Newest | None = None
    within: tuple[Resource, ...] | None = None
    include_rejected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """An artifact, or with an empty tag perhaps a whole repository, that is left out, and why."""

    repository: str
    tag: str = ""
    why: Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a repository failed. `reason` is one of error_reason.proto; `http_status` is 0 when there was no answer."""

    reason: str
    message: str
    registry_code: str = ""
    http_status: int = 0
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFailure:
    """One repository that failed while the others go on."""

    repository: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A batch of what was found."""

    resources: tuple[Resource, ...] = ()
    failures: tuple[RepositoryFailure, ...] = ()
    rejections: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How the destinations are. A repository that is neither a failure nor excluded is ready for a push.

    `created_namespaces` were created or would be; into `excluded` nothing is replicated on purpose.
    """

    failures: tuple[RepositoryFailure, ...] = ()
    created_namespaces: tuple[str, ...] = ()
    excluded: tuple[RepositoryFailure, ...] = ()


class Action(StrEnum):
    """What is to be done in a repository."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryScope:
    """Actions in one repository."""

    repository: str
    actions: frozenset[Action]


class AccessKind(StrEnum):
    """How an Authorization value proves who asks; a Basic value holds the password itself."""

    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """A value for the Authorization header, and until when it is good.

    `url` is where the registry answers, when that is not the URL under which it is registered.
    """

    kind: AccessKind = AccessKind.NONE
    authorization: str = field(default="", repr=False)
    expire_time: datetime | None = None
    url: str = ""


NO_ACCESS = Access()


class Adapter(Protocol):
    """Speaks to one registry.

    Making one sends nothing; it holds connections until `aclose`. Its methods raise the errors of
    `registry_svc.domain.errors` when the registry as a whole fails them, and never errors of a library.
    """

    def info(self) -> Info: ...

    async def health_check(self) -> None:
        """Returns when the registry answers and takes the credential.

        Raises:
            RegistryUnreachable, RegistryCredentialRejected, RegistryMisbehaved: it does not.
        """
        ...

    def list_artifacts(self, query: Query) -> AsyncGenerator[Listing, None]:
        """The artifacts that pass, in batches, while they are being found; closing it ends the search.

        Raises:
            CatalogUnsupported: the registry cannot list its repositories, and the selection does not name them.
        """
        ...

    async def prepare(self, repositories: Sequence[str], *, public: bool, validate_only: bool) -> Preparation:
        """Makes sure that images can be pushed into the repositories; `validate_only` tells what that would take."""
        ...

    async def delete_tag(self, repository: str, tag: str, *, along: Collection[str] = ()) -> None:
        """Deletes the tag and nothing that another tag needs, unless that one is to go `along`.

        Raises:
            TagNotFound: there is none.
            TagDeletionUnsupported: other tags would go with it.
        """
        ...

    async def issue_access(self, scopes: Sequence[RepositoryScope], *, rejected: str = "") -> Access:
        """Authorization for the scopes, from memory while it lasts; never again a token that was `rejected`."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterType:
    """A product that there is an adapter for: how to describe its registries, and how to make the adapter of one.

    This is what an entry point of the group `transship.adapters` names.
    """

    type: str
    description: str
    url_pattern: str
    open: Callable[[Endpoint], Adapter]
    urls: tuple[str, ...] = ()
    username_hint: str = ""
    password_hint: str = ""
