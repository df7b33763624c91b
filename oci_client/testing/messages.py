"""What goes in and out of the fake registry: a request, a reply, and an error of the distribution specification."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self

from oci_client.testing.blob import Blob


class Action(StrEnum):
    """What a request is about, whatever its method."""

    PING = "ping"
    TOKEN = "token"  # noqa: S105 - the name of an endpoint
    CATALOG = "catalog"
    TAGS = "tags"
    MANIFEST = "manifest"
    BLOB = "blob"
    UPLOAD_START = "upload-start"
    UPLOAD = "upload"
    REFERRERS = "referrers"
    STORAGE = "storage"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, taken apart; `reference` is a tag, a digest or the id of an upload."""

    method: str
    path: str
    action: Action
    repository: str = ""
    reference: str = ""
    query: Mapping[str, tuple[str, ...]]
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]
    registry_url: str
    storage_url: str

    def param(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next(iter(self.query.get(name, ())), None)

    def params(self, name: str) -> tuple[str, ...]:
        return self.query.get(name, ())

    def header(self, name: str) -> str | None:
        return self.headers.get(name)

    @property
    def content_length(self) -> int | None:
        length = self.headers.get("Content-Length")
        return int(length) if length is not None else None

    async def read(self, limit: int) -> bytes:
        """The whole body; more than `limit` bytes of it are refused with 413."""
        data = bytearray()
        async for piece in self.body:
            data += piece
            if len(data) > limit:
                raise RegistryError(413, "SIZE_INVALID", f"more than {limit} bytes")
        return bytes(data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer. `size` is what Content-Length says; `cut_after` and `bytes_per_s` shape how the body travels."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: Iterable[bytes] = ()
    size: int = 0
    cut_after: int | None = None
    bytes_per_s: float | None = None

    @classmethod
    def of(cls, status: int, body: bytes = b"", **headers: str) -> Self:
        """A reply with a body from memory; `content_type="a/b"` becomes `Content-Type: a/b`."""
        named = tuple((name.replace("_", "-").title(), value) for name, value in headers.items())
        return cls(status=status, headers=named, body=(body,), size=len(body))

    @classmethod
    def json(cls, status: int, document: object, **headers: str) -> Self:
        return cls.of(status, json.dumps(document).encode(), **({"content_type": "application/json"} | headers))

    @classmethod
    def blob(cls, blob: Blob, start: int = 0, stop: int | None = None, *, status: int = 200) -> Self:
        end = blob.size if stop is None else stop
        return cls(status=status, body=blob.pieces(start, end), size=end - start)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def with_header(self, name: str, *values: str) -> Self:
        """The reply with just these values for a header; with none, without the header."""
        others = tuple((key, value) for key, value in self.headers if key.lower() != name.lower())
        return replace(self, headers=(*others, *((name, value) for value in values)))


Handler = Callable[[Request], Awaitable[Reply]]


class RegistryError(Exception):
    """An error in the form of the specification: status, code, message, detail."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str = "",
        *,
        detail: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code} {message}".strip())
        self.status = status
        self.code = code
        self.message = message or code.replace("_", " ").lower()
        self.detail = detail
        self.headers = headers or {}

    def reply(self) -> Reply:
        entry = {"code": self.code, "message": self.message} | ({} if self.detail is None else {"detail": self.detail})
        reply = Reply.json(self.status, {"errors": [entry]})
        return replace(reply, headers=(*reply.headers, *self.headers.items()))


class ConnectionCutError(Exception):
    """The connection is to be cut without an answer."""
