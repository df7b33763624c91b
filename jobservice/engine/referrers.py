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

from jobservice.engine.endpoint import Endpoint, retried
from jobservice.engine.errors import failing_at
from jobservice.engine.graph import GraphCopier
from jobservice.engine.lookups import source_manifest
from jobservice.engine.ports import Log
from jobservice.engine.tags import SourceTags
from jobservice.engine.transfer import Route
from jobservice.transfer import Side
from oci_client import media_types
from oci_client.digest import Digest
from oci_client.errors import NotFound
from oci_client.manifest import Descriptor, ImageIndex, ImageManifest, Manifest, parse_manifest

MAX_ALGORITHM_CHARS: Final = 32  # of a fallback tag, as the specification cuts them
MAX_ENCODED_CHARS: Final = 64
INDEX_WRITES: Final = 3  # of a fallback index: each is read again, since another client may have overwritten it

_COSIGN_SUFFIXES: Final = (".sig", ".att", ".sbom")


def fallback_tag(subject: Digest) -> str:
    """Return the tag under which a registry without the referrers API keeps the referrers of `subject`."""
    return f"{subject.algorithm[:MAX_ALGORITHM_CHARS]}-{subject.encoded[:MAX_ENCODED_CHARS]}"


def cosign_tags(subject: Digest) -> tuple[str, ...]:
    """Return the tags under which older versions of cosign keep what they made for `subject`."""
    return tuple(f"{subject.algorithm}-{subject.encoded}{suffix}" for suffix in _COSIGN_SUFFIXES)


class ReferrerCopier:
    """Copies the referrers of the artifacts of one job, each once."""

    def __init__(
        self, route: Route, graph: GraphCopier, source_tags: SourceTags, *, types: Sequence[str], log: Log
    ) -> None:
        self._route = route
        self._graph = graph
        self._source_tags = source_tags
        self._types = frozenset(types)
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
        wanted = [each for each in await self._at_source(subject) if self._is_wanted(each)]
        if not wanted:
            return
        with failing_at(Side.DESTINATION, digest=subject):
            present = {each.digest for each in await _listed(self._route.destination, self._repository, subject)}
        unlisted = [await self._bring(each) for each in wanted if each.digest not in present]
        await self._list_in_fallback(subject, [each for each in unlisted if each is not None])
        await self.copy(each.digest for each in wanted)

    @property
    def _repository(self) -> str:
        return self._route.destination_repository

    async def _at_source(self, subject: Digest) -> list[Descriptor]:
        """Return the referrers; those of a fallback tag too, which stays when a registry gets the API later."""
        route = self._route
        with failing_at(Side.SOURCE, digest=subject):
            found = await retried(lambda: route.source.client.referrers(route.source_repository, subject)) or []
            if await self._source_tags.have(fallback_tag(subject)):
                found += await _in_fallback(route.source, route.source_repository, subject)
        return list({each.digest: each for each in found}.values())

    def _is_wanted(self, referrer: Descriptor) -> bool:
        # Old fallback indexes do not tell the type; then it is better to copy too much than too little.
        return not self._types or not referrer.artifact_type or referrer.artifact_type in self._types

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
                    listed = await _in_fallback(endpoint, self._repository, subject)
                    missing = {each.digest for each in referrers} - {each.digest for each in listed}
                    if not missing:
                        return
                    added = [each for each in referrers if each.digest in missing]
                    index = fallback_index([*listed, *added])
                    await retried(lambda index=index: endpoint.client.put_manifest(self._repository, tag, index))  # type: ignore[misc]
        self._log.warning("somebody else keeps changing the fallback index", tag=tag)


async def _listed(endpoint: Endpoint, repository: str, subject: Digest) -> list[Descriptor]:
    """Return what a registry lists as referring to `subject`, by whichever way it has."""
    found = await retried(lambda: endpoint.client.referrers(repository, subject))
    return await _in_fallback(endpoint, repository, subject) if found is None else found


async def _in_fallback(endpoint: Endpoint, repository: str, subject: Digest) -> list[Descriptor]:
    try:
        index = await retried(lambda: endpoint.client.get_manifest(repository, fallback_tag(subject)))
    except NotFound:
        return []
    return list(index.manifests) if isinstance(index, ImageIndex) else []


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
