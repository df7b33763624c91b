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

from jobservice.engine.backoff import AccessRefused, is_transient
from jobservice.engine.blob_sender import BlobSender, give_up, opened
from jobservice.engine.endpoint import retried
from jobservice.engine.errors import failing_at
from jobservice.engine.mover import Mover
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import BlobClaims, BlobLocations, Log, Uploads
from jobservice.engine.presence import is_known, is_wanted
from jobservice.engine.transfer import Route
from jobservice.engine.upload import UploadState
from jobservice.transfer import Progress, Side
from oci_client.digest import Digest
from oci_client.errors import Denied, Unauthorized
from oci_client.manifest import Descriptor
from oci_client.singleflight import SingleFlight
from oci_client.uploads import Mounted, UploadSession

# From this size on a question is asked before a transfer: registries that do not mount from the same repository would
# get the bytes in vain.
HEAD_FIRST_BYTES: Final = 4 * 1024 * 1024
MOUNT_CANDIDATES: Final = 2  # a registry that refused two mounts will hardly allow a third
CLAIM_FROM_BYTES: Final = 1024 * 1024  # to send a smaller blob twice costs less than to ask other workers about it


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
        uploads: Uploads,
        progress: Progress,
        log: Log,
        novelty: Novelty,
        foreign_layers: bool = False,
    ) -> None:
        self._route = route
        self._sender = BlobSender(route, mover=mover, uploads=uploads, progress=progress, log=log)
        self._locations = locations
        self._claims = claims
        self._progress = progress
        self._log = log
        self._novelty = novelty
        self._foreign_layers = foreign_layers
        self._here: set[Digest] = set()
        self._under_way: SingleFlight[Digest, None] = SingleFlight()

    async def bring(self, blobs: Sequence[Descriptor]) -> None:
        """Return when the destination repository has all of them. Raises CopyError."""
        missing = [blob for blob in blobs if blob.digest not in self._here and self._is_wanted(blob)]
        if not missing:
            return
        route = self._route
        known = await self._locations.find(
            route.destination.uid, route.destination_repository, [blob.digest for blob in missing]
        )
        async with asyncio.TaskGroup() as group:
            for blob in missing:
                group.create_task(self._bring_once(blob, known), name=f"blob {blob.digest}")

    def _is_wanted(self, blob: Descriptor) -> bool:
        return is_wanted(blob, foreign_layers=self._foreign_layers)

    def doubt(self, digests: Sequence[str]) -> None:
        """Forget that the destination repository has these blobs: it says that it has not."""
        route = self._route
        self._here.difference_update(map(Digest, digests))
        for digest in digests:
            route.destination.flights.forget(Digest(digest))
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
        if is_known(route, blob, repositories):
            return _How.PRESENT
        own = route.destination_repository
        landed = route.destination.flights.landed(blob.digest)
        candidates = [*([landed] if landed else []), *repositories][:MOUNT_CANDIDATES]
        if route.source.uid == route.destination.uid:
            candidates.insert(0, route.source_repository)
        session = None
        while True:
            if flight := route.destination.flights.get(blob.digest):
                landed = await flight.wait()
                if landed == own:
                    return await self._settled(_How.PRESENT, session)
                candidates = [landed] if landed else []
            elif candidates:
                answer = await self._mount(blob, candidates.pop(0))
                if isinstance(answer, Mounted):
                    return await self._settled(_How.MOUNTED, session)
                session = await self._newest(answer, session)
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
            how = await self._taken_over(blob, session) if was_sent_elsewhere else None
            if how is None:
                how = await self._place(blob, session)
            # Other workers look there as soon as the claim is free.
            self._locations.remember(uid, own, [blob.digest])
            flight.landed_in = own
            return how

    def _claim(self, blob: Descriptor) -> AbstractAsyncContextManager[bool]:
        if blob.size < CLAIM_FROM_BYTES:
            return nullcontext(enter_result=False)
        return self._claims.claim(self._route.destination.uid, blob.digest)

    async def _taken_over(self, blob: Descriptor, session: UploadSession | None) -> _How | None:
        """Mount what another worker has just sent, if it did arrive."""
        route = self._route
        uid, own = route.destination.uid, route.destination_repository
        found = await self._locations.find(uid, own, [blob.digest])
        for repository in found.get(blob.digest, ())[:MOUNT_CANDIDATES]:
            if repository == own:
                return await self._settled(_How.PRESENT, session)
            answer = await self._mount(blob, repository)
            if isinstance(answer, Mounted):
                return await self._settled(_How.MOUNTED, session)
            if answer is not None:
                await self._give_up(answer.url)
        return None

    async def _mount(self, blob: Descriptor, repository: str) -> Mounted | UploadSession | None:
        """Try a mount; a refusal may open a session, or nothing where even to ask is forbidden."""
        route = self._route
        client = route.destination.client
        try:
            answer = await retried(lambda: client.mount_blob(route.destination_repository, blob.digest, repository))
        except (Unauthorized, Denied, AccessRefused) as error:
            if is_transient(error):
                raise
            # Not the repository that it is for: what the credential may do there is seen at the upload.
            self._log.debug("mount forbidden", digest=blob.digest, repository=repository)
            return None
        if not isinstance(answer, Mounted):
            self._log.debug("mount refused", digest=blob.digest, repository=repository)
            self._locations.forget(route.destination.uid, repository, [blob.digest])
        return answer

    async def _newest(self, opened: UploadSession | None, session: UploadSession | None) -> UploadSession | None:
        """Keep one session of two."""
        if opened is None:
            return session
        if session is not None:
            await self._give_up(session.url)
        return opened

    async def _settled(self, how: _How, session: UploadSession | None) -> _How:
        """Let go of a session that is not needed after all."""
        if session is not None:
            await self._give_up(session.url)
        return how

    async def _place(self, blob: Descriptor, session: UploadSession | None) -> _How:
        """Put the blob into the repository, unless it turns out to be there. A refused mount has opened `session`."""
        if session is not None:
            state: UploadState | None = opened(session)
        else:
            state = await self._sender.saved(blob) or await self._open(blob)
        if state is None:
            return _How.PRESENT
        await self._sender.send(blob, state)
        return _How.COPIED

    async def _open(self, blob: Descriptor) -> UploadState | None:
        """Open a session, unless the blob turns out to be there."""
        client, own = self._route.destination.client, self._route.destination_repository
        if blob.size >= HEAD_FIRST_BYTES and not await self._novelty.is_new():
            if await retried(lambda: client.head_blob(own, blob.digest)) is not None:
                return None
            return opened(await retried(lambda: client.start_upload(own)))
        # A mount from the repository itself finds the blob or opens a session, with one request.
        answer = await retried(lambda: client.mount_blob(own, blob.digest, own))
        return None if isinstance(answer, Mounted) else opened(answer)

    async def _give_up(self, url: str) -> None:
        await give_up(self._route, url, self._log)

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
