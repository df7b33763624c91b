"""The one error type of our services: raised as a class, sent as google.rpc.Status, raised again by the caller.

The docstring of a class is its message; keywords given at the raise become metadata and fill the placeholders in it.
"""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Self

DOMAIN: Final = "transship"


class Kind(StrEnum):
    """What a caller can do about an error; the names are those of the gRPC status codes."""

    CANCELLED = "CANCELLED"
    INVALID_ARGUMENT = "INVALID_ARGUMENT"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    RESOURCE_EXHAUSTED = "RESOURCE_EXHAUSTED"
    FAILED_PRECONDITION = "FAILED_PRECONDITION"
    ABORTED = "ABORTED"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    UNIMPLEMENTED = "UNIMPLEMENTED"
    INTERNAL = "INTERNAL"
    UNAVAILABLE = "UNAVAILABLE"
    DATA_LOSS = "DATA_LOSS"
    UNAUTHENTICATED = "UNAUTHENTICATED"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """One mistake in one field of a request; `field` is its path in the request message."""

    field: str
    description: str
    reason: str = ""


_classes: dict[str, type["ServiceError"]] = {}


class ServiceError(Exception):
    """The base of all our errors; README.md shows how to write one.

    A subclass sets `kind` and a `reason` of its own, says its message in its docstring, and overrides nothing.
    """

    domain: str = DOMAIN
    kind: Kind = Kind.INTERNAL
    reason: str = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Makes a class known by its reason; a class without a reason of its own only groups others."""
        super().__init_subclass__(**kwargs)
        if reason := cls.__dict__.get("reason"):
            if reason in _classes:
                raise TypeError(f"{cls.__qualname__} and {_classes[reason].__qualname__} share the reason {reason}")
            _classes[reason] = cls

    def __init__(
        self, *, violations: Sequence[FieldViolation] = (), retry_after_s: float | None = None, **metadata: object
    ) -> None:
        self.violations = tuple(violations)
        self.retry_after_s = retry_after_s
        self.metadata = {key: str(value) for key, value in metadata.items()}
        self.message = _message(type(self), self.metadata)
        super().__init__(self.message)

    @classmethod
    def restored(
        cls,
        *,
        message: str,
        metadata: Mapping[str, str],
        violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
    ) -> Self:
        """The error as another process raised it, in that process's words."""
        error = cls(violations=violations, retry_after_s=retry_after_s)
        error.message = message
        error.metadata = dict(metadata)
        return error

    def __str__(self) -> str:
        return self.message


class _Blanks(dict[str, str]):
    """Leaves a placeholder without a value as it is: an error about an error would hide the first."""

    def __missing__(self, key: str) -> str:
        return f"{{{key}}}"


def _message(cls: type[ServiceError], metadata: Mapping[str, str]) -> str:
    text = " ".join((inspect.getdoc(cls) or "").split())
    return text.format_map(_Blanks(metadata))


def error_classes() -> Mapping[str, type[ServiceError]]:
    """Every error class imported so far, by its reason."""
    return MappingProxyType(_classes)


class RemoteError(ServiceError):
    """An error of a peer whose class is not known in this process; kind, reason and domain are the peer's."""

    @classmethod
    def of(
        cls,
        kind: Kind,
        *,
        message: str,
        reason: str = "",
        domain: str = "",
        metadata: Mapping[str, str] = MappingProxyType({}),
        violations: Sequence[FieldViolation] = (),
        retry_after_s: float | None = None,
    ) -> Self:
        error = cls.restored(message=message, metadata=metadata, violations=violations, retry_after_s=retry_after_s)
        error.kind, error.reason, error.domain = kind, reason, domain
        return error


class InvalidRequest(ServiceError):
    """The request is not valid. Each mistake is listed with its field."""

    kind = Kind.INVALID_ARGUMENT
    reason = "INVALID_REQUEST"


class UnknownFieldInMask(ServiceError):
    """The update mask names fields that do not exist or cannot be changed."""

    kind = Kind.INVALID_ARGUMENT
    reason = "UNKNOWN_FIELD_IN_MASK"


class InvalidPageToken(ServiceError):
    """The page token is damaged or belongs to a list with other filters. Start again without a token."""

    kind = Kind.INVALID_ARGUMENT
    reason = "INVALID_PAGE_TOKEN"


class EtagMismatch(ServiceError):
    """The resource has changed since it was read. Read it again and repeat the change."""

    kind = Kind.ABORTED
    reason = "ETAG_MISMATCH"


class Unauthenticated(ServiceError):
    """The caller did not prove who it is."""

    kind = Kind.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class PermissionDenied(ServiceError):
    """The caller may not do this."""

    kind = Kind.PERMISSION_DENIED
    reason = "PERMISSION_DENIED"


class DeadlineExceeded(ServiceError):
    """The deadline passed before the work was done."""

    kind = Kind.DEADLINE_EXCEEDED
    reason = "DEADLINE_EXCEEDED"


class ServiceUnavailable(ServiceError):
    """The service {service} cannot be reached at the moment. Try again."""

    kind = Kind.UNAVAILABLE
    reason = "SERVICE_UNAVAILABLE"


class ShuttingDown(ServiceError):
    """The service is shutting down. Try again; another replica will answer."""

    kind = Kind.UNAVAILABLE
    reason = "SHUTTING_DOWN"


class InternalError(ServiceError):
    """An internal error occurred. The service's log has the details under this request id."""

    kind = Kind.INTERNAL
    reason = "INTERNAL"
