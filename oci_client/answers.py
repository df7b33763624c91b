"""Turns the answer of a registry into the error that it means."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from oci_client.errors import (
    BlobUnknown,
    Denied,
    ErrorDetail,
    ManifestBlobUnknown,
    ManifestUnknown,
    NameUnknown,
    NotFound,
    RangeInvalid,
    RegistryError,
    ServerFault,
    TagImmutable,
    TooManyRequests,
    Unauthorized,
    Unsupported,
    UploadUnknown,
)
from oci_client.headers import Headers, retry_after

MAX_ERRORS: Final = 20  # of one answer; more would only swell logs
MAX_TEXT_CHARS: Final = 500  # of one message, for the same reason

_DIGEST: Final = re.compile(r"\b(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})\b")

# A code says more than its status, and registries disagree on the status that goes with it.
_BY_CODE: Final[dict[str, type[RegistryError]]] = {
    "MANIFEST_BLOB_UNKNOWN": ManifestBlobUnknown,
    "TOOMANYREQUESTS": TooManyRequests,
    "UNSUPPORTED": Unsupported,
    "TAG_ALREADY_EXISTS": TagImmutable,
    "TAG_IMMUTABLE": TagImmutable,
    "IMAGETAGALREADYEXISTSEXCEPTION": TagImmutable,  # Amazon ECR
}
_NOT_FOUND_BY_CODE: Final[dict[str, type[RegistryError]]] = {
    "NAME_UNKNOWN": NameUnknown,
    "MANIFEST_UNKNOWN": ManifestUnknown,
    "BLOB_UNKNOWN": BlobUnknown,
    "BLOB_UPLOAD_UNKNOWN": UploadUnknown,
}
_BY_STATUS: Final[dict[int, type[RegistryError]]] = {
    401: Unauthorized,
    403: Denied,
    404: NotFound,
    405: Unsupported,
    416: RangeInvalid,
    429: TooManyRequests,
}
# Harbor answers 412 and others 409 when a rule forbids to move a tag.
_IMMUTABLE_STATUSES: Final = frozenset({409, 412})


def registry_error(method: str, url: str, status: int, headers: Headers, body: bytes) -> RegistryError:
    """Return the error for an answer that is a refusal. The body may be anything; what can be read of it is kept."""
    errors = parse_errors(body, headers.get("content-type"))
    kind = _kind(method, url, status, [error.code.upper() for error in errors])
    error = kind(
        method=method,
        url=without_query(url),
        status=status,
        errors=errors,
        retry_after=retry_after(headers, datetime.now(UTC)),
    )
    if isinstance(error, ManifestBlobUnknown):
        error.digests = tuple(dict.fromkeys(_digests(errors)))
    return error


def parse_errors(body: bytes, content_type: str) -> tuple[ErrorDetail, ...]:
    """Read the specification's `errors` list, or take a short plain text as one message."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return _plain_text(body, content_type)
    entries = document.get("errors") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        return ()
    return tuple(_error_detail(entry) for entry in entries[:MAX_ERRORS] if isinstance(entry, dict))


def without_query(url: str) -> str:
    """Return `url` without user, query and fragment: any of them may hold a secret."""
    scheme, netloc, path, _, _ = urlsplit(url)
    return urlunsplit((scheme, netloc.rpartition("@")[2], path, "", ""))


def _kind(method: str, url: str, status: int, codes: Iterable[str]) -> type[RegistryError]:
    if status >= 500:
        return ServerFault
    for code in codes:
        if code in _BY_CODE:
            return _BY_CODE[code]
        if status == 404 and code in _NOT_FOUND_BY_CODE:
            return _NOT_FOUND_BY_CODE[code]
    if status in _IMMUTABLE_STATUSES and method == "PUT" and "/manifests/" in url:
        return TagImmutable
    return _BY_STATUS.get(status, RegistryError)


def _error_detail(entry: dict[str, Any]) -> ErrorDetail:
    return ErrorDetail(
        code=_short(entry.get("code") or "UNKNOWN"),
        message=_short(entry.get("message") or ""),
        detail=entry.get("detail"),
    )


def _plain_text(body: bytes, content_type: str) -> tuple[ErrorDetail, ...]:
    text = " ".join(body.decode(errors="replace").split())
    if not text or "html" in content_type or text.startswith("<"):
        return ()
    return (ErrorDetail(code="UNKNOWN", message=_short(text)),)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= MAX_TEXT_CHARS else text[:MAX_TEXT_CHARS] + "…"


def _digests(errors: Iterable[ErrorDetail]) -> Iterator[str]:
    """Find the digests wherever a registry put them: in the detail's field, in its text, or in the message."""
    for error in errors:
        yield from _DIGEST.findall(f"{json.dumps(error.detail)} {error.message}")
