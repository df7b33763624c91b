"""Finds out what a copy would have to move: reads manifests at the source, asks the destination, and writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence

from jobservice.engine.endpoint import retried
from jobservice.engine.errors import failing_at
from jobservice.engine.graph import refuse_unsupported
from jobservice.engine.lookups import at_destination, source_manifest
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import BlobLocations
from jobservice.engine.presence import is_known, is_wanted
from jobservice.engine.transfer import Route
from jobservice.transfer import Side
from oci_client.digest import Digest
from oci_client.manifest import Descriptor, Manifest
from oci_client.singleflight import SingleFlight

Missing = Mapping[Digest, int]  # blobs that the destination repository lacks, with their sizes


class BlobSurvey:
    """Tells which blobs the destination repository lacks; each is asked for once.

    A repository without tags is taken to hold only what is remembered of it.
    """

    def __init__(self, route: Route, *, locations: BlobLocations, novelty: Novelty, foreign_layers: bool) -> None:
        self._route = route
        self._locations = locations
        self._novelty = novelty
        self._foreign_layers = foreign_layers
        self._is_here: dict[Digest, bool] = {}
        self._asking: SingleFlight[Digest, None] = SingleFlight()

    async def missing(self, blobs: Sequence[Descriptor]) -> Missing:
        """Return those of the blobs that are wanted and not there. Raises CopyError."""
        wanted = [blob for blob in blobs if is_wanted(blob, foreign_layers=self._foreign_layers)]
        unknown = [blob for blob in wanted if blob.digest not in self._is_here]
        if unknown:
            registry, own = self._route.destination.uid, self._route.destination_repository
            known = await self._locations.find(registry, own, [blob.digest for blob in unknown])
            async with asyncio.TaskGroup() as group:
                for blob in unknown:
                    group.create_task(self._look_for(blob, known.get(blob.digest, ())), name=f"look for {blob.digest}")
        return {blob.digest: blob.size for blob in wanted if not self._is_here[blob.digest]}

    async def _look_for(self, blob: Descriptor, repositories: Collection[str]) -> None:
        if is_known(self._route, blob, repositories):
            self._is_here[blob.digest] = True
        elif await self._novelty.is_new():
            self._is_here[blob.digest] = False
        elif blob.digest not in self._is_here:
            await self._asking.run(blob.digest, lambda: self._ask_for(blob.digest))

    async def _ask_for(self, digest: Digest) -> None:
        client, own = self._route.destination.client, self._route.destination_repository
        with failing_at(Side.DESTINATION, digest=digest):
            self._is_here[digest] = await retried(lambda: client.head_blob(own, digest)) is not None


class GraphSurvey:
    """Tells which blobs the destination repository lacks of all that a manifest points to; each manifest is read once.

    What it has found it keeps, as digests and sizes; so it is for one plan.
    """

    def __init__(self, route: Route, blobs: BlobSurvey, *, novelty: Novelty) -> None:
        self._route = route
        self._blobs = blobs
        self._novelty = novelty
        self._found: dict[Digest, Missing] = {}
        self._under_way: SingleFlight[Digest, Missing] = SingleFlight()

    async def of(self, digest: Digest, depth: int = 0) -> Missing:
        """Return what is missing of a manifest of the source. Raises CopyError."""
        if digest not in self._found:
            self._found[digest] = await self._under_way.run(digest, lambda: self._read(digest, depth))
        return self._found[digest]

    async def of_manifest(self, manifest: Manifest, depth: int = 0) -> Missing:
        """Return what is missing of a manifest that is to be at the destination. Raises CopyError."""
        refuse_unsupported(manifest, depth)
        async with asyncio.TaskGroup() as group:
            own = group.create_task(self._blobs.missing(manifest.blobs), name=f"blobs of {manifest.digest}")
            below = [
                group.create_task(self._of_child(child, depth + 1), name=f"child {child.digest}")
                for child in manifest.children
            ]
        return merged(part.result() for part in (own, *below))

    async def _read(self, digest: Digest, depth: int) -> Missing:
        return await self.of_manifest(await source_manifest(self._route, digest), depth)

    async def _of_child(self, child: Descriptor, depth: int) -> Missing:
        if child.digest in self._found:
            return self._found[child.digest]
        if not await self._novelty.is_new() and await at_destination(self._route, child.digest) is not None:
            self._found[child.digest] = {}
        return await self.of(child.digest, depth)


def merged(parts: Iterable[Missing]) -> Missing:
    """Return all of them, each digest once."""
    return {digest: size for part in parts for digest, size in part.items()}
