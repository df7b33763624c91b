"""Copies what refers to an artifact: signatures, SBOMs, attestations, and what refers to those.

By the referrers API and its fallback tag of the distribution specification ("Listing Referrers", "Referrers Tag
Schema"), and by the tags that older versions of cosign make.
"""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from jobservice.engine.endpoint import retried
from jobservice.engine.errors import failing_at
from jobservice.engine.graph import GraphCopier
from jobservice.engine.lookups import source_manifest
from jobservice.engine.ports import Log
from jobservice.engine.referrer_lists import SourceReferrers, fallback_tag, in_fallback, listed
from jobservice.engine.transfer import Route
from jobservice.transfer import Side
from oci_client import media_types
from oci_client.digest import Digest
from oci_client.manifest import Descriptor, ImageIndex, ImageManifest, Manifest, parse_manifest

INDEX_WRITES: Final = 3  # of a fallback index: each is read again, since another client may have overwritten it

_COSIGN_SUFFIXES: Final = (".sig", ".att", ".sbom")


def cosign_tags(subject: Digest) -> tuple[str, ...]:
    """Return the tags under which older versions of cosign keep what they made for `subject`."""
    return tuple(f"{subject.algorithm}-{subject.encoded}{suffix}" for suffix in _COSIGN_SUFFIXES)


class ReferrerCopier:
    """Copies the referrers of the artifacts of one job, each once."""

    def __init__(self, route: Route, graph: GraphCopier, at_source: SourceReferrers, *, log: Log) -> None:
        self._route = route
        self._graph = graph
        self._at_source = at_source
        self._log = log
        # Whose referrers are copied or being copied; things may refer to each other in a circle.
        self._seen: set[Digest] = set()
        self._index_turns: defaultdict[Digest, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def copy(self, subjects: Iterable[Digest]) -> None:
        """Copy whatever refers to the subjects, which are at the destination. Raises CopyError."""
        async with asyncio.TaskGroup() as group:
            for subject in subjects:
                if subject not in self._seen:
                    self._seen.add(subject)
                    group.create_task(self._copy_of(subject), name=f"referrers of {subject}")

    async def _copy_of(self, subject: Digest) -> None:
        wanted = await self._at_source.of(subject)
        if not wanted:
            return
        with failing_at(Side.DESTINATION, digest=subject):
            present = {each.digest for each in await listed(self._route.destination, self._repository, subject)}
        unlisted = [await self._bring(each) for each in wanted if each.digest not in present]
        await self._list_in_fallback(subject, [each for each in unlisted if each is not None])
        await self.copy(each.digest for each in wanted)

    @property
    def _repository(self) -> str:
        return self._route.destination_repository

    async def _bring(self, referrer: Descriptor) -> Descriptor | None:
        """Copy a referrer; return how it is to be listed if the destination does not list it by itself."""
        manifest = await source_manifest(self._route, referrer.digest)
        result = await self._graph.push(manifest, referrer.digest)
        self._log.info("referrer copied", digest=referrer.digest, type=referrer.artifact_type)
        return None if result.subject_acknowledged else manifest_descriptor(manifest)

    async def _list_in_fallback(self, subject: Digest, referrers: Sequence[Descriptor]) -> None:
        """Add the referrers to the fallback index, and look whether they stayed there."""
        if not referrers:
            return
        endpoint, tag = self._route.destination, fallback_tag(subject)
        async with self._index_turns[subject]:
            with failing_at(Side.DESTINATION, digest=subject):
                for _ in range(INDEX_WRITES):
                    there = await in_fallback(endpoint, self._repository, subject)
                    missing = {each.digest for each in referrers} - {each.digest for each in there}
                    if not missing:
                        return
                    added = [each for each in referrers if each.digest in missing]
                    index = fallback_index([*there, *added])
                    await retried(lambda index=index: endpoint.client.put_manifest(self._repository, tag, index))  # type: ignore[misc]
        self._log.warning("somebody else keeps changing the fallback index", tag=tag)


def manifest_descriptor(manifest: Manifest) -> Descriptor:
    """Return how a referrer is listed: with its artifact type and annotations."""
    if not isinstance(manifest, ImageManifest | ImageIndex):
        return manifest.descriptor
    config = manifest.config if isinstance(manifest, ImageManifest) else None
    return Descriptor(
        media_type=manifest.media_type,
        digest=manifest.digest,
        size=manifest.size,
        artifact_type=manifest.artifact_type or (config.media_type if config else ""),
        annotations=manifest.annotations,
    )


def fallback_index(referrers: Sequence[Descriptor]) -> Manifest:
    """Return the index that lists the referrers."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [_as_json(each) for each in referrers],
    }
    return parse_manifest(json.dumps(document, separators=(",", ":")).encode(), media_types.OCI_INDEX)


def _as_json(descriptor: Descriptor) -> dict[str, Any]:
    document: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": descriptor.digest,
        "size": descriptor.size,
    }
    if descriptor.artifact_type:
        document["artifactType"] = descriptor.artifact_type
    if descriptor.annotations:
        document["annotations"] = dict(descriptor.annotations)
    return document
