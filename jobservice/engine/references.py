"""Decides for each reference of a job what is to be done, and does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from jobservice.engine.endpoint import retried
from jobservice.engine.errors import CopyError, failing_at
from jobservice.engine.graph import GraphCopier
from jobservice.engine.platforms import with_platforms
from jobservice.engine.ports import Log
from jobservice.engine.referrers import ReferrerCopier, cosign_tags
from jobservice.engine.tags import SourceTags
from jobservice.engine.transfer import Route
from jobservice.transfer import (
    ArtifactReference,
    Failure,
    Outcome,
    Progress,
    ReferenceResult,
    Side,
    TransferOptions,
)
from oci_client import media_types
from oci_client.digest import Digest
from oci_client.manifest import Descriptor, Manifest

AS_THEY_ARE: Final = TransferOptions()
REFERENCES_AT_ONCE: Final = 32  # of one job; the gates of the registries decide how many requests that makes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """How a reference ended, and what was learned of its manifest on the way: all of it, or at least its type."""

    result: ReferenceResult
    manifest: Manifest | None = None
    media_type: str = ""

    @property
    def has_no_children(self) -> bool:
        """Whether the type alone tells that the manifest points to no other; one that we do not know may do so."""
        return media_types.is_manifest(self.media_type) and not media_types.is_index(self.media_type)


class ReferenceCopier:
    """Copies references from one repository to another, each for itself: one that fails leaves the others alone."""

    def __init__(
        self,
        route: Route,
        graph: GraphCopier,
        *,
        override: bool,
        options: TransferOptions = AS_THEY_ARE,
        progress: Progress,
        log: Log,
    ) -> None:
        self._route = route
        self._graph = graph
        self._override = override
        self._options = options
        self._progress = progress
        self._log = log
        self._source_tags = SourceTags(route.source, route.source_repository)
        self._referrers = ReferrerCopier(route, graph, self._source_tags, types=options.referrer_types, log=log)
        self._places = asyncio.Semaphore(REFERENCES_AT_ONCE)

    async def copy(self, references: Sequence[ArtifactReference]) -> list[ReferenceResult]:
        """Copy them side by side and tell how each ended."""
        self._progress.references_total += len(references)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._copy_one(each), name=f"copy {each}") for each in references]
        return [task.result() for task in tasks]

    async def _copy_one(self, reference: ArtifactReference) -> ReferenceResult:
        async with self._places:
            try:
                settled = await self._settle(reference)
                result = settled.result
                if self._options.referrers and result.failure is None:
                    await self._copy_referrers(settled)
            except* CopyError as errors:
                result = _failed(reference, errors)
        self._count(result)
        self._tell(result)
        return result

    async def _settle(self, reference: ArtifactReference) -> _Settled:
        """Bring one reference to the destination, unless it is there or must not go there."""
        name = reference.tag or reference.digest
        wanted, present = await self._look_up(reference, name)
        found = ArtifactReference(tag=reference.tag, digest=wanted)
        unchanged = ReferenceResult(reference=found, outcome=Outcome.UNCHANGED)
        if present is not None and present.digest == wanted:
            return _Settled(result=unchanged, media_type=present.media_type)
        manifest = await self._chosen(name) if self._options.platforms else None
        if manifest is not None and present is not None and present.digest == manifest.digest:
            return _Settled(result=unchanged, manifest=manifest)
        if present is not None and not self._override:
            exists = _tag_exists(reference, present.digest)
            return _Settled(result=ReferenceResult(reference=found, outcome=Outcome.SKIPPED, failure=exists))
        manifest = manifest or await self._graph.fetch(name)
        await self._graph.push(manifest, reference.tag or manifest.digest)
        # Somebody may have moved the tag since it was looked up; what counts is what was copied.
        copied = ArtifactReference(tag=reference.tag, digest=wanted if self._options.platforms else manifest.digest)
        return _Settled(result=ReferenceResult(reference=copied, outcome=Outcome.COPIED), manifest=manifest)

    async def _chosen(self, name: str) -> Manifest:
        """Return the manifest as it is wanted at the destination."""
        return with_platforms(await self._graph.fetch(name), self._options.platforms)

    async def _copy_referrers(self, settled: _Settled) -> None:
        """Copy what refers to an artifact that is at the destination, and to the images of an index."""
        subjects = await self._subjects(settled)
        await self._referrers.copy(subjects)
        await self._copy_cosign_tags(subjects)

    async def _subjects(self, settled: _Settled) -> list[Digest]:
        """Return what of an artifact is at the destination and may be referred to."""
        subject = Digest(settled.result.reference.digest)
        if settled.has_no_children:
            return [subject]
        manifest = settled.manifest or await self._chosen(subject)
        children = [child.digest for child in manifest.children]
        if manifest.digest == subject:
            return [subject, *children]
        self._log.warning("signatures of the whole index are left out: they do not cover a part", digest=subject)
        return children

    async def _copy_cosign_tags(self, subjects: Sequence[Digest]) -> None:
        for tag in chain.from_iterable(cosign_tags(subject) for subject in subjects):
            with failing_at(Side.SOURCE):
                exists = await self._source_tags.have(tag)
            if exists:
                result = (await self._settle(ArtifactReference(tag=tag))).result
                if result.failure is not None:
                    raise CopyError(result.failure)
                self._log.info("cosign tag " + result.outcome.value, tag=tag)

    async def _look_up(self, reference: ArtifactReference, name: str) -> tuple[str, Descriptor | None]:
        """Return the digest at the source, and what the destination has, asked for at the same time."""
        async with asyncio.TaskGroup() as group:
            at_destination = group.create_task(self._manifest_at(Side.DESTINATION, name))
            at_source = None if reference.digest else group.create_task(self._manifest_at(Side.SOURCE, name))
        if at_source is None:
            return reference.digest, at_destination.result()
        wanted = at_source.result()
        if wanted is None:
            raise CopyError(_gone(reference))
        return wanted.digest, at_destination.result()

    async def _manifest_at(self, side: Side, name: str) -> Descriptor | None:
        route = self._route
        if side is Side.SOURCE:
            client, repository = route.source.client, route.source_repository
        else:
            client, repository = route.destination.client, route.destination_repository
        with failing_at(side):
            return await retried(lambda: client.head_manifest(repository, name))

    def _count(self, result: ReferenceResult) -> None:
        match result.outcome:
            case Outcome.COPIED:
                self._progress.references_copied += 1
            case Outcome.UNCHANGED:
                self._progress.references_unchanged += 1
            case Outcome.SKIPPED:
                self._progress.references_skipped += 1
            case _:
                self._progress.references_failed += 1

    def _tell(self, result: ReferenceResult) -> None:
        about = {"tag": result.reference.tag, "digest": result.reference.digest}
        if result.failure is None:
            self._log.info(result.outcome.value, **about)
        elif result.outcome is Outcome.SKIPPED:
            self._log.warning(result.failure.message, **about, reason=result.failure.reason)
        else:
            self._log.error(result.failure.message, **about, reason=result.failure.reason)


def _failed(reference: ArtifactReference, errors: BaseExceptionGroup[CopyError]) -> ReferenceResult:
    """Tell the first cause: its siblings were cancelled, or failed of the same."""
    first: BaseException = errors
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    assert isinstance(first, CopyError)
    return ReferenceResult(reference=reference, outcome=Outcome.FAILED, failure=first.failure)


def _gone(reference: ArtifactReference) -> Failure:
    return Failure(
        reason="MANIFEST_UNKNOWN",
        message=f"Source: there is no {reference} any more.",
        side=Side.SOURCE,
        metadata={"reference": str(reference)},
    )


def _tag_exists(reference: ArtifactReference, present: str) -> Failure:
    return Failure(
        reason="TAG_EXISTS",
        message=f"{reference} exists at the destination as {present}, and the policy does not override.",
        side=Side.DESTINATION,
        metadata={"tag": reference.tag, "present": present},
    )
