"""Decides for each reference of a job what is to be done, and does it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from jobservice.engine.endpoint import retried
from jobservice.engine.errors import CopyError, failing_at
from jobservice.engine.graph import GraphCopier
from jobservice.engine.ports import Log
from jobservice.engine.transfer import Route
from jobservice.transfer import ArtifactReference, Failure, Outcome, Progress, ReferenceResult, Side

REFERENCES_AT_ONCE: Final = 32  # of one job; the gates of the registries decide how many requests that makes


class ReferenceCopier:
    """Copies references from one repository to another, each for itself: one that fails leaves the others alone."""

    def __init__(self, route: Route, graph: GraphCopier, *, override: bool, progress: Progress, log: Log) -> None:
        self._route = route
        self._graph = graph
        self._override = override
        self._progress = progress
        self._log = log
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
                result = await self._decide(reference)
            except* CopyError as errors:
                result = _failed(reference, errors)
        self._count(result)
        self._tell(result)
        return result

    async def _decide(self, reference: ArtifactReference) -> ReferenceResult:
        name = reference.tag or reference.digest
        wanted, present = await self._look_up(reference, name)
        reference = ArtifactReference(tag=reference.tag, digest=wanted)
        if present == wanted:
            return ReferenceResult(reference=reference, outcome=Outcome.UNCHANGED)
        if present is not None and not self._override:
            return ReferenceResult(
                reference=reference, outcome=Outcome.SKIPPED, failure=_tag_exists(reference, present)
            )
        return await self._transfer(reference, name)

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

    async def _transfer(self, reference: ArtifactReference, name: str) -> ReferenceResult:
        manifest = await self._graph.fetch(name)
        await self._graph.push(manifest, name)
        copied = ArtifactReference(tag=reference.tag, digest=manifest.digest)
        return ReferenceResult(reference=copied, outcome=Outcome.COPIED)

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
