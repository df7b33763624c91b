"""Writes a blob to its destination: in one PUT, or in chunks that another worker can go on from.

The rules are those of the distribution specification, "Pushing a blob", and of the registries that bend them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol
from urllib.parse import urljoin, urlsplit

from jobservice.engine.backoff import RESUMES, raise_if_final, retry_after_s
from jobservice.engine.cancellation import Cancellation
from jobservice.engine.connections import Connections, Exchange, Origin, mapped_errors, redirected
from jobservice.engine.errors import SourceFailed
from jobservice.engine.source import Authorize
from oci_client.answers import without_query
from oci_client.digest import Digest, Hasher
from oci_client.errors import DigestMismatch, OciError, RangeInvalid, RegistryError, UnexpectedAnswer

BUFFER_BYTES: Final = 1024 * 1024  # smaller ones cost more calls a byte; larger ones no longer pay

MAX_RESENDS: Final = 4  # of one request: one for a fresh token, the others for redirects

_UNAUTHORIZED: Final = 401
_MOVED: Final = frozenset({307, 308})
_OCTETS: Final = {"Content-Type": "application/octet-stream"}
_STORED: Final = frozenset({201, 204})
_CHUNK_TAKEN: Final = frozenset({201, 202, 204})  # Amazon ECR says 201
_STATUS_TOLD: Final = frozenset({200, 202, 204})
_RANGE: Final = re.compile(r"(?:bytes[= ])?0-(\d+)")


class Reader(Protocol):
    """Where the bytes come from."""

    offset: int

    def readinto(self, view: memoryview) -> int: ...
    def seek(self, offset: int) -> None: ...


@dataclass(slots=True, kw_only=True)
class UploadState:
    """An open session: where its next request goes, and how many bytes it holds. Survives a failed attempt."""

    url: str = field(repr=False)  # its query may be a signature
    offset: int = 0
    min_chunk: int = 0


@dataclass(slots=True, kw_only=True)
class Verifier:
    """Hashes a blob as it passes, each byte once, and holds its end back until the digest is known to be right.

    After a crash the first bytes went by in another process. Then `prefix_unseen` is set, and only the registry can
    check the digest, as the specification makes it do before it stores a blob.
    """

    digest: Digest
    size: int
    prefix_unseen: bool = False
    hashed: int = 0
    _hasher: Hasher = field(init=False)

    def __post_init__(self) -> None:
        self._hasher = self.digest.hasher()

    def update(self, offset: int, view: memoryview) -> None:
        """Take the bytes at `offset`; raises DigestMismatch with the last one if the blob is not what it should be."""
        new = self.hashed - offset
        if self.prefix_unseen or new >= len(view):
            return
        self._hasher.update(view[new:])
        self.hashed = offset + len(view)
        if self.hashed == self.size and not self.digest.matches(self._hasher):
            raise DigestMismatch(expected=self.digest, actual=f"{self.digest.algorithm}:{self._hasher.hexdigest()}")


@dataclass(slots=True, kw_only=True)
class BlobUpload:
    """One blob on its way into an open session. All its methods block."""

    connections: Connections
    # The registry itself: its authorization goes nowhere else.
    home: Origin
    reader: Reader
    verifier: Verifier
    state: UploadState
    authorize: Authorize
    cancellation: Cancellation
    # Told of bytes as they are written; may sleep to keep a limit.
    moved: Callable[[int], None]
    # Told of each chunk that the destination has, before the next one is sent.
    checkpoint: Callable[[UploadState], None] = lambda _: None

    def put_whole(self) -> None:
        """Send the blob in the closing PUT.

        Raises DigestMismatch before the last byte is sent if the source lies, and then nothing is stored.
        """
        self.reader.seek(0)
        self._close_session(length=self.verifier.size)

    def put_chunks(self, chunk_bytes: int) -> None:
        """Send the blob in chunks, then close the session. Goes on from where `state` stands.

        Raises UploadUnknown when the session is over, and RegistryError when the registry refuses chunks.
        """
        failures = 0
        chunk = max(chunk_bytes, self.state.min_chunk)
        while self.state.offset < self.verifier.size:
            before = self.state.offset
            try:
                self._put_chunk(min(chunk, self.verifier.size - before))
                failures = 0
            except RangeInvalid:
                # The registry knows better how much it has, or takes no chunks of this size.
                failures += 1
                self._ask_offset()
                if self.state.offset == before and failures > 1:
                    raise
            except OciError as error:
                failures += 1
                raise_if_final(error, failures, RESUMES)
                self.cancellation.sleep(RESUMES.delay_s(failures, retry_after_s(error)))
                self._ask_offset()
        self._close_session(length=0)

    def _put_chunk(self, length: int) -> None:
        start = self.state.offset
        self.reader.seek(start)
        # Unlike in HTTP proper the unit is not written.
        headers = {**_OCTETS, "Content-Range": f"{start}-{start + length - 1}"}
        exchange = self._send("PATCH", self.state.url, headers, length)
        if exchange.status not in _CHUNK_TAKEN:
            raise self._refused(exchange)
        self._follow(exchange)
        self.state.offset = start + length
        self.connections.finish(exchange)
        self.checkpoint(self.state)

    def _close_session(self, *, length: int) -> None:
        digest = self.verifier.digest
        exchange = self._send("PUT", closing_url(self.state.url, digest), _OCTETS, length)
        if exchange.status not in _STORED:
            raise self._refused(exchange)
        stored = exchange.headers.get("docker-content-digest")
        self.connections.finish(exchange)
        if stored and stored.startswith(f"{digest.algorithm}:") and stored != digest:
            raise DigestMismatch(expected=digest, actual=stored)

    def _ask_offset(self) -> None:
        """Ask the destination how far it has come, and go on from there."""
        exchange = self._send("GET", self.state.url, {}, None)
        if exchange.status not in _STATUS_TOLD:
            raise self._refused(exchange)
        self._follow(exchange)
        match = _RANGE.fullmatch(exchange.headers.get("range"))
        self.connections.finish(exchange)
        last = int(match[1]) if match else 0
        # `0-0` is what some registries say for nothing at all, so it counts as nothing.
        self.state.offset = last + 1 if last else 0

    def _send(self, method: str, url: str, headers: dict[str, str], length: int | None) -> Exchange:
        """Send a request with `length` bytes of the blob and return the exchange with its answer's head read.

        A refused token is replaced once, and redirects that keep the method are followed; the bytes are read again.
        """
        start = self.reader.offset
        if length is not None:
            headers = {**headers, "Content-Length": str(length)}
        rejected = None
        for _ in range(MAX_RESENDS):
            authorization = self.authorize(rejected) if Origin.of(url) == self.home else None
            exchange = self._send_once(method, url, headers, length or 0, authorization)
            if exchange.status == _UNAUTHORIZED and authorization and rejected is None:
                rejected = authorization
            elif exchange.status in _MOVED and exchange.headers.get("location"):
                url = redirected(exchange)
            else:
                return exchange
            self.connections.finish(exchange)
            if length:
                self.reader.seek(start)
        raise UnexpectedAnswer(f"{without_query(url)}: sent on and on")

    def _send_once(
        self, method: str, url: str, headers: dict[str, str], length: int, authorization: str | None
    ) -> Exchange:
        exchange = self.connections.send_head(
            method, url, headers, authorization=authorization, cancellation=self.cancellation
        )
        try:
            self._send_body(exchange, length)
            if exchange.response is None:
                self.connections.answer(exchange, self.cancellation)
        except BaseException:
            self.connections.abort(exchange)
            raise
        return exchange

    def _send_body(self, exchange: Exchange, length: int) -> None:
        buffer = memoryview(bytearray(min(length, BUFFER_BYTES)))
        sent = 0
        while sent < length:
            offset = self.reader.offset
            piece = self._next_piece(buffer[: length - sent])
            try:
                with mapped_errors(exchange.url, body=True), self.cancellation.guarding(exchange.sock):
                    exchange.sock.sendall(piece)
            except OciError:
                # A registry that refuses may answer, and close, before it has the whole body.
                if not self._answered_early(exchange):
                    raise
                return
            sent += len(piece)
            self.moved(offset + len(piece))

    def _next_piece(self, buffer: memoryview) -> memoryview:
        offset = self.reader.offset
        try:
            piece = buffer[: self.reader.readinto(buffer)]
            self.verifier.update(offset, piece)
        except OciError as error:
            raise SourceFailed(error) from error
        return piece

    def _answered_early(self, exchange: Exchange) -> bool:
        try:
            self.connections.answer(exchange, self.cancellation)
        except OciError:
            return False
        return True

    def _refused(self, exchange: Exchange) -> RegistryError:
        error = exchange.refusal()
        self.connections.finish(exchange)
        return error

    def _follow(self, exchange: Exchange) -> None:
        """Each answer may move the session elsewhere."""
        target = exchange.headers.get("location")
        if target:
            self.state.url = urljoin(exchange.url, target)
            Origin.of(self.state.url)


def closing_url(url: str, digest: Digest) -> str:
    """Return the URL of the PUT that closes a session; its query is kept to the byte."""
    if not urlsplit(url).scheme:
        raise UnexpectedAnswer("the upload's Location is no URL")
    return f"{url}{'&' if urlsplit(url).query else '?'}digest={digest}"
