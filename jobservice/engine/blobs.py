"""Brings blobs into a destination repository, with as few requests as there can be.

A blob that the repository is known to have costs nothing. One that another repository of the destination has costs one
request, which mounts it. Any other costs three: POST, GET and PUT. See the distribution specification, "Mounting a blob
from another repository" and "Pushing a blob".
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from enum import Enum, auto
from typing import Final

from jobservice.engine.backoff import REQUESTS, raise_if_final, retry_after_s
from jobservice.engine.endpoint import retried
from jobservice.engine.errors import SourceFailed, failing_at
from jobservice.engine.mover import Mover
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import BlobClaims, BlobLocations, Log
from jobservice.engine.transfer import CopiedBytes, Route, move_blob
from jobservice.engine.upload import UploadState
from jobservice.transfer import Progress, Side
from oci_client import media_types
from oci_client.digest import Digest
from oci_client.errors import OciError, RangeInvalid, Unsupported, UploadUnknown
from oci_client.manifest import Descriptor
from oci_client.singleflight import SingleFlight
from oci_client.uploads import Mounted, UploadSession

# From this size on a question is asked before a transfer: registries that do not mount from the same repository would
# get the bytes in vain.
HEAD_FIRST_BYTES: Final = 4 * 1024 * 1024
MOUNT_CANDIDATES: Final = 2  # a registry that refused two mounts will hardly allow a third
CLAIM_FROM_BYTES: Final = 1024 * 1024  # to send a smaller blob twice costs less than to ask other workers about it
_EMPTY_JSON: Final = b"{}"  # the empty descriptor of the image specification
_KNOWN_CONTENT: Final = {Digest.of(_EMPTY_JSON): _EMPTY_JSON}
# After these a new session may do better.
_SESSION_ERRORS: Final = (UploadUnknown, RangeInvalid, Unsupported)


class _How(Enum):
    """How a blob came to be in the destination repository."""

    PRESENT = auto()
    MOUNTED = auto()
    COPIED = auto()


class BlobCopier:
    """Brings the blobs of one job into its destination repository, each once."""

    def __init__(
        self,
        route: Route,
        *,
        mover: Mover,
        locations: BlobLocations,
        claims: BlobClaims,
        progress: Progress,
        log: Log,
        novelty: Novelty,
    ) -> None:
        self._route = route
        self._mover = mover
        self._locations = locations
        self._claims = claims
        self._progress = progress
        self._log = log
        self._novelty = novelty
        self._here: set[Digest] = set()
        self._under_way: SingleFlight[Digest, None] = SingleFlight()

    async def bring(self, blobs: Sequence[Descriptor]) -> None:
        """Return when the destination repository has all of them. Raises CopyError."""
        missing = [blob for blob in blobs if blob.digest not in self._here and not is_external(blob)]
        if not missing:
            return
        route = self._route
        known = await self._locations.find(
            route.destination.uid, route.destination_repository, [blob.digest for blob in missing]
        )
        async with asyncio.TaskGroup() as group:
            for blob in missing:
                group.create_task(self._bring_once(blob, known), name=f"blob {blob.digest}")

    def doubt(self, digests: Sequence[str]) -> None:
        """Forget that the destination repository has these blobs: it says that it has not."""
        route = self._route
        self._here.difference_update(map(Digest, digests))
        self._locations.forget(route.destination.uid, route.destination_repository, digests)

    async def _bring_once(self, blob: Descriptor, known: Mapping[str, Sequence[str]]) -> None:
        """Let several manifests of the job that need a blob at the same time share one effort."""
        if blob.digest not in self._here:
            repositories = known.get(blob.digest, ())
            await self._under_way.run(blob.digest, lambda: self._bring(blob, repositories))

    async def _bring(self, blob: Descriptor, repositories: Sequence[str]) -> None:
        self._progress.blobs_total += 1
        self._progress.bytes_total += blob.size
        with failing_at(Side.DESTINATION, digest=blob.digest):
            how = await self._find_or_send(blob, repositories)
        self._count(blob, how)
        self._here.add(blob.digest)
        route = self._route
        self._locations.remember(route.destination.uid, route.destination_repository, [blob.digest])

    async def _find_or_send(self, blob: Descriptor, repositories: Sequence[str]) -> _How:
        route = self._route
        own = route.destination_repository
        if own in repositories:
            return _How.PRESENT
        candidates = list(repositories[:MOUNT_CANDIDATES])
        if route.source.uid == route.destination.uid:
            candidates.insert(0, route.source_repository)
        session = None
        while True:
            if flight := route.destination.flights.get(blob.digest):
                landed = await flight.wait()
                if landed == own:
                    return _How.PRESENT
                candidates = [landed] if landed else []
            elif candidates:
                answer = await self._mount(blob, candidates.pop(0))
                if isinstance(answer, Mounted):
                    return _How.MOUNTED
                session = answer
            else:
                return await self._lead(blob, session)

    async def _lead(self, blob: Descriptor, session: UploadSession | None) -> _How:
        """Send a blob that nobody else in this process is sending."""
        route = self._route
        uid, own = route.destination.uid, route.destination_repository
        async with (
            route.destination.flights.lead(blob.digest) as flight,
            self._claim(blob) as was_sent_elsewhere,
        ):
            if was_sent_elsewhere:
                found = await self._locations.find(uid, own, [blob.digest])
                for repository in found.get(blob.digest, ())[:MOUNT_CANDIDATES]:
                    if isinstance(await self._mount(blob, repository), Mounted):
                        flight.landed_in = own
                        return _How.MOUNTED
            how = await self._place(blob, session)
            # Other workers look there as soon as the claim is free.
            self._locations.remember(uid, own, [blob.digest])
            flight.landed_in = own
            return how

    def _claim(self, blob: Descriptor) -> AbstractAsyncContextManager[bool]:
        if blob.size < CLAIM_FROM_BYTES:
            return nullcontext(enter_result=False)
        return self._claims.claim(self._route.destination.uid, blob.digest)

    async def _mount(self, blob: Descriptor, repository: str) -> Mounted | UploadSession:
        route = self._route
        client = route.destination.client
        answer = await retried(lambda: client.mount_blob(route.destination_repository, blob.digest, repository))
        if not isinstance(answer, Mounted):
            self._log.debug("mount refused", digest=blob.digest, repository=repository)
            self._locations.forget(route.destination.uid, repository, [blob.digest])
        return answer

    async def _place(self, blob: Descriptor, session: UploadSession | None) -> _How:
        """Put the blob into the repository, unless it turns out to be there. A refused mount has opened `session`."""
        route = self._route
        client, own = route.destination.client, route.destination_repository
        if session is None:
            if blob.size >= HEAD_FIRST_BYTES and not await self._novelty.is_new():
                if await retried(lambda: client.head_blob(own, blob.digest)) is not None:
                    return _How.PRESENT
                session = await retried(lambda: client.start_upload(own))
            else:
                # A mount from the repository itself finds the blob or opens a session, with one request.
                answer = await retried(lambda: client.mount_blob(own, blob.digest, own))
                if isinstance(answer, Mounted):
                    return _How.PRESENT
                session = answer
        await self._send(blob, session)
        return _How.COPIED

    async def _send(self, blob: Descriptor, session: UploadSession) -> None:
        """Send the blob, in a new session when one is lost."""
        client, own = self._route.destination.client, self._route.destination_repository
        copied = CopiedBytes(self._progress)
        failures = 0
        while True:
            try:
                await self._send_into(session, blob, copied)
            except OciError as error:
                failures += 1
                _raise_if_final(error, failures)
                self._log.warning("upload broke off", digest=blob.digest, error=str(error), failures=failures)
                await asyncio.sleep(REQUESTS.delay_s(failures, retry_after_s(error)))
            else:
                return
            # The registry may have stored it although its answer was lost.
            if await retried(lambda: client.head_blob(own, blob.digest)) is not None:
                return
            session = await retried(lambda: client.start_upload(own))

    async def _send_into(self, session: UploadSession, blob: Descriptor, copied: CopiedBytes) -> None:
        content = _content(blob)
        if content is not None:
            await self._route.destination.client.put_blob(session, blob.digest, content)
            copied(blob.size)
            return
        state = UploadState(url=session.url, min_chunk=session.min_chunk or 0)
        try:
            await move_blob(self._mover, self._route, blob, state, copied)
        except SourceFailed:
            await self._give_up(session)
            raise

    async def _give_up(self, session: UploadSession) -> None:
        """Cancel a session that will not be used, as a courtesy: object storage charges for what is left in it."""
        try:
            await self._route.destination.client.cancel_upload(session)
        except OciError as error:
            self._log.debug("upload not cancelled", error=str(error))

    def _count(self, blob: Descriptor, how: _How) -> None:
        match how:
            case _How.PRESENT:
                self._progress.blobs_present += 1
                self._progress.bytes_present += blob.size
            case _How.MOUNTED:
                self._progress.blobs_mounted += 1
                self._progress.bytes_mounted += blob.size
            case _How.COPIED:
                self._progress.blobs_copied += 1


def _raise_if_final(error: OciError, failures: int) -> None:
    if not isinstance(error, _SESSION_ERRORS) or failures >= REQUESTS.attempts:
        raise_if_final(error, failures, REQUESTS)


def is_external(blob: Descriptor) -> bool:
    """Tell whether a layer lives outside of registries, as those of Windows do; a manifest may name it all the same."""
    return media_types.is_foreign_layer(blob.media_type)


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
