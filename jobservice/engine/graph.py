"""Copies what a manifest points to, children first, so that nothing at the destination ever points into the void."""

from __future__ import annotations

import asyncio
from typing import Final

from jobservice.engine.blobs import BlobCopier
from jobservice.engine.endpoint import retried
from jobservice.engine.errors import CopyError, failing_at
from jobservice.engine.lookups import at_destination, source_manifest
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import Log
from jobservice.engine.transfer import Route
from jobservice.transfer import Failure, Side
from oci_client.digest import Digest
from oci_client.errors import ManifestBlobUnknown
from oci_client.manifest import Descriptor, Manifest, Schema1Manifest
from oci_client.manifests import PutResult
from oci_client.singleflight import SingleFlight

MAX_DEPTH: Final = 8  # of indexes within indexes; real ones have one or two levels


class GraphCopier:
    """Copies manifests and all that they need into the destination repository of one job."""

    def __init__(self, route: Route, blobs: BlobCopier, *, log: Log, novelty: Novelty) -> None:
        self._route = route
        self._blobs = blobs
        self._log = log
        self._novelty = novelty
        self._here: set[Digest] = set()
        self._under_way: SingleFlight[Digest, None] = SingleFlight()

    async def push(self, manifest: Manifest, reference: str, depth: int = 0) -> PutResult:
        """Bring what the manifest points to, then the manifest itself under `reference`. Raises CopyError."""
        await self.bring(manifest, depth)
        with failing_at(Side.DESTINATION, digest=manifest.digest):
            try:
                result = await self._put(manifest, reference)
            except ManifestBlobUnknown as error:
                # What we remembered is no longer so: look again, once.
                self._log.warning("the destination has lost content", digests=list(error.digests))
                self._doubt(manifest)
                await self._bring_content(manifest, depth)
                result = await self._put(manifest, reference)
        self._here.add(manifest.digest)
        return result

    async def bring(self, manifest: Manifest, depth: int = 0) -> None:
        """Bring only what the manifest points to. Raises CopyError."""
        refuse_unsupported(manifest, depth)
        await self._bring_content(manifest, depth)

    def _doubt(self, manifest: Manifest) -> None:
        """Believe no more that anything of the manifest is there: registries name only the first that they miss."""
        self._blobs.doubt([blob.digest for blob in manifest.blobs])
        self._here.difference_update(child.digest for child in manifest.children)
        self._novelty.deny()

    async def _put(self, manifest: Manifest, reference: str) -> PutResult:
        client, repository = self._route.destination.client, self._route.destination_repository
        return await retried(lambda: client.put_manifest(repository, reference, manifest))

    async def _bring_content(self, manifest: Manifest, depth: int) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._blobs.bring(manifest.blobs), name=f"blobs of {manifest.digest}")
            for child in manifest.children:
                if child.digest not in self._here:
                    group.create_task(self._bring_child(child, depth + 1), name=f"child {child.digest}")

    async def _bring_child(self, child: Descriptor, depth: int) -> None:
        """Let several indexes of the job that need a child at the same time share one effort."""
        await self._under_way.run(child.digest, lambda: self._copy_child(child, depth))

    async def _copy_child(self, child: Descriptor, depth: int) -> None:
        if child.digest in self._here:
            return
        if not await self._novelty.is_new() and await at_destination(self._route, child.digest) is not None:
            self._here.add(child.digest)
            return
        manifest = await source_manifest(self._route, child.digest)
        await self.push(manifest, child.digest, depth)


def refuse_unsupported(manifest: Manifest, depth: int) -> None:
    """Raise CopyError for a manifest that is not copied; `depth` is that of the indexes around it."""
    if isinstance(manifest, Schema1Manifest):
        reason = "MANIFEST_TYPE_UNSUPPORTED"
        message = (
            "The manifest is of Docker's schema 1, which is not replicated. Push the image again with a current client."
        )
    elif depth > MAX_DEPTH:
        reason = "MANIFEST_INVALID"
        message = f"Indexes are nested more than {MAX_DEPTH} deep."
    else:
        return
    raise CopyError(Failure(reason=reason, message=message, side=Side.SOURCE, metadata={"digest": manifest.digest}))
