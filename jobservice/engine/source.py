"""Reads a blob from its source, in order, however often the connection breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from jobservice.engine.backoff import RESUMES, raise_if_final, retry_after_s
from jobservice.engine.cancellation import Cancellation
from jobservice.engine.connections import Connections
from jobservice.engine.exchange import Exchange, mapped_errors
from jobservice.engine.thread_gate import OPEN, TransferGate
from oci_client.answers import without_query
from oci_client.errors import OciError, SizeMismatch, TruncatedBody, UnexpectedAnswer

# Returns an Authorization value; its argument is one that was just refused. Blocks, so it is for threads only.
Authorize = Callable[[str | None], str | None]

SKIP_BYTES: Final = 256 * 1024  # read at a time where a registry ignores Range and the beginning must be passed over
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_PARTIAL: Final = 206


class Reader(Protocol):
    """Where a blob's bytes come from, in order."""

    @property
    def offset(self) -> int:
        """The place of the next byte."""

    def readinto(self, view: memoryview) -> int:
        """Read at least one byte into `view` and return how many; the blob must not have ended. Raises OciError."""

    def seek(self, offset: int) -> None:
        """Go on at another place."""

    def close(self) -> None:
        """Let go of what is open."""


class RangesIgnored(UnexpectedAnswer):
    """The registry was asked for a range and sends the whole blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobSource:
    """What is needed to read one blob. `authorize` gives the Authorization for its repository."""

    connections: Connections
    url: str
    size: int
    authorize: Authorize
    cancellation: Cancellation
    gate: TransferGate = OPEN

    def get(self, headers: dict[str, str]) -> Exchange:
        """Ask for the blob; a refused token is replaced once. Raises OciError for what is no success."""
        authorization = self.authorize(None)
        exchange = self._get(headers, authorization)
        if exchange.status == _UNAUTHORIZED and authorization:
            self.connections.finish(exchange)
            exchange = self._get(headers, self.authorize(authorization))
        if exchange.status not in {_OK, _PARTIAL}:
            raise self.connections.refusal(exchange, self.cancellation)
        return exchange

    def _get(self, headers: dict[str, str], authorization: str | None) -> Exchange:
        return self.connections.get(
            self.url, headers, authorization=authorization, gate=self.gate, cancellation=self.cancellation
        )


class BlobReader:
    """The bytes of one blob from `start` up to `end`, which is the blob's unless it is given. Implements Reader.

    A broken connection is opened again at the byte where it broke, by Range; only openings that bring nothing count
    as failures. A reader of a part raises RangesIgnored where the registry would send the whole.
    """

    def __init__(self, source: BlobSource, start: int = 0, end: int | None = None) -> None:
        self.offset = start
        self._source = source
        self._end = source.size if end is None else end
        self._is_part = end is not None
        self._exchange: Exchange | None = None
        self._failures = 0

    def readinto(self, view: memoryview) -> int:
        """Read; raises the error of the last opening when the source gives nothing more."""
        while True:
            try:
                count = self._read_once(view)
            except OciError as error:
                self._abort()
                self._failures += 1
                raise_if_final(error, self._failures, RESUMES)
                self._source.cancellation.sleep(RESUMES.delay_s(self._failures, retry_after_s(error)))
            else:
                self._failures = 0
                self.offset += count
                return count

    def seek(self, offset: int) -> None:
        """Go on at another place."""
        if offset != self.offset:
            self._abort()
            self.offset = offset

    def close(self) -> None:
        """Give the connection back if everything was read."""
        if self._exchange is not None and self.offset == self._end:
            self._source.connections.finish(self._exchange)
            self._exchange = None
        self._abort()

    def _read_once(self, view: memoryview) -> int:
        if self._exchange is None:
            self._exchange = self._open()
        count = self._receive(self._exchange, view[: self._end - self.offset])
        if not count:
            raise TruncatedBody(f"{self._where}: ended at byte {self.offset} of {self._end}")
        return count

    def _open(self) -> Exchange:
        is_range = self._is_part or self.offset > 0
        exchange = self._source.get({"Range": f"bytes={self.offset}-{self._end - 1}"} if is_range else {})
        try:
            if exchange.status == _PARTIAL:
                self._check_range(exchange)
            elif self._is_part:
                raise RangesIgnored(f"{self._where}: asked for a range, got the whole")  # noqa: TRY301 - closed below
            else:
                self._check_size(exchange)
                self._pass_over(exchange)
        except BaseException:
            exchange.close()
            raise
        return exchange

    def _check_size(self, exchange: Exchange) -> None:
        announced = exchange.headers.get("content-length")
        if announced.isdecimal() and int(announced) != self._source.size:
            raise SizeMismatch(expected=self._source.size, actual=int(announced))

    def _pass_over(self, exchange: Exchange) -> None:
        """Read away what was read before: the registry begins anew."""
        left = self.offset
        scratch = memoryview(bytearray(min(left, SKIP_BYTES)))
        while left:
            count = self._receive(exchange, scratch[:left])
            if not count:
                raise TruncatedBody(f"{self._where}: ended before byte {self.offset}")
            left -= count

    def _check_range(self, exchange: Exchange) -> None:
        match = _CONTENT_RANGE.fullmatch(exchange.headers.get("content-range"))
        if match is None or int(match[1]) != self.offset:
            raise UnexpectedAnswer(f"{self._where}: asked for bytes from {self.offset}, got another range")

    def _receive(self, exchange: Exchange, view: memoryview) -> int:
        assert exchange.response is not None
        with mapped_errors(self._source.url, body=True), self._source.cancellation.guarding(exchange.sock):
            return exchange.response.readinto(view)

    @property
    def _where(self) -> str:
        return without_query(self._source.url)

    def _abort(self) -> None:
        if self._exchange is not None:
            self._exchange.close()
            self._exchange = None
