"""Writes a blob to its destination: in one PUT, or in chunks that another worker can go on from.

The rules are those of the distribution specification, "Pushing a blob", and of the registries that bend them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from jobservice.engine.backoff import RESUMES, is_transient, raise_if_final, retry_after_s
from jobservice.engine.chunks import ChunkSizes
from jobservice.engine.exchange import Exchange, Origin
from jobservice.engine.sending import Sender
from oci_client.answers import without_query
from oci_client.digest import Digest
from oci_client.errors import (
    Denied,
    DigestMismatch,
    NameUnknown,
    NotFound,
    OciError,
    RangeInvalid,
    RegistryError,
    Unauthorized,
    UnexpectedAnswer,
)
from oci_client.exchange import resolve

_STORED: Final = frozenset({201, 204})
_CHUNK_TAKEN: Final = frozenset({201, 202, 204})  # Amazon ECR says 201
_STATUS_TOLD: Final = frozenset({200, 202, 204})
_TOO_LARGE: Final = frozenset({413, 416})
_NOT_IMPLEMENTED: Final = 501
_RANGE: Final = re.compile(r"(?:bytes[= ])?0-(\d+)")
# After these a session is over, whatever the status: the registry lost it, or does not hold what was sent.
_OVER: Final = frozenset({"BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "DIGEST_INVALID", "SIZE_INVALID"})


@dataclass(slots=True, kw_only=True)
class UploadState:
    """An open session: where its next request goes, and how many bytes it holds. Survives a failed attempt.

    `is_resumed` says that the session may hold more or less than `offset`, or be gone: it must be asked.
    """

    url: str = field(repr=False)  # its query may be a signature
    offset: int = 0
    min_chunk: int = 0
    is_resumed: bool = False


class ChunksRefused(OciError):
    """The registry does not take the blob in chunks; the session is of no more use."""


class SessionLost(OciError):
    """The registry tells of a session what cannot be."""


def is_session_over(error: OciError) -> bool:
    """Tell whether the upload may succeed in a new session, and only there."""
    match error:
        case ChunksRefused() | SessionLost() | RangeInvalid() | DigestMismatch():
            return True
        case NotFound():
            return not isinstance(error, NameUnknown)
        case RegistryError():
            return bool(error.codes & _OVER)
        case _:
            return False


@dataclass(slots=True, kw_only=True)
class BlobUpload:
    """One blob on its way into an open session. All its methods block."""

    sender: Sender
    state: UploadState
    chunks: ChunkSizes
    # Told of each chunk that the destination has, before the next one is sent.
    checkpoint: Callable[[UploadState], None]

    def put_whole(self) -> None:
        """Send the blob in the closing PUT.

        Raises DigestMismatch before the last byte is sent if the source lies, and then nothing is stored.
        """
        self.sender.reader.seek(0)
        self._close_session(length=self._size)

    def put_chunks(self, chunk_bytes: int) -> None:
        """Send the blob in chunks, then close the session. Goes on from where `state` stands.

        Raises ChunksRefused, and an error that `is_session_over` knows when the session is.
        """
        if self.state.is_resumed:
            self._ask_offset()
        failures = 0
        while self.state.offset < self._size:
            before = self.state.offset
            size = self.chunks.size(chunk_bytes, self.state.min_chunk)
            if size is None:
                raise ChunksRefused(f"{without_query(self.state.url)}: chunks are not taken")
            try:
                self._put_chunk(min(size, self._size - before))
                failures = 0
            except OciError as error:
                failures += 1
                self._recover(error, failures, before, size)
        self._close_session(length=0)

    @property
    def _size(self) -> int:
        return self.sender.verifier.size

    def _put_chunk(self, length: int) -> None:
        start = self.state.offset
        self.sender.reader.seek(start)
        # Unlike in HTTP proper the unit is not written.
        content_range = {"Content-Range": f"{start}-{start + length - 1}"}
        exchange = self.sender.send("PATCH", self.state.url, length, content_range)
        if exchange.status not in _CHUNK_TAKEN:
            raise self._refusal(exchange)
        self._follow(exchange)
        # Not by the Range of the answer: on Amazon ECR it has been seen to stay at the first chunk.
        self.state.offset = start + length
        self.sender.connections.finish(exchange)
        self.checkpoint(self.state)

    def _recover(self, error: OciError, failures: int, before: int, size: int) -> None:
        """Find out how the upload stands after a chunk that failed; raise `error` when there is no way on."""
        if isinstance(error, RegistryError) and error.status in _TOO_LARGE:
            self._ask_offset()
            if self.state.offset == before and failures == 1:
                # The chunk began at the right place, so it is its size that does not fit.
                self.chunks.refuse(size)
            elif self.state.offset == before:
                raise SessionLost(f"{without_query(self.state.url)}: does not tell where it stands")
        elif _refuses_chunks(error) and before == 0:
            self.chunks.refuse_all()
        else:
            raise_if_final(error, failures, RESUMES)
            self.sender.cancellation.sleep(RESUMES.delay_s(failures, retry_after_s(error)))
            self._ask_offset()

    def _close_session(self, *, length: int) -> None:
        digest = self.sender.verifier.digest
        exchange = self.sender.send("PUT", closing_url(self.state.url, digest), length)
        if exchange.status not in _STORED:
            raise self._refusal(exchange)
        stored = exchange.headers.get("docker-content-digest")
        self.sender.connections.finish(exchange)
        if stored and stored.startswith(f"{digest.algorithm}:") and stored != digest:
            raise DigestMismatch(expected=digest, actual=stored)

    def _ask_offset(self) -> None:
        """Ask the destination how far it has come, and go on from there."""
        exchange = self.sender.ask("GET", self.state.url)
        if exchange.status not in _STATUS_TOLD:
            raise self._refusal(exchange)
        self._follow(exchange)
        match = _RANGE.fullmatch(exchange.headers.get("range"))
        self.sender.connections.finish(exchange)
        last = int(match[1]) if match else 0
        # `0-0` is what some registries say for nothing at all, so it counts as nothing.
        offset = last + 1 if last else 0
        if offset > self._size or not self.sender.verifier.has_seen(offset):
            raise SessionLost(f"{without_query(self.state.url)}: holds {offset} bytes, which is more than was sent")
        self.state.offset = offset
        self.state.is_resumed = False

    def _refusal(self, exchange: Exchange) -> RegistryError:
        return self.sender.connections.refusal(exchange, self.sender.cancellation)

    def _follow(self, exchange: Exchange) -> None:
        """Each answer may move the session elsewhere."""
        target = exchange.headers.get("location")
        if target:
            self.state.url = resolve(exchange.url, target)
            Origin.of(self.state.url)


def _refuses_chunks(error: OciError) -> bool:
    """Tell whether an answer to a first chunk means that none is taken: it is not about rights, load or the session."""
    return (
        isinstance(error, RegistryError)
        and not isinstance(error, Unauthorized | Denied)
        and (error.status == _NOT_IMPLEMENTED or not (is_transient(error) or is_session_over(error)))
    )


def closing_url(url: str, digest: Digest) -> str:
    """Return the URL of the PUT that closes a session; its query is kept to the byte."""
    if not urlsplit(url).scheme:
        raise UnexpectedAnswer("the upload's Location is no URL")
    return f"{url}{'&' if urlsplit(url).query else '?'}digest={digest}"
