"""Reads a blob from its source, in order, however often the connection breaks."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from jobservice.engine.backoff import RESUMES, raise_if_final, retry_after_s
from jobservice.engine.cancellation import Cancellation
from jobservice.engine.connections import Connections, Exchange, mapped_errors
from oci_client.errors import OciError, SizeMismatch, TruncatedBody, UnexpectedAnswer

# Returns an Authorization value; its argument is one that was just refused. Blocks, so it is for threads only.
Authorize = Callable[[str | None], str | None]

SKIP_BYTES: Final = 256 * 1024  # read at a time where a registry ignores Range and the beginning must be passed over
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-\d+/(?:\d+|\*)")
_OK: Final = 200
_UNAUTHORIZED: Final = 401
_PARTIAL: Final = 206


class BlobReader:
    """The bytes of one blob from `offset` on.

    A broken connection is opened again at the byte where it broke, by Range; only openings that bring nothing count
    as failures. `offset` is the place of the next byte that `readinto` returns.
    """

    def __init__(
        self, *, connections: Connections, url: str, size: int, authorize: Authorize, cancellation: Cancellation
    ) -> None:
        self._connections = connections
        self._url = url
        self._size = size
        self._authorize = authorize
        self._cancellation = cancellation
        self._exchange: Exchange | None = None
        self._failures = 0
        self.offset = 0

    def readinto(self, view: memoryview) -> int:
        """Read at least one byte into `view` and return how many; the blob must not have ended.

        Raises the error of the last opening when the source gives nothing more.
        """
        while True:
            try:
                count = self._read_once(view)
            except OciError as error:
                self._close()
                self._failures += 1
                raise_if_final(error, self._failures, RESUMES)
                self._cancellation.sleep(RESUMES.delay_s(self._failures, retry_after_s(error)))
            else:
                self._failures = 0
                self.offset += count
                return count

    def seek(self, offset: int) -> None:
        """Go on at another place."""
        if offset != self.offset:
            self._close()
            self.offset = offset

    def close(self) -> None:
        """Give the connection back if the blob was read to its end."""
        if self._exchange is not None and self.offset == self._size:
            self._connections.finish(self._exchange)
            self._exchange = None
        self._close()

    def _read_once(self, view: memoryview) -> int:
        if self._exchange is None:
            self._exchange = self._open()
        response = self._exchange.response
        assert response is not None
        wanted = view[: self._size - self.offset]
        with mapped_errors(self._url, body=True), self._cancellation.guarding(self._exchange.sock):
            count = response.readinto(wanted)
        if not count:
            raise TruncatedBody(f"{self._url}: ended at byte {self.offset} of {self._size}")
        return count

    def _open(self) -> Exchange:
        headers = {"Range": f"bytes={self.offset}-"} if self.offset else {}
        authorization = self._authorize(None)
        exchange = self._get(headers, authorization)
        if exchange.status == _UNAUTHORIZED:
            self._connections.finish(exchange)
            exchange = self._get(headers, self._authorize(authorization))
        if exchange.status == _OK:
            return self._at_offset(exchange)
        if exchange.status == _PARTIAL:
            return self._checked_range(exchange)
        error = exchange.refusal()
        self._connections.finish(exchange)
        raise error

    def _get(self, headers: dict[str, str], authorization: str | None) -> Exchange:
        return self._connections.get(self._url, headers, authorization=authorization, cancellation=self._cancellation)

    def _at_offset(self, exchange: Exchange) -> Exchange:
        """Check the size of a whole answer, and pass over what was read before."""
        announced = exchange.headers.get("content-length")
        if announced.isdecimal() and int(announced) != self._size:
            self._connections.abort(exchange)
            raise SizeMismatch(expected=self._size, actual=int(announced))
        assert exchange.response is not None
        left = self.offset
        scratch = memoryview(bytearray(min(left, SKIP_BYTES)))
        with mapped_errors(self._url, body=True), self._cancellation.guarding(exchange.sock):
            while left:
                count = exchange.response.readinto(scratch[:left])
                if not count:
                    raise TruncatedBody(f"{self._url}: ended before byte {self.offset}")
                left -= count
        return exchange

    def _checked_range(self, exchange: Exchange) -> Exchange:
        match = _CONTENT_RANGE.fullmatch(exchange.headers.get("content-range"))
        if match is None or int(match[1]) != self.offset:
            self._connections.abort(exchange)
            raise UnexpectedAnswer(f"{self._url}: asked for bytes from {self.offset}, got another range")
        return exchange

    def _close(self) -> None:
        if self._exchange is not None:
            self._connections.abort(self._exchange)
            self._exchange = None
