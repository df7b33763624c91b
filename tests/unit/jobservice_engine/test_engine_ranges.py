"""Several ranges of one blob at once."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from jobservice.engine.cancellation import Cancellation, TransferCancelled
from jobservice.engine.connections import Connections
from jobservice.engine.exchange import Origin
from jobservice.engine.limits import TransferLimits
from jobservice.engine.ranges import AdaptiveReader, RangeReader
from jobservice.engine.source import BlobSource, RangesIgnored, Reader
from jobservice.engine.thread_gate import OpenTransferGate
from oci_client.errors import NotFound, TruncatedBody
from oci_client.http import TlsOptions, make_ssl_context
from oci_client.testing import Action, FakeRegistry, Match, SyntheticBlob, an_image, effects, serve_in_thread
from oci_client.testing.messages import Handler, Reply, Request
from tests.engine_kit import until

KIB = 1024
BLOB = SyntheticBlob(300 * KIB + 7, seed=3)
CONTENT = b"".join(BLOB.pieces())
LIMITS = TransferLimits(parallel_above=1, probe=50 * KIB, part=20 * KIB, parallel_reads=4)
GET = Match(action=Action.BLOB)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with serve_in_thread(FakeRegistry()) as registry:
        registry.push("library/app", an_image([BLOB]), "1")
        yield registry
        # It must hear of the connections that were cut before it stops.
        wait_until(lambda: not registry.log.in_flight())


def wait_until(holds: Callable[[], bool]) -> None:
    """Return when something holds, or after two seconds."""
    for _ in range(200):
        if holds():
            return
        time.sleep(0.01)


@contextmanager
def blob_of(registry: FakeRegistry) -> Iterator[BlobSource]:
    connections = Connections(make_ssl_context(TlsOptions()), Origin.of(registry.url), stall_timeout_s=60)
    yield BlobSource(
        connections=connections,
        url=f"{registry.url}/v2/library/app/blobs/{BLOB.digest}",
        size=BLOB.size,
        authorize=lambda _: None,
        cancellation=Cancellation(),
    )
    connections.close()


def read(reader: Reader, buffer_bytes: int = 7 * KIB) -> bytes:
    """Read to the end and close."""
    found, buffer = bytearray(), memoryview(bytearray(buffer_bytes))
    start = reader.offset
    while start + len(found) < BLOB.size:
        found += buffer[: reader.readinto(buffer)]
    reader.close()
    return bytes(found)


@pytest.mark.parametrize("start", [0, 1, 20 * KIB, BLOB.size - 1])
def test_the_bytes_come_in_order(registry: FakeRegistry, start: int) -> None:
    with blob_of(registry) as blob:
        assert read(RangeReader(blob, LIMITS, start)) == CONTENT[start:]
    assert registry.log.bytes_out == BLOB.size - start


def test_no_more_is_read_ahead_than_there_are_buffers(registry: FakeRegistry) -> None:
    with blob_of(registry) as blob:
        reader = RangeReader(blob, LIMITS, 0)
        reader.readinto(memoryview(bytearray(1)))
        reader._threads.shutdown(wait=True)
        reader.close()
    assert registry.log.bytes_out <= 4 * 20 * KIB


def test_a_seek_begins_anew(registry: FakeRegistry) -> None:
    with blob_of(registry) as blob:
        reader = RangeReader(blob, LIMITS, 0)
        reader.readinto(memoryview(bytearray(100)))
        reader.seek(50)
        assert read(reader) == CONTENT[50:]


def test_broken_parts_are_read_on(registry: FakeRegistry) -> None:
    registry.misbehave(effects.cut_download(5 * KIB), match=GET, times=6)
    with blob_of(registry) as blob:
        assert read(RangeReader(blob, LIMITS, 0)) == CONTENT


def test_an_error_comes_where_its_bytes_would(registry: FakeRegistry) -> None:
    registry.misbehave(effects.truncate(0), match=GET, skip=2)
    with blob_of(registry) as blob:
        reader = RangeReader(replace(blob, cancellation=Impatient()), LIMITS, 0)
        with pytest.raises(TruncatedBody):
            read(reader)
        reader.close()


class Places(OpenTransferGate):
    """A gate with so many places beside the one that a transfer holds."""

    def __init__(self, extra: int) -> None:
        self.free = extra
        self.least = extra
        self._lock = threading.Lock()

    def try_enter(self) -> bool:
        with self._lock:
            if not self.free:
                return False
            self.free -= 1
            self.least = min(self.least, self.free)
            return True

    def leave(self) -> None:
        with self._lock:
            self.free += 1


@pytest.mark.parametrize("extra", [0, 1, 2, 9])
def test_each_range_beyond_the_first_takes_a_place(registry: FakeRegistry, extra: int) -> None:
    registry.latency_s = 0.02
    places = Places(extra)
    with blob_of(registry) as blob:
        assert read(RangeReader(replace(blob, gate=places), LIMITS, 0)) == CONTENT
    assert registry.log.peak(Action.BLOB) == min(1 + extra, LIMITS.parallel_reads)
    assert (places.least, places.free) == (max(0, extra - LIMITS.parallel_reads + 1), extra)


def test_a_window_that_narrows_ends_the_reading_ahead_and_not_the_reading(registry: FakeRegistry) -> None:
    places = Places(3)
    with blob_of(registry) as blob:
        reader = RangeReader(replace(blob, gate=places), LIMITS, 0)
        reader.readinto(memoryview(bytearray(1)))
        wait_until(lambda: places.free == 3)
        places.free = 0
        assert read(reader) == CONTENT[1:]
    assert places.free == 0


def test_places_come_back_when_a_reader_is_closed_early(registry: FakeRegistry) -> None:
    later = Match(action=Action.BLOB, where=lambda request: not request.headers["Range"].startswith("bytes=0-"))
    registry.misbehave(effects.Stall(), match=later)
    places = Places(3)
    with blob_of(registry) as blob:
        for _ in range(5):
            reader = RangeReader(replace(blob, gate=places), LIMITS, 0)
            reader.readinto(memoryview(bytearray(1)))
            wait_until(lambda: registry.log.in_flight() == 3)
            reader.close()
            assert places.free == 3
            wait_until(lambda: not registry.log.in_flight())


def test_places_come_back_when_a_range_fails(registry: FakeRegistry) -> None:
    registry.misbehave(effects.answer_with(404), match=GET)
    places = Places(3)
    with blob_of(registry) as blob:
        reader = RangeReader(replace(blob, gate=places), LIMITS, 0)
        with pytest.raises(NotFound):
            reader.readinto(memoryview(bytearray(1)))
        wait_until(lambda: registry.log.count(action=Action.BLOB) == 4)
        reader.close()
    assert places.free == 3


class Impatient(Cancellation):
    """Does not wait between attempts."""

    def sleep(self, seconds: float) -> None:
        self.check()

    def part(self) -> Cancellation:
        return Impatient()


async def test_a_cancelled_transfer_ends_its_ranges() -> None:
    stall = effects.Stall()
    async with FakeRegistry() as registry:
        registry.push("library/app", an_image([BLOB]), "1")
        registry.misbehave(stall, match=GET)
        with blob_of(registry) as blob:
            reader = RangeReader(blob, LIMITS, 0)
            reading = asyncio.create_task(asyncio.to_thread(reader.readinto, memoryview(bytearray(1))))
            await until(lambda: registry.log.in_flight() == LIMITS.parallel_reads)
            blob.cancellation.cancel()
            with pytest.raises(TransferCancelled):
                await reading
            await asyncio.to_thread(reader.close)
        await until(lambda: not registry.log.in_flight())


def test_a_slow_source_is_read_by_ranges(registry: FakeRegistry) -> None:
    with blob_of(registry) as blob:
        # All of the time passes inside of the reader.
        times = iter([0.0, 0.0] + [9.0] * 1000)
        assert read(AdaptiveReader(blob, LIMITS, clock=lambda: next(times)), KIB * 50) == CONTENT
    assert registry.log.count(action=Action.BLOB) > 10


def test_a_fast_source_is_read_in_one_stream(registry: FakeRegistry) -> None:
    with blob_of(registry) as blob:
        # Reading takes no time at all, the rest does.
        ticks = iter([0.0, 1.0, 1.0, 2.0] + [3.0] * 1000)
        assert read(AdaptiveReader(blob, LIMITS, clock=lambda: next(ticks)), KIB * 50) == CONTENT
    assert registry.log.count(action=Action.BLOB) == 1


def test_a_source_without_ranges_is_read_in_one_stream(registry: FakeRegistry) -> None:
    async def ignore(request: Request, handler: Handler) -> Reply:
        return await handler(replace(request, headers={}))

    registry.misbehave(ignore, match=GET)
    with blob_of(registry) as blob:
        with pytest.raises(RangesIgnored):
            read(RangeReader(blob, LIMITS, 0))
        times = iter([0.0, 0.0] + [9.0] * 1000)
        assert read(AdaptiveReader(blob, LIMITS, clock=lambda: next(times)), KIB * 50) == CONTENT
