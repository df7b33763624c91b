"""What goes into the Authorization header: credentials, scopes, and who decides.

The decision itself, by the registry's challenge, is in `challenge_authorizer`.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

from oci_client.challenge import Challenge

PULL: Final = "pull"
PUSH: Final = "push"
DELETE: Final = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user name and password, robot account, or whatever a registry takes in their place."""

    username: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of a Basic Authorization header."""
        return "Basic " + b64encode(f"{self.username}:{self.password}".encode()).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a token is to allow on one thing."""

    name: str
    actions: frozenset[str]
    kind: str = "repository"

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}:{','.join(sorted(self.actions))}"


def pull_scope(repository: str) -> Scope:
    return Scope(name=repository, actions=frozenset({PULL}))


def push_scope(repository: str) -> Scope:
    # Registries grant push only together with pull.
    return Scope(name=repository, actions=frozenset({PULL, PUSH}))


def delete_scope(repository: str) -> Scope:
    return Scope(name=repository, actions=frozenset({PULL, DELETE}))


def catalog_scope() -> Scope:
    return Scope(kind="registry", name="catalog", actions=frozenset({"*"}))


class AuthorizationKind(StrEnum):
    """How an Authorization header proves who asks."""

    BASIC = "basic"
    BEARER = "bearer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """A header value, and until when it is good (seconds since the epoch; None: as long as the credential is)."""

    value: str = field(repr=False)
    kind: AuthorizationKind
    expires_at: float | None = None


class Authorizer(Protocol):
    """Decides what to send as Authorization."""

    async def authorize(self, scopes: frozenset[Scope], *, rejected: str | None = None) -> str | None:
        """Return the header's value for `scopes`, None for no header.

        `rejected` is a value that the registry has just refused: answer with another one, or the same if there
        is none; a request is tried twice at most.
        """


@runtime_checkable
class ChallengeTaker(Protocol):
    """An authorizer that wants to know what a 401 asked for."""

    def challenged(self, challenges: Sequence[Challenge]) -> None: ...


class AnonymousAuthorizer:
    """Sends no Authorization."""

    async def authorize(
        self,
        scopes: frozenset[Scope],  # noqa: ARG002 - the Authorizer protocol
        *,
        rejected: str | None = None,  # noqa: ARG002
    ) -> None:
        return None
