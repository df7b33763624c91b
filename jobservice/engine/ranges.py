"""Reads a blob by several ranges at once, for sources where one stream is slower than the line."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from jobservice.engine.limits import TransferLimits
from jobservice.engine.source import BlobReader, BlobSource, RangesIgnored, Reader

# From this part of the time on that is spent in waiting for the source, the source is what holds the transfer up.
SLOW_SOURCE: Final = 0.6

_Part = Future[tuple[int, bytearray]]  # how much of the buffer is filled


class RangeReader:
    """The bytes of one blob from `start` on, in order, with the next parts already under way. Implements Reader.

    Holds `parallel_reads` buffers of `part` bytes, which are used again and again. Each part that is under way has a
    place in the registry's window: one that of the transfer, which nobody can take away, the others what is free.
    """

    def __init__(self, source: BlobSource, limits: TransferLimits, start: int) -> None:
        self._whole = source
        self._limits = limits
        self._begin(start)

    def _begin(self, start: int) -> None:
        self.offset = self._asked_to = start
        self._cancellation = self._whole.cancellation.part()
        self._source = replace(self._whole, cancellation=self._cancellation)
        self._threads = ThreadPoolExecutor(self._limits.parallel_reads, thread_name_prefix="range")
        self._free = [bytearray(self._limits.part) for _ in range(self._limits.parallel_reads)]
        self._under_way: deque[_Part] = deque()
        self._in_own_place: _Part | None = None
        self._buffer = bytearray()
        self._left = memoryview(b"")

    def readinto(self, view: memoryview) -> int:
        """Read; raises RangesIgnored where the registry knows no ranges."""
        if not self._left:
            self._ask()
            length, self._buffer = self._under_way.popleft().result()
            self._left = memoryview(self._buffer)[:length]
            self._ask()
        piece = self._left[: len(view)]
        view[: len(piece)] = piece
        self._left = self._left[len(piece) :]
        self.offset += len(piece)
        if not self._left:
            self._free.append(self._buffer)
            self._ask()
        return len(piece)

    def seek(self, offset: int) -> None:
        """Go on at another place; what was read ahead is dropped."""
        if offset != self.offset:
            self.close()
            self._begin(offset)

    def close(self) -> None:
        """End what is under way, and return when it has ended."""
        self._cancellation.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _ask(self) -> None:
        """Ask for the next parts, as long as there are buffers and places for them; never waits for either."""
        while self._free and self._asked_to < self._source.size:
            in_own_place = self._in_own_place is None or self._in_own_place.done()
            if not in_own_place and not self._source.gate.try_enter():
                return
            start = self._asked_to
            self._asked_to = min(start + self._limits.part, self._source.size)
            part = self._threads.submit(self._fetch, start, self._asked_to - start, self._free.pop())
            self._under_way.append(part)
            if in_own_place:
                self._in_own_place = part
            else:
                # Not by the part itself: one that is cancelled before it begins has a place too.
                part.add_done_callback(lambda _: self._source.gate.leave())

    def _fetch(self, start: int, length: int, buffer: bytearray) -> tuple[int, bytearray]:
        reader = BlobReader(self._source, start, start + length)
        left = memoryview(buffer)[:length]
        try:
            while left:
                left = left[reader.readinto(left) :]
        finally:
            reader.close()
        return length, buffer


class AdaptiveReader:
    """Reads one stream first, and several ranges when that one turns out to be what is waited for. Implements Reader.

    `clock` counts seconds.
    """

    def __init__(
        self, source: BlobSource, limits: TransferLimits, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._limits = limits
        self._clock = clock
        self._reader: Reader = BlobReader(source)
        self._is_judged = source.size <= limits.parallel_above
        self._began = clock()
        self._waited_s = 0.0
        self._read = 0

    @property
    def offset(self) -> int:
        """The place of the next byte."""
        return self._reader.offset

    def readinto(self, view: memoryview) -> int:
        """Read from whichever way is the better one."""
        if self._is_judged:
            return self._readinto(view)
        asked_at = self._clock()
        count = self._reader.readinto(view)
        self._waited_s += self._clock() - asked_at
        self._read += count
        if self._read >= self._limits.probe:
            self._judge()
        return count

    def seek(self, offset: int) -> None:
        """Go on at another place."""
        self._reader.seek(offset)

    def close(self) -> None:
        """Let go of what is open."""
        self._reader.close()

    def _readinto(self, view: memoryview) -> int:
        try:
            return self._reader.readinto(view)
        except RangesIgnored:
            self._replace(BlobReader(self._source, self.offset))
            return self._reader.readinto(view)

    def _judge(self) -> None:
        self._is_judged = True
        if self._waited_s > SLOW_SOURCE * (self._clock() - self._began):
            self._replace(RangeReader(self._source, self._limits, self.offset))

    def _replace(self, reader: Reader) -> None:
        self._reader.close()
        self._reader = reader
