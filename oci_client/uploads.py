"""Blob uploads: mount, or a session that ends with a PUT."""

import re
from dataclasses import dataclass, field
from typing import Final

from oci_client.auth import DELETE, PULL, PUSH, Scope, pull_scope, push_scope
from oci_client.digest import Digest
from oci_client.errors import DigestMismatch, RegistryError
from oci_client.exchange import Exchange, content_digest, location, refused, with_query
from oci_client.gate import Action
from oci_client.headers import whole_number
from oci_client.http import Answer, Content

_OCTETS: Final = {"Content-Type": "application/octet-stream"}
_RANGE: Final = re.compile(r"(?:bytes=)?0-([0-9]{1,18})")
_SESSION_OPENED: Final = 202
_MOUNTED: Final = 201
_STORED: Final = frozenset({201, 204})
_CHUNK_TAKEN: Final = frozenset({201, 202, 204})  # Amazon ECR says 201
_STATUS_TOLD: Final = frozenset({200, 202, 204})
_CANCELLED: Final = frozenset({200, 202, 204})
# Refusals of a mount that say "not now" or "not you"; after any other one a plain upload is worth its try.
_MOUNT_FAILURES: Final = frozenset({401, 403, 408, 429})
# Rights to cancel are often not granted, and a session that is gone needs no cancelling.
_CANCEL_REFUSALS: Final = frozenset({401, 403, 404, 405})


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadSession:
    """An open upload. Each answer may move it to another `url`: go on with the newest session."""

    repository: str
    url: str = field(repr=False)  # its query may be a signature
    min_chunk: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStatus:
    """How far an upload has come: the next chunk starts at `offset`."""

    session: UploadSession
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """The blob is in the repository without having travelled."""

    digest: Digest


class Uploads:
    """The writing blob part of a RegistryClient."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def mount_blob(self, repository: str, digest: Digest, from_repository: str) -> Mounted | UploadSession:
        """Take the blob over from another repository of the registry, or return a session to upload it.

        Raises Unauthorized, Denied and TooManyRequests; any other refusal leads to a plain session.
        """
        url = self._exchange.repository_url(repository, "blobs/uploads/", mount=digest, **{"from": from_repository})
        scopes = {push_scope(repository)} | ({pull_scope(from_repository)} if from_repository != repository else set())
        answer = await self._exchange.request(Action.MOUNT, "POST", url, scopes=scopes)
        if answer.status == _MOUNTED:
            return Mounted(digest=digest)
        if answer.status == _SESSION_OPENED:
            return _session(repository, answer)
        if 400 <= answer.status < 500 and answer.status not in _MOUNT_FAILURES:
            return await self.start_upload(repository)
        raise refused("POST", answer)

    async def start_upload(self, repository: str) -> UploadSession:
        """Open a session."""
        url = self._exchange.repository_url(repository, "blobs/uploads/")
        answer = await self._exchange.request(Action.START_UPLOAD, "POST", url, scopes=[push_scope(repository)])
        if answer.status != _SESSION_OPENED:
            raise refused("POST", answer)
        return _session(repository, answer)

    async def put_blob(
        self, session: UploadSession, digest: Digest, content: Content, *, size: int | None = None
    ) -> None:
        """Send the rest of the blob and close the session. A streamed `content` should come with its `size`.

        A stream cannot be sent twice, so that a token which the registry no longer takes raises Unauthorized at
        once. Raises UploadUnknown when the session is over, DigestMismatch when the registry stored something else.
        """
        answer = await self._exchange.request(
            Action.PUT_BLOB,
            "PUT",
            with_query(session.url, [("digest", digest)]),
            scopes=[push_scope(session.repository)],
            headers=_OCTETS if size is None else {**_OCTETS, "Content-Length": str(size)},
            content=content,
        )
        if answer.status not in _STORED:
            raise refused("PUT", answer)
        stored = content_digest(answer.headers)
        if stored and stored.algorithm == digest.algorithm and stored != digest:
            raise DigestMismatch(expected=digest, actual=stored)

    async def put_chunk(self, session: UploadSession, offset: int, content: bytes) -> UploadSession:
        """Send one chunk, which starts at `offset`, and return the session to go on with. Raises RangeInvalid."""
        answer = await self._exchange.request(
            Action.PUT_BLOB,
            "PATCH",
            session.url,
            scopes=[push_scope(session.repository)],
            # Unlike in HTTP proper the unit is not written.
            headers={**_OCTETS, "Content-Range": f"{offset}-{offset + len(content) - 1}"},
            content=content,
        )
        if answer.status not in _CHUNK_TAKEN:
            raise refused("PATCH", answer)
        return _moved(session, answer)

    async def upload_status(self, session: UploadSession) -> UploadStatus:
        """Ask how far the upload has come. Raises UploadUnknown."""
        scopes = [push_scope(session.repository)]
        answer = await self._exchange.request(Action.UPLOAD_SESSION, "GET", session.url, scopes=scopes)
        if answer.status not in _STATUS_TOLD:
            raise refused("GET", answer)
        return UploadStatus(session=_moved(session, answer), offset=_offset(answer))

    async def cancel_upload(self, session: UploadSession) -> None:
        """Give the session up. A registry that does not allow that lets it expire, and so do we."""
        scopes = [Scope(name=session.repository, actions=frozenset({PULL, PUSH, DELETE}))]
        try:
            answer = await self._exchange.request(Action.UPLOAD_SESSION, "DELETE", session.url, scopes=scopes)
            if answer.status not in _CANCELLED:
                raise refused("DELETE", answer)
        except RegistryError as exc:
            if exc.status not in _CANCEL_REFUSALS:
                raise


def _session(repository: str, answer: Answer) -> UploadSession:
    least = whole_number(answer.headers.get("oci-chunk-min-length"))
    return UploadSession(repository=repository, url=location(answer), min_chunk=least)


def _moved(session: UploadSession, answer: Answer) -> UploadSession:
    url = location(answer) if "location" in answer.headers else session.url
    return UploadSession(repository=session.repository, url=url, min_chunk=session.min_chunk)


def _offset(answer: Answer) -> int:
    """Read `Range: 0-last`. `0-0` is what some registries say for nothing at all, so it counts as nothing."""
    match = _RANGE.fullmatch(answer.headers.get("range"))
    last = int(match[1]) if match else 0
    return last + 1 if last else 0
