"""How long to wait before something is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from oci_client.errors import (
    DigestMismatch,
    OciError,
    RegistryError,
    ServerFault,
    SizeMismatch,
    TlsFailure,
    TooManyRequests,
    TruncatedBody,
    Unreachable,
)

REQUEST_TIMEOUT: Final = 408


class AccessRefused(OciError):
    """No authorization could be had for a request; `reason` is one of ErrorReason."""

    def __init__(self, message: str, *, reason: str, retryable: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential waits with full jitter, so that many who failed together do not come back together."""

    attempts: int
    base_s: float
    cap_s: float

    def delay_s(self, failures: int, retry_after_s: float | None = None) -> float:
        """Return the wait after so many failures in a row; what the registry asks for is never undercut."""
        jittered = random.uniform(0, min(self.cap_s, self.base_s * 2 ** (failures - 1)))  # noqa: S311 - no secret
        return max(jittered, min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))


MAX_RETRY_AFTER_S: Final = 120.0  # a registry that wants a longer pause gets it between two attempts of the job
# Short hiccups of a registry are over within seconds; what lasts longer is for the next attempt of the job.
REQUESTS: Final = Backoff(attempts=5, base_s=0.25, cap_s=8.0)
# A cut connection costs little when the transfer goes on where it was, so it is tried more often.
RESUMES: Final = Backoff(attempts=6, base_s=0.1, cap_s=5.0)


def is_transient(error: BaseException) -> bool:
    """Tell whether the same request may succeed a little later."""
    match error:
        case TlsFailure():
            return False
        case AccessRefused():
            return error.retryable
        case TooManyRequests() | ServerFault() | Unreachable() | TruncatedBody():
            return True
        case DigestMismatch() | SizeMismatch():
            # Rare, and mostly a broken cache on the way; the attempts are bounded.
            return True
        case RegistryError(status=status):
            return status == REQUEST_TIMEOUT
        case _:
            return False


def retry_after_s(error: BaseException) -> float | None:
    """Return the pause that the registry asked for, in seconds."""
    return error.retry_after if isinstance(error, RegistryError) else None


def raise_if_final(error: OciError, failures: int, backoff: Backoff) -> None:
    """Raise `error` when it is not worth another try now, or when there have been enough."""
    if not is_transient(error) or failures >= backoff.attempts or (retry_after_s(error) or 0.0) > MAX_RETRY_AFTER_S:
        raise error
