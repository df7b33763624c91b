"""Blobs of the fake registry: bytes in memory, bytes in a temporary file, or bytes made up as they are read."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import IO, Protocol

PIECE_BYTES = 256 * 1024  # what one write to a socket carries
SYNTHETIC_BLOCK_BYTES = 1024 * 1024  # a synthetic blob repeats a block of this size, each time with another stamp
_STAMP_BYTES = 8


class Blob(Protocol):
    """Content that can be read again and again, from anywhere."""

    @property
    def size(self) -> int: ...

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to, not including, `stop`."""
        ...


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def digest_of_blob(blob: Blob, algorithm: str = "sha256") -> str:
    hasher = hashlib.new(algorithm)
    for piece in blob.pieces():
        hasher.update(piece)
    return f"{algorithm}:{hasher.hexdigest()}"


@dataclass(frozen=True, slots=True)
class BytesBlob:
    """A blob in memory."""

    data: bytes

    @property
    def size(self) -> int:
        return len(self.data)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        end = self.size if stop is None else min(stop, self.size)
        if (start, end) == (0, self.size) and end <= PIECE_BYTES:
            yield self.data
            return
        for at in range(start, end, PIECE_BYTES):
            yield self.data[at : min(at + PIECE_BYTES, end)]


@dataclass(frozen=True, slots=True)
class FileBlob:
    """A blob in an open temporary file, for uploads that are too large for memory."""

    file: IO[bytes]
    size: int

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        end = self.size if stop is None else min(stop, self.size)
        for at in range(start, end, PIECE_BYTES):
            # Readers share the file, so each piece says where it starts.
            self.file.seek(at)
            yield self.file.read(min(PIECE_BYTES, end - at))


@dataclass(frozen=True, slots=True)
class SyntheticBlob:
    """`size` bytes that follow from `seed`: a gigabyte of them takes a megabyte of memory.

    Every block starts with its own number, so that a client which repeats or swaps blocks gets another digest.
    """

    size: int
    seed: int = 0

    @property
    def digest(self) -> str:
        return _synthetic_digest(self)

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        end = self.size if stop is None else min(stop, self.size)
        while start < end:
            number, within = divmod(start, SYNTHETIC_BLOCK_BYTES)
            taken = min(PIECE_BYTES, end - start, SYNTHETIC_BLOCK_BYTES - within)
            yield self._from_block(number, within, taken)
            start += taken

    def _from_block(self, number: int, within: int, length: int) -> bytes:
        block = _block(self.seed, min(self.size, SYNTHETIC_BLOCK_BYTES))
        if within >= _STAMP_BYTES or number == 0:
            return block[within : within + length]
        stamp = number.to_bytes(_STAMP_BYTES, "big")[within : within + length]
        return stamp + block[within + len(stamp) : within + length]


@lru_cache(maxsize=16)
def _block(seed: int, length: int) -> bytes:
    return random.Random(seed).randbytes(length)  # noqa: S311 - wanted: the same bytes each time


@lru_cache(maxsize=4096)
def _synthetic_digest(blob: SyntheticBlob) -> str:
    return digest_of_blob(blob)
