"""What a product's listing tells: the border between an adapter and the lister that all of them share."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from registry_svc.adapters.base import RepositoryFailure
from replication.filters import Selection
from replication.newest import DatedTag
from replication.rejection import Cause, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """A repository that the product has.

    With `passed_over` it is one, or a whole project, out of which nothing is replicated, and that says why.
    """

    name: str
    public: bool | None = None
    passed_over: str = ""

    @property
    def why(self) -> Rejection:
        return Rejection(cause=Cause.NOT_REPLICATED, message=self.passed_over)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A tag, or an artifact without one, and what the listing tells of it. What it does not tell is empty."""

    tag: str
    digest: str = ""
    labels: tuple[str, ...] = ()
    resource_type: str = ""
    create_time: datetime | None = None

    @property
    def key(self) -> str:
        """What is the same in two pages of a list."""
        return self.tag or self.digest


Listed = Repository | RepositoryFailure


class Source(Protocol):
    """What an adapter gives to the lister, for one listing. It has its own patience; what it raises is final.

    The errors of a single repository are errors of `oci_client`.
    """

    def repositories(self, selection: Selection) -> AsyncGenerator[list[Listed], None]:
        """All repositories that may pass; those that cannot are left out where that saves requests."""
        ...

    def named(self, names: Sequence[str]) -> AsyncGenerator[list[Listed], None]:
        """Just these, without a search. Whether they exist may show only when they are listed."""
        ...

    def artifacts(self, repository: str) -> AsyncGenerator[list[Artifact], None]:
        """What is in a repository."""
        ...

    async def look_up(self, repository: str, reference: str) -> list[Artifact]:
        """What a tag or a digest stands for now; nothing when it is not there, or is nothing that `artifacts` tells."""
        ...

    async def dated(self, repository: str, artifact: DatedTag) -> DatedTag | None:
        """The artifact with its `create_time`, which its listing did not tell; None when it is not there any more.

        Without a time when the artifact itself tells none.
        """
        ...
