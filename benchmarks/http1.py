"""As much of HTTP/1.1 as it takes to pass messages on unchanged and to know where they end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final, Self

_READ_BYTES: Final = 256 * 1024
_END_OF_HEAD: Final = b"\r\n\r\n"
# The first byte of a client that expects TLS.
_TLS_HANDSHAKE: Final = b"\x16"
_BODYLESS: Final = (204, 304)


class BrokenMessage(Exception):
    """What came is not HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Both directions of a connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def close(self) -> None:
        self.writer.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The first lines of a request or an answer; names of headers are in lower case."""

    raw: bytes
    first: tuple[str, ...]
    headers: dict[str, str]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        first, *lines = raw.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        pairs = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in pairs}
        words = tuple(first.split(" ", 2))
        if len(words) < 2:
            raise BrokenMessage(first)
        return cls(raw=raw, first=words, headers=headers)

    @property
    def method(self) -> str:
        return self.first[0]

    @property
    def target(self) -> str:
        return self.first[1]

    @property
    def status(self) -> int:
        return int(self.first[1])

    @property
    def is_chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    @property
    def content_length(self) -> int | None:
        text = self.headers.get("content-length")
        return None if text is None else int(text)

    @property
    def has_body(self) -> bool:
        return self.is_chunked or bool(self.content_length)

    @property
    def keeps_alive(self) -> bool:
        has_end = self.is_chunked or self.content_length is not None or self.status in _BODYLESS
        return has_end and self.headers.get("connection", "").lower() != "close"

    @property
    def expects_continue(self) -> bool:
        return self.headers.get("expect", "").lower() == "100-continue"

    @property
    def raw_without_expect(self) -> bytes:
        """The head for an upstream that need not be asked first."""
        if not self.expects_continue:
            return self.raw
        kept = [line for line in self.raw.split(b"\r\n") if not line.lower().startswith(b"expect:")]
        return b"\r\n".join(kept)


async def read_head(stream: Stream) -> Head | None:
    """The next head, or None when the other side has closed in good order."""
    try:
        first = await stream.reader.readexactly(1)
        if first == _TLS_HANDSHAKE:
            raise BrokenMessage("TLS to a plain port")
        return Head.parse(first + await stream.reader.readuntil(_END_OF_HEAD))
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    except asyncio.LimitOverrunError as error:
        raise BrokenMessage("the head is too long") from error


async def body_of_request(head: Head, stream: Stream) -> AsyncIterator[bytes]:
    """The pieces of its body, chunk framing included."""
    if head.is_chunked:
        async for piece in _chunks(stream):
            yield piece
    else:
        async for piece in _exactly(stream, head.content_length or 0):
            yield piece


async def body_of_response(request: Head, head: Head, stream: Stream) -> AsyncIterator[bytes]:
    """The pieces of its body, chunk framing included; without a length, up to the end of the connection."""
    if request.method == "HEAD" or head.status in _BODYLESS:
        return
    if head.is_chunked or head.content_length is not None:
        async for piece in body_of_request(head, stream):
            yield piece
        return
    while piece := await stream.reader.read(_READ_BYTES):
        yield piece


async def _exactly(stream: Stream, length: int) -> AsyncIterator[bytes]:
    while length:
        piece = await stream.reader.read(min(length, _READ_BYTES))
        if not piece:
            raise EOFError("the body ends early")
        length -= len(piece)
        yield piece


async def _chunks(stream: Stream) -> AsyncIterator[bytes]:
    size = None
    while size != 0:
        line = await stream.reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        yield line
        if size:
            async for piece in _exactly(stream, size + 2):
                yield piece
    while True:  # Trailers, and the empty line after them.
        line = await stream.reader.readuntil(b"\r\n")
        yield line
        if line == b"\r\n":
            return
