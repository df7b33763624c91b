"""What answers mean: errors by code and status, and headers that need reading."""

import json
from datetime import UTC, datetime

import pytest

from oci_client.answers import registry_error
from oci_client.auth import Credential
from oci_client.errors import (
    BlobUnknown,
    Denied,
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
from oci_client.headers import Headers, RateLimit, next_link, retry_after

URL = "https://user:pw@host/v2/a/manifests/v1?token=hidden"
DIGEST = "sha256:" + "0a" * 32
OTHER = "sha256:" + "0b" * 32


def refusal(status: int, *codes: str, method: str = "GET", body: bytes | None = None) -> RegistryError:
    errors = json.dumps({"errors": [{"code": code, "message": "m"} for code in codes]}).encode()
    return registry_error(method, URL, status, Headers(), errors if body is None else body)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (401, "UNAUTHORIZED", Unauthorized),
        (403, "DENIED", Denied),
        (404, "NAME_UNKNOWN", NameUnknown),
        (404, "MANIFEST_UNKNOWN", ManifestUnknown),
        (404, "BLOB_UNKNOWN", BlobUnknown),
        (404, "BLOB_UPLOAD_UNKNOWN", UploadUnknown),
        (404, "WHATEVER", NotFound),
        (400, "MANIFEST_BLOB_UNKNOWN", ManifestBlobUnknown),
        (404, "MANIFEST_BLOB_UNKNOWN", ManifestBlobUnknown),
        (400, "UNSUPPORTED", Unsupported),
        (405, "", Unsupported),
        (416, "RANGE_INVALID", RangeInvalid),
        (429, "TOOMANYREQUESTS", TooManyRequests),
        (403, "toomanyrequests", TooManyRequests),
        (400, "ImageTagAlreadyExistsException", TagImmutable),
        (502, "MANIFEST_UNKNOWN", ServerFault),
        (400, "NAME_INVALID", RegistryError),
    ],
)
def test_kinds(status: int, code: str, kind: type[RegistryError]) -> None:
    error = refusal(status, code)

    assert type(error) is kind
    assert (error.status, error.method) == (status, "GET")


@pytest.mark.parametrize(("method", "kind"), [("PUT", TagImmutable), ("GET", RegistryError)])
def test_a_precondition_forbids_a_tag_only_when_it_is_written(method: str, kind: type[RegistryError]) -> None:
    assert type(refusal(412, "PRECONDITION", method=method)) is kind


@pytest.mark.parametrize("detail", [DIGEST, {"digest": DIGEST}, [{"Digest": DIGEST}], f"unknown blob {DIGEST}"])
def test_missing_blobs_are_named_wherever_the_registry_put_them(detail: object) -> None:
    entries = [{"code": "MANIFEST_BLOB_UNKNOWN", "detail": detail}, {"code": "MANIFEST_BLOB_UNKNOWN", "message": OTHER}]
    error = refusal(400, body=json.dumps({"errors": entries}).encode())

    assert isinstance(error, ManifestBlobUnknown)
    assert error.digests == (DIGEST, OTHER)


def test_no_message_tells_user_or_query() -> None:
    text = str(refusal(404)) + repr(refusal(404)) + repr(Credential(username="u", password="hidden"))

    assert "hidden" not in text
    assert "pw" not in text
    assert "https://host/v2/a/manifests/v1" in text


@pytest.mark.parametrize(
    "body", [b"", b"<html>x</html>", b"[]", b'{"errors":null}', b'{"errors":["x"]}', b"[" * 99_999]
)
def test_bodies_that_tell_nothing(body: bytes) -> None:
    error = refusal(404, body=body)

    assert type(error) is NotFound
    assert error.errors == () or len(str(error)) < 1000


def test_plain_text_is_kept_short() -> None:
    (error,) = refusal(404, body=b"404 page\n not found" + b"!" * 10_000).errors

    assert error.message.startswith("404 page not found!")
    assert len(error.message) < 1000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30.0),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1e9", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    assert retry_after(Headers([("Retry-After", value)]), now) == seconds


HUB = RateLimit(limit=100, remaining=0, window_s=21600)


@pytest.mark.parametrize(
    ("told", "limit"),
    [
        ({"ratelimit-limit": "100;w=21600", "ratelimit-remaining": "0;w=21600"}, HUB),
        ({"RateLimit-Limit": "100, 100;w=21600", "RateLimit-Remaining": "0;w=21600"}, HUB),
        ({"RateLimit-Remaining": "7"}, RateLimit(limit=None, remaining=7, window_s=None)),
        (
            {"RateLimit-Limit": "100", "RateLimit-Remaining": "0", "RateLimit-Reset": "30"},
            RateLimit(limit=100, remaining=0, window_s=None, reset_s=30),
        ),
        # Some tell a moment, by a clock that is not ours.
        (
            {"RateLimit-Remaining": "0", "RateLimit-Reset": "1795435200"},
            RateLimit(limit=None, remaining=0, window_s=None),
        ),
        ({"RateLimit-Limit": "100", "RateLimit-Reset": "30"}, None),
        ({"RateLimit-Remaining": "none"}, None),
    ],
)
def test_rate_limits(told: dict[str, str], limit: RateLimit | None) -> None:
    assert RateLimit.from_headers(Headers(told.items())) == limit


@pytest.mark.parametrize(
    ("value", "target"),
    [
        ('</v2/_catalog?last=a&n=1>; rel="next"', "/v2/_catalog?last=a&n=1"),
        ("<x>; rel=next", "x"),
        ('<x>;title="a, b" ; REL = "last Next"', "x"),
        ('<p>; rel="prev", <n,1>; rel="next"', "n,1"),
        ('<p>; rel="nextish"', None),
        ("<x>", None),
        ("nonsense", None),
        ("", None),
    ],
)
def test_next_link(value: str, target: str | None) -> None:
    assert next_link(Headers([("link", value)])) == target


def test_headers_of_one_name_are_joined_and_told_apart() -> None:
    headers = Headers([("A", "1"), ("a", "2")])

    assert (headers.get("A"), headers.all("a"), headers.get("b", "x")) == ("1, 2", ("1", "2"), "x")
    assert "1" not in repr(headers)
