"""Sends one blob, in as many sessions as it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Final

from jobservice.engine.backoff import REQUESTS, raise_if_final, retry_after_s
from jobservice.engine.endpoint import retried
from jobservice.engine.errors import SourceFailed
from jobservice.engine.mover import Mover
from jobservice.engine.ports import Log, Uploads
from jobservice.engine.transfer import CopiedBytes, Route, move_blob, travels_in_chunks
from jobservice.engine.upload import UploadState, is_session_over
from jobservice.transfer import Progress
from oci_client.digest import Digest
from oci_client.errors import OciError, SizeMismatch
from oci_client.manifest import Descriptor
from oci_client.uploads import UploadSession

CANCEL_TIMEOUT_S: Final = 0.3  # a stopped job ends within a second; what is left open at the registry expires

_EMPTY_JSON: Final = b"{}"  # the empty descriptor of the image specification
_KNOWN_CONTENT: Final = {Digest.of(_EMPTY_JSON): _EMPTY_JSON}


class BlobSender:
    """Sends blobs of one job to its destination repository."""

    def __init__(self, route: Route, *, mover: Mover, uploads: Uploads, progress: Progress, log: Log) -> None:
        self._route = route
        self._mover = mover
        self._uploads = uploads
        self._progress = progress
        self._log = log

    async def saved(self, blob: Descriptor) -> UploadState | None:
        """Return the session in which another worker began to send the blob."""
        if not travels_in_chunks(self._route, blob, self._mover.limits):
            return None
        found = await self._uploads.load(*self._key(blob))
        if found is None:
            return None
        url, offset = found
        self._log.info("upload resumed", digest=blob.digest, offset=offset)
        return UploadState(url=url, offset=offset, is_resumed=True)

    async def send(self, blob: Descriptor, state: UploadState) -> None:
        """Send the blob, in a new session when one is lost. Raises OciError and SourceFailed."""
        client, own = self._route.destination.client, self._route.destination_repository
        copied = CopiedBytes(self._progress)
        failures = 0
        while True:
            try:
                await self._send_into(state, blob, copied)
            except OciError as error:
                failures += 1
                if not is_session_over(error) or failures >= REQUESTS.attempts:
                    raise_if_final(error, failures, REQUESTS)
                self._log.warning("upload broke off", digest=blob.digest, error=str(error), failures=failures)
                await asyncio.sleep(REQUESTS.delay_s(failures, retry_after_s(error)))
                is_lost = is_session_over(error) or not state.offset
            else:
                return
            # The registry may have stored it although its answer was lost.
            if await retried(lambda: client.head_blob(own, blob.digest)) is not None:
                return
            if is_lost:
                await give_up(self._route, state.url, self._log)
                state = opened(await retried(lambda: client.start_upload(own)))
            else:
                state.is_resumed = True

    async def _send_into(self, state: UploadState, blob: Descriptor, copied: CopiedBytes) -> None:
        client, own = self._route.destination.client, self._route.destination_repository
        content = _content(blob)
        if content is not None:
            await client.put_blob(UploadSession(repository=own, url=state.url), blob.digest, content)
            copied(blob.size)
            return
        is_resumed = state.is_resumed
        try:
            await move_blob(self._mover, self._route, blob, state, uploads=self._uploads, moved=copied)
        except SourceFailed:
            await self._drop(blob, state)
            await give_up(self._route, state.url, self._log)
            raise
        except OciError as error:
            if is_session_over(error):
                await self._drop(blob, state)
            raise
        except asyncio.CancelledError:
            # What has come far is kept for the next worker.
            if not state.offset:
                await _soon(give_up(self._route, state.url, self._log))
            raise
        await self._drop(blob, state)
        if is_resumed:
            await self._check_stored(blob)

    async def _check_stored(self, blob: Descriptor) -> None:
        """Look whether the registry has what it said it has: nobody here has seen all of it."""
        client, own = self._route.destination.client, self._route.destination_repository
        size = await retried(lambda: client.head_blob(own, blob.digest))
        if size != blob.size:
            raise SizeMismatch(expected=blob.size, actual=size or 0)

    async def _drop(self, blob: Descriptor, state: UploadState) -> None:
        if state.offset or state.is_resumed:
            await self._uploads.drop(*self._key(blob))

    def _key(self, blob: Descriptor) -> tuple[str, str, str]:
        return self._route.destination.uid, self._route.destination_repository, blob.digest


def opened(session: UploadSession) -> UploadState:
    """Return the state of a session that was just opened."""
    return UploadState(url=session.url, min_chunk=session.min_chunk or 0)


async def give_up(route: Route, url: str, log: Log) -> None:
    """Cancel a session that will not be used, as a courtesy: object storage charges for what is left in it."""
    session = UploadSession(repository=route.destination_repository, url=url)
    try:
        await route.destination.client.cancel_upload(session)
    except OciError as error:
        log.debug("upload not cancelled", error=str(error))


async def _soon(work: Coroutine[Any, Any, None]) -> None:
    """Do it in the little time that a cancelled task has."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CANCEL_TIMEOUT_S):
            await work


def _content(blob: Descriptor) -> bytes | None:
    """Return the content of a blob that need not be fetched: the empty one, or one that its descriptor holds."""
    if blob.digest in _KNOWN_CONTENT:
        return _KNOWN_CONTENT[blob.digest]
    if (
        blob.data is not None
        and len(blob.data) == blob.size
        and Digest.of(blob.data, blob.digest.algorithm) == blob.digest
    ):
        return blob.data
    return None
