"""A registry: an endpoint, its credential, and how it was when it was last tried."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, Self

from service_kit.secret import Secret

COLLECTION: Final = "registries/"

_MAX_MESSAGE_CHARS: Final = 1000  # of a state; a registry's own words may be long


class State(StrEnum):
    """Whether the registry answered when it was last tried."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """The outcome of trying a registry."""

    state: State = State.UNKNOWN
    message: str = ""
    time: datetime | None = None

    @classmethod
    def healthy(cls, time: datetime) -> Self:
        return cls(state=State.HEALTHY, time=time)

    @classmethod
    def unhealthy(cls, message: str, time: datetime) -> Self:
        # Registries' own words may hold NULs, which PostgreSQL does not store.
        text = message.replace("\0", "")[:_MAX_MESSAGE_CHARS]
        return cls(state=State.UNHEALTHY, message=text or "no reason was given", time=time)


UNTRIED: Final = Check()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A user name and its password, as the registry takes them."""

    username: str
    password: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedCredential:
    """A credential as it is stored; only the vault opens the password."""

    username: str
    password: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """All that an adapter needs to reach a registry. `registry` is its name, for messages."""

    registry: str
    url: str
    credential: Credential | None = None
    insecure: bool = False
    ca_certificate: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A registered registry. `revision` counts its changes; trying it is none.

    All workers together read from it and write to it at most `max_bytes_per_second`, each way; 0 for no limit.
    """

    uid: str
    id: str
    type: str
    url: str
    create_time: datetime
    update_time: datetime
    description: str = ""
    credential: SealedCredential | None = None
    insecure: bool = False
    ca_certificate: str = ""
    max_bytes_per_second: int = 0
    revision: int = 1
    check: Check = UNTRIED

    @property
    def name(self) -> str:
        return COLLECTION + self.id

    @property
    def etag(self) -> str:
        # With the uid, since a registry that is deleted and made anew counts from 1 again.
        return f"{self.uid[:8]}-{self.revision}"

    @property
    def way(self) -> tuple[object, ...]:
        """All that decides whether and as whom the registry is reached."""
        return self.url, self.insecure, self.ca_certificate, self.credential

    def checked(self, check: Check) -> Self:
        return replace(self, check=check)
