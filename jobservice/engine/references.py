"""Decides for each reference of a job what is to be done, and does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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
from oci_client.digest import Digest
from oci_client.manifest import Manifest

AS_THEY_ARE: Final = TransferOptions()
REFERENCES_AT_ONCE: Final = 32  # of one job; the gates of the registries decide how many requests that makes


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
                result = await self._settle(reference)
                if self._options.referrers and result.failure is None:
                    await self._copy_referrers(result.reference)
            except* CopyError as errors:
                result = _failed(reference, errors)
        self._count(result)
        self._tell(result)
        return result

    async def _settle(self, reference: ArtifactReference) -> ReferenceResult:
        """Bring one reference to the destination, unless it is there or must not go there."""
        name = reference.tag or reference.digest
        wanted, present = await self._look_up(reference, name)
        found = ArtifactReference(tag=reference.tag, digest=wanted)
        if present == wanted:
            return ReferenceResult(reference=found, outcome=Outcome.UNCHANGED)
        manifest = await self._chosen(name) if self._options.platforms else None
        if manifest is not None and present == manifest.digest:
            return ReferenceResult(reference=found, outcome=Outcome.UNCHANGED)
        if present is not None and not self._override:
            return ReferenceResult(reference=found, outcome=Outcome.SKIPPED, failure=_tag_exists(reference, present))
        manifest = manifest or await self._graph.fetch(name)
        await self._graph.push(manifest, reference.tag or manifest.digest)
        # Somebody may have moved the tag since it was looked up; what counts is what was copied.
        copied = wanted if self._options.platforms else manifest.digest
        return ReferenceResult(reference=ArtifactReference(tag=reference.tag, digest=copied), outcome=Outcome.COPIED)

    async def _chosen(self, name: str) -> Manifest:
        """Return the manifest as it is wanted at the destination."""
        return with_platforms(await self._graph.fetch(name), self._options.platforms)

    async def _copy_referrers(self, reference: ArtifactReference) -> None:
        """Copy what refers to an artifact that is at the destination, and to the images of an index."""
        subject = Digest(reference.digest)
        manifest = await self._chosen(subject)
        subjects = [child.digest for child in manifest.children]
        if manifest.digest == subject:
            subjects.insert(0, subject)
        else:
            self._log.warning("signatures of the whole index are left out: they do not cover a part", digest=subject)
        await self._referrers.copy(subjects)
        await self._copy_cosign_tags(subjects)

    async def _copy_cosign_tags(self, subjects: Sequence[Digest]) -> None:
        for tag in chain.from_iterable(cosign_tags(subject) for subject in subjects):
            with failing_at(Side.SOURCE):
                exists = await self._source_tags.have(tag)
            if exists:
                result = await self._settle(ArtifactReference(tag=tag))
                if result.failure is not None:
                    raise CopyError(result.failure)
                self._log.info("cosign tag " + result.outcome.value, tag=tag)

    async def _look_up(self, reference: ArtifactReference, name: str) -> tuple[str, str | None]:
        """Return the digests at the source and at the destination, asked for at the same time."""
        async with asyncio.TaskGroup() as group:
            at_destination = group.create_task(self._digest_at(Side.DESTINATION, name))
            at_source = None if reference.digest else group.create_task(self._digest_at(Side.SOURCE, name))
        wanted = at_source.result() if at_source else reference.digest
        if wanted is None:
            raise CopyError(_gone(reference))
        return wanted, at_destination.result()

    async def _digest_at(self, side: Side, name: str) -> str | None:
        route = self._route
        if side is Side.SOURCE:
            client, repository = route.source.client, route.source_repository
        else:
            client, repository = route.destination.client, route.destination_repository
        with failing_at(side):
            found = await retried(lambda: client.head_manifest(repository, name))
        return found.digest if found else None

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
