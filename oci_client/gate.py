"""Where a caller may hold requests back: limits of a registry live outside of this package."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol, Self

from oci_client.headers import Headers, RateLimit, retry_after


class Action(StrEnum):
    """What a request is for."""

    PING = "ping"
    TOKEN = "token"  # noqa: S105 - the name of an action
    LIST = "list"
    HEAD_MANIFEST = "head_manifest"
    GET_MANIFEST = "get_manifest"
    PUT_MANIFEST = "put_manifest"
    HEAD_BLOB = "head_blob"
    GET_BLOB = "get_blob"
    MOUNT = "mount"
    START_UPLOAD = "start_upload"
    PUT_BLOB = "put_blob"
    UPLOAD_SESSION = "upload_session"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended. `status` is None when there was no answer; `elapsed_s` counts up to the answer's headers."""

    status: int | None
    elapsed_s: float
    retry_after: float | None = None
    rate_limit: RateLimit | None = None

    @classmethod
    def of_answer(cls, status: int, headers: Headers, elapsed_s: float) -> Self:
        """Return what the head of an answer says, also of the registry's limits."""
        return cls(
            status=status,
            elapsed_s=elapsed_s,
            retry_after=retry_after(headers, datetime.now(UTC)) if "retry-after" in headers else None,
            rate_limit=RateLimit.from_headers(headers),
        )


class Gate(Protocol):
    """Every request to the registry passes through a slot, and tells afterwards how it went."""

    def slot(self, action: Action) -> AbstractAsyncContextManager[None]:
        """Wait until such a request may be sent; it lasts as long as the context, for a blob until its last byte."""

    def observe(self, action: Action, outcome: Outcome) -> None: ...


class OpenGate:
    """Holds nothing back."""

    @asynccontextmanager
    async def slot(self, action: Action) -> AsyncIterator[None]:  # noqa: ARG002 - the Gate protocol
        yield

    def observe(self, action: Action, outcome: Outcome) -> None:
        pass
