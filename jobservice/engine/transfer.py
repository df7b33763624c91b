"""One blob from source to destination: waits for its turn, then lets a thread move the bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from jobservice.engine.cancellation import Cancellation
from jobservice.engine.endpoint import Endpoint
from jobservice.engine.errors import SourceFailed
from jobservice.engine.limits import TransferLimits
from jobservice.engine.mover import Mover, ThreadAuthorization
from jobservice.engine.ports import Uploads
from jobservice.engine.ranges import AdaptiveReader
from jobservice.engine.sending import Sender
from jobservice.engine.source import BlobSource
from jobservice.engine.thread_gate import ThreadGate
from jobservice.engine.throttle import Throttle
from jobservice.engine.upload import BlobUpload, UploadState
from jobservice.engine.verifier import Verifier
from jobservice.engine.window import RegistryGate
from jobservice.transfer import Progress
from oci_client.auth import pull_scope, push_scope
from oci_client.errors import OciError, Unreachable
from oci_client.gate import Action, Outcome
from oci_client.manifest import Descriptor
from oci_client.media_types import is_foreign_layer

SAVE_TIMEOUT_S: Final = 10.0  # a session that is not saved in time costs bytes after a crash, not the transfer


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """From which repository to which."""

    source: Endpoint
    source_repository: str
    destination: Endpoint
    destination_repository: str
    # Limits on bytes a second that hold for all that goes this way.
    throttles: tuple[Throttle, ...] = ()


class CopiedBytes:
    """Counts a blob's bytes once, however often some of them are sent."""

    def __init__(self, progress: Progress, already: int = 0) -> None:
        self._progress = progress
        self._most = already

    def __call__(self, end: int) -> None:
        """Note that the blob has come to its byte `end`."""
        if end > self._most:
            self._progress.count_copied(end - self._most)
            self._most = end


async def move_blob(
    mover: Mover,
    route: Route,
    blob: Descriptor,
    state: UploadState,
    *,
    uploads: Uploads,
    moved: Callable[[int], None],
) -> None:
    """Send a blob into an open session and close it. Raises OciError, or SourceFailed when the source is at fault."""
    cancellation = Cancellation()
    async with _turn(route, blob):
        source = await _source(route, blob, cancellation)
        writing = ThreadAuthorization(
            route.destination.authorizer, frozenset({push_scope(route.destination_repository)})
        )
        await writing.prepare()
        upload = BlobUpload(
            sender=Sender(
                connections=route.destination.connections,
                home=route.destination.origin,
                reader=AdaptiveReader(source, mover.limits),
                verifier=Verifier(digest=blob.digest, size=blob.size, prefix_unseen=state.is_resumed),
                authorize=writing,
                gate=ThreadGate(route.destination.gate, Action.PUT_BLOB),
                cancellation=cancellation,
                moved=moved,
                throttles=route.throttles,
            ),
            state=state,
            chunks=route.destination.chunks,
            checkpoint=_saving(uploads, route, blob),
        )
        in_chunks = state.is_resumed or travels_in_chunks(route, blob, mover.limits, state.min_chunk)
        await mover.run(lambda: _move(upload, mover.limits.chunk if in_chunks else None), cancellation)


async def _source(route: Route, blob: Descriptor, cancellation: Cancellation) -> BlobSource:
    if is_foreign_layer(blob.media_type) and blob.urls:
        # It lives outside of registries, where nobody is to see our authorization.
        return BlobSource(
            connections=route.source.connections,
            url=blob.urls[0],
            size=blob.size,
            authorize=lambda _: None,
            cancellation=cancellation,
        )
    reading = ThreadAuthorization(route.source.authorizer, frozenset({pull_scope(route.source_repository)}))
    try:
        await reading.prepare()
    except OciError as error:
        raise SourceFailed(error) from error
    return BlobSource(
        connections=route.source.connections,
        url=route.source.blob_url(route.source_repository, blob.digest),
        size=blob.size,
        authorize=reading,
        cancellation=cancellation,
        gate=ThreadGate(route.source.gate, Action.GET_BLOB),
    )


def _saving(uploads: Uploads, route: Route, blob: Descriptor) -> Callable[[UploadState], None]:
    """Return a function for threads that keeps an upload's state."""
    loop = asyncio.get_running_loop()

    def save(state: UploadState) -> None:
        kept = uploads.save(route.destination.uid, route.destination_repository, blob.digest, state.url, state.offset)
        saving = asyncio.run_coroutine_threadsafe(kept, loop)
        try:
            saving.result(SAVE_TIMEOUT_S)
        except TimeoutError:
            saving.cancel()

    return save


def travels_in_chunks(route: Route, blob: Descriptor, limits: TransferLimits, least: int = 0) -> bool:
    """Tell whether the blob is so large, and the destination such, that it goes in chunks."""
    return blob.size > limits.chunked_above and route.destination.chunks.size(limits.chunk, least) is not None


def _move(upload: BlobUpload, chunk_bytes: int | None) -> None:
    try:
        if chunk_bytes is None:
            upload.put_whole()
        else:
            upload.put_chunks(chunk_bytes)
    finally:
        upload.sender.reader.close()


@asynccontextmanager
async def _turn(route: Route, blob: Descriptor) -> AsyncIterator[None]:
    """Wait until both registries take another stream, small blobs first. What they answer, their gates hear at once."""
    # A source slot is always taken before a destination slot, so that jobs of opposite ways cannot lock each other.
    priority = blob.size.bit_length()
    reading, writing = route.source.gate, route.destination.gate
    async with reading.slot(Action.GET_BLOB, priority), writing.slot(Action.PUT_BLOB, priority):
        started = time.monotonic()
        try:
            yield
        except SourceFailed as failed:
            _tell_silence(reading, Action.GET_BLOB, failed.error, started)
            raise
        except OciError as error:
            _tell_silence(writing, Action.PUT_BLOB, error, started)
            raise


def _tell_silence(gate: RegistryGate, action: Action, error: OciError, started: float) -> None:
    """Tell the gate of a registry that gave no answer. What is wrong with the bytes says nothing of the load."""
    if isinstance(error, Unreachable):
        gate.observe(action, Outcome(status=None, elapsed_s=time.monotonic() - started))
