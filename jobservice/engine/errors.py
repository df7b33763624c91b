"""What makes a copy fail, told so that programs and people can act on it.

CopyError               one reference cannot be copied; holds the Failure
SourceFailed            carries an error of the source through the code that writes to the destination
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from jobservice.engine.backoff import AccessRefused, is_transient, retry_after_s
from jobservice.transfer import Failure, Side
from oci_client import errors as oci


class SourceFailed(Exception):
    """The source gave up; `error` says why."""

    def __init__(self, error: oci.OciError) -> None:
        super().__init__(str(error))
        self.error = error


class CopyError(Exception):
    """A reference, or something that it needs, cannot be copied."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


# The first class that fits decides, so special ones come before general ones.
_REASONS: Final[tuple[tuple[type[oci.OciError], str], ...]] = (
    (oci.DigestMismatch, "DIGEST_MISMATCH"),
    (oci.SizeMismatch, "SIZE_MISMATCH"),
    (oci.TruncatedBody, "BODY_TRUNCATED"),
    (oci.BodyTooLarge, "BODY_TOO_LARGE"),
    (oci.EndlessPaging, "ENDLESS_PAGING"),
    (oci.UnexpectedAnswer, "UNEXPECTED_ANSWER"),
    (oci.ManifestInvalid, "MANIFEST_INVALID"),
    (oci.ManifestUnknown, "MANIFEST_UNKNOWN"),
    (oci.BlobUnknown, "BLOB_UNKNOWN"),
    (oci.NameUnknown, "REPOSITORY_UNKNOWN"),
    (oci.ManifestBlobUnknown, "BLOB_UNKNOWN"),
    (oci.Unauthorized, "REGISTRY_CREDENTIAL_REJECTED"),
    (oci.Denied, "ACCESS_DENIED"),
    (oci.TooManyRequests, "RATE_LIMITED"),
    (oci.ServerFault, "REGISTRY_FAULT"),
    (oci.TagImmutable, "TAG_IMMUTABLE"),
    (oci.RegistryError, "REQUEST_REFUSED"),
    (oci.RegistryTimeout, "TRANSFER_STALLED"),
    (oci.Unreachable, "REGISTRY_UNREACHABLE"),
)


def failure_of(error: oci.OciError, side: Side, **metadata: str) -> Failure:
    """Return the failure that an error of oci_client means."""
    reason = _reason(error)
    refusal = error if isinstance(error, oci.RegistryError) else None
    pause = retry_after_s(error)
    if pause is not None:
        metadata = {**metadata, "retry_after_s": f"{pause:.0f}"}
    return Failure(
        reason=reason,
        message=f"{side.capitalize()}: {error}",
        side=side,
        registry_code=min(refusal.codes, default="") if refusal else "",
        http_status=refusal.status if refusal else 0,
        retryable=is_transient(error),
        metadata=metadata,
    )


def _reason(error: oci.OciError) -> str:
    if isinstance(error, AccessRefused):
        return error.reason
    return next((reason for kind, reason in _REASONS if isinstance(error, kind)), "UNEXPECTED_ANSWER")


@contextmanager
def failing_at(side: Side, **metadata: str) -> Iterator[None]:
    """Turn an error of oci_client into a CopyError that says at which side it happened."""
    try:
        yield
    except SourceFailed as carried:
        raise CopyError(failure_of(carried.error, Side.SOURCE, **metadata)) from carried.error
    except oci.OciError as error:
        raise CopyError(failure_of(error, side, **metadata)) from error
