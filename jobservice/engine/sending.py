"""Sends requests whose body is a part of a blob, straight from where the blob is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from jobservice.engine.cancellation import Cancellation
from jobservice.engine.connections import Connections, is_readable
from jobservice.engine.errors import SourceFailed
from jobservice.engine.exchange import Exchange, Origin, mapped_errors, redirected
from jobservice.engine.source import Authorize, Reader
from jobservice.engine.thread_gate import TransferGate
from jobservice.engine.throttle import Throttle
from jobservice.engine.verifier import Verifier
from oci_client.answers import without_query
from oci_client.errors import OciError, UnexpectedAnswer

BUFFER_BYTES: Final = 1024 * 1024  # smaller ones cost more calls a byte; larger ones no longer pay
MAX_RESENDS: Final = 4  # of one request: one for a fresh token, the others for redirects

_UNAUTHORIZED: Final = 401
_MOVED: Final = frozenset({307, 308})
_OCTETS: Final = {"Content-Type": "application/octet-stream"}


@dataclass(slots=True, kw_only=True)
class Sender:
    """Requests to one destination with bytes of one blob, which are hashed on the way. All its methods block."""

    connections: Connections
    # The registry itself: its authorization goes nowhere else.
    home: Origin
    reader: Reader
    verifier: Verifier
    authorize: Authorize
    gate: TransferGate
    cancellation: Cancellation
    # Told how far the blob has come as it is written.
    moved: Callable[[int], None]
    throttles: Sequence[Throttle] = ()
    _buffer: memoryview = field(init=False)

    def __post_init__(self) -> None:
        self._buffer = memoryview(bytearray(min(self.verifier.size, BUFFER_BYTES)))

    def ask(self, method: str, url: str) -> Exchange:
        """Send a request without a body and return the exchange with its answer's head read."""
        return self._send(method, url, {}, None)

    def send(self, method: str, url: str, length: int, headers: Mapping[str, str] | None = None) -> Exchange:
        """Send a request with the next `length` bytes of the blob; return the exchange with its answer's head read.

        A refused token is replaced once, and redirects that keep the method are followed; the bytes are read again.
        Raises SourceFailed when the bytes cannot be had or are not those of the blob.
        """
        return self._send(method, url, {**_OCTETS, **(headers or {}), "Content-Length": str(length)}, length)

    def _send(self, method: str, url: str, headers: dict[str, str], length: int | None) -> Exchange:
        start = self.reader.offset
        rejected = None
        for _ in range(MAX_RESENDS):
            authorization = self._authorization(url, rejected)
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

    def _authorization(self, url: str, rejected: str | None) -> str | None:
        target = Origin.of(url)
        if self.home.scheme == "https" and target.scheme != "https":
            raise UnexpectedAnswer(f"{without_query(url)}: the registry sends from https to http")
        return self.authorize(rejected) if target == self.home else None

    def _send_once(
        self, method: str, url: str, headers: dict[str, str], length: int, authorization: str | None
    ) -> Exchange:
        exchange = self.connections.send_head(
            method, url, headers, authorization=authorization, gate=self.gate, cancellation=self.cancellation
        )
        try:
            self._send_body(exchange, length)
            if exchange.response is None:
                self.connections.answer(exchange, self.cancellation)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _send_body(self, exchange: Exchange, length: int) -> None:
        sent = 0
        while sent < length:
            offset = self.reader.offset
            piece = self._next_piece(self._buffer[: length - sent])
            # A registry that refuses may answer, and close, before it has the whole body.
            if sent and self._is_answered(exchange):
                return
            try:
                with mapped_errors(exchange.url, body=True), self.cancellation.guarding(exchange.sock):
                    exchange.sock.sendall(piece)
            except OciError:
                if not self._has_answer(exchange):
                    raise
                return
            sent += len(piece)
            self.moved(offset + len(piece))
            for throttle in self.throttles:
                self.cancellation.sleep(throttle.take(len(piece)))

    def _next_piece(self, buffer: memoryview) -> memoryview:
        offset = self.reader.offset
        try:
            piece = buffer[: self.reader.readinto(buffer)]
            self.verifier.update(offset, piece)
        except OciError as error:
            raise SourceFailed(error) from error
        return piece

    def _is_answered(self, exchange: Exchange) -> bool:
        # Under TLS there may be something else to read than an answer, such as a session ticket.
        return exchange.origin.scheme == "http" and is_readable(exchange.sock) and self._has_answer(exchange)

    def _has_answer(self, exchange: Exchange) -> bool:
        try:
            self.connections.answer(exchange, self.cancellation)
        except OciError:
            return False
        # The rest of the body is never sent, so no other request can follow on this connection.
        assert exchange.response is not None
        exchange.response.will_close = True
        return True
