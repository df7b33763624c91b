"""One blob from source to destination: waits for its turn, then lets a thread move the bytes."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from jobservice.engine.cancellation import Cancellation
from jobservice.engine.endpoint import Endpoint
from jobservice.engine.errors import SourceFailed
from jobservice.engine.mover import Mover, ThreadAuthorization
from jobservice.engine.source import BlobReader
from jobservice.engine.upload import BlobUpload, UploadState, Verifier
from jobservice.transfer import Progress
from oci_client.auth import pull_scope, push_scope
from oci_client.errors import OciError, RegistryError
from oci_client.gate import Action, Outcome
from oci_client.manifest import Descriptor

CHUNKED_ABOVE_BYTES: Final = 128 * 1024 * 1024  # what is lost when a smaller blob starts anew is soon caught up
CHUNK_BYTES: Final = 64 * 1024 * 1024  # a request more for each costs nothing; that much is sent again after a cut


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """From which repository to which."""

    source: Endpoint
    source_repository: str
    destination: Endpoint
    destination_repository: str


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


async def move_blob(mover: Mover, route: Route, blob: Descriptor, state: UploadState, copied: CopiedBytes) -> None:
    """Send a blob into an open session and close it. Raises OciError, or SourceFailed when the source is at fault."""
    cancellation = Cancellation()
    source, destination = route.source, route.destination
    reading = ThreadAuthorization(source.authorizer, frozenset({pull_scope(route.source_repository)}))
    writing = ThreadAuthorization(destination.authorizer, frozenset({push_scope(route.destination_repository)}))
    async with _turn(route, blob):
        await reading.prepare()
        await writing.prepare()
        reader = BlobReader(
            connections=source.connections,
            url=source.blob_url(route.source_repository, blob.digest),
            size=blob.size,
            authorize=reading,
            cancellation=cancellation,
        )
        upload = BlobUpload(
            connections=destination.connections,
            home=destination.origin,
            reader=reader,
            verifier=Verifier(digest=blob.digest, size=blob.size, prefix_unseen=state.offset > 0),
            state=state,
            authorize=writing,
            cancellation=cancellation,
            moved=copied,
        )
        await mover.run(lambda: _move(reader, upload), cancellation)


def _move(reader: BlobReader, upload: BlobUpload) -> None:
    try:
        if upload.verifier.size > CHUNKED_ABOVE_BYTES:
            upload.put_chunks(CHUNK_BYTES)
        else:
            upload.put_whole()
    finally:
        reader.close()


@asynccontextmanager
async def _turn(route: Route, blob: Descriptor) -> AsyncIterator[None]:
    """Wait until both registries take another stream, small blobs first, and tell their gates how it went."""
    # A source slot is always taken before a destination slot, so that jobs of opposite ways cannot lock each other.
    priority = blob.size.bit_length()
    reading, writing = route.source.gate, route.destination.gate
    async with reading.slot(Action.GET_BLOB, priority), writing.slot(Action.PUT_BLOB, priority):
        started = time.monotonic()
        try:
            yield
        except SourceFailed as failed:
            reading.observe(Action.GET_BLOB, _outcome(failed.error, started))
            raise
        except OciError as error:
            writing.observe(Action.PUT_BLOB, _outcome(error, started))
            raise
        reading.observe(Action.GET_BLOB, _outcome(None, started))
        writing.observe(Action.PUT_BLOB, _outcome(None, started))


def _outcome(error: OciError | None, started: float) -> Outcome:
    elapsed_s = time.monotonic() - started
    match error:
        case None:
            return Outcome(status=200, elapsed_s=elapsed_s)
        case RegistryError():
            return Outcome(status=error.status, elapsed_s=elapsed_s, retry_after=error.retry_after)
        case _:
            return Outcome(status=None, elapsed_s=elapsed_s)
