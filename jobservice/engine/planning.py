"""Tells what a job would do to its references, by the same decisions as a copy. Writes nothing and reads no blob."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import Final

from jobservice.engine.backups import BackupTags
from jobservice.engine.decisions import Decider, Decision, first_failure
from jobservice.engine.errors import CopyError, failing_at
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import BlobLocations
from jobservice.engine.referrer_lists import SourceReferrers
from jobservice.engine.referrer_survey import ReferrerSurvey
from jobservice.engine.referrers import cosign_tags
from jobservice.engine.survey import BlobSurvey, GraphSurvey, Missing, merged
from jobservice.engine.tags import SourceTags
from jobservice.engine.transfer import Route
from jobservice.transfer import Action, ArtifactReference, PlannedReference, Side, TransferOptions
from oci_client.digest import Digest

AHEAD: Final = 16  # references that one plan looks at beyond the one that it tells next

_Found = tuple[PlannedReference, Missing]


class ReferencePlanner:
    """Plans one job. `places` bounds how many references are looked at, here and by whoever shares it."""

    def __init__(
        self,
        route: Route,
        *,
        override: bool,
        options: TransferOptions,
        backup_tag: str,
        locations: BlobLocations,
        places: asyncio.Semaphore,
    ) -> None:
        novelty = Novelty(route.destination, route.destination_repository)
        blobs = BlobSurvey(route, locations=locations, novelty=novelty, foreign_layers=options.foreign_layers)
        self._options = options
        self._decider = Decider(route, override=override, platforms=options.platforms)
        self._graph = GraphSurvey(route, blobs, novelty=novelty)
        self._source_tags = SourceTags(route.source, route.source_repository)
        at_source = SourceReferrers(route, self._source_tags, types=options.referrer_types)
        self._referrers = ReferrerSurvey(route, self._graph, at_source)
        self._backup_tags = BackupTags(backup_tag, repository=route.destination_repository) if backup_tag else None
        self._places = places
        self._counted: set[Digest] = set()

    async def plan(self, references: Sequence[ArtifactReference]) -> AsyncGenerator[list[PlannedReference], None]:
        """Yield what would become of each, in their order, in batches. A blob counts for the first that brings it."""
        rest = iter(references)
        ahead: deque[asyncio.Task[_Found]] = deque()
        try:
            while True:
                ahead += (self._begin(each) for each in islice(rest, AHEAD - len(ahead)))
                if not ahead:
                    return
                batch = [self._counted_once(await ahead.popleft())]
                while ahead and ahead[0].done():
                    batch.append(self._counted_once(ahead.popleft().result()))
                yield batch
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    def _begin(self, reference: ArtifactReference) -> asyncio.Task[_Found]:
        return asyncio.create_task(self._look_at(reference), name=f"plan {reference}")

    def _counted_once(self, found: _Found) -> PlannedReference:
        planned, missing = found
        new = {digest: size for digest, size in missing.items() if digest not in self._counted}
        self._counted.update(new)
        return replace(planned, blobs_to_move=len(new), bytes_to_move=sum(new.values()))

    async def _look_at(self, reference: ArtifactReference) -> _Found:
        async with self._places:
            try:
                decision = await self._decide(reference)
                missing = await self._missing(decision)
                planned = _planned(decision)
            except* CopyError as errors:
                missing = {}
                planned = PlannedReference(reference=reference, action=Action.FAIL, failure=first_failure(errors))
        return planned, missing

    async def _decide(self, reference: ArtifactReference) -> Decision:
        decision = await self._decider.decide(reference)
        tag = decision.reference.tag_there
        if self._backup_tags and tag and decision.present and decision.action is Action.COPY:
            self._backup_tags.name(tag, decision.present.digest)
        return decision

    async def _missing(self, decision: Decision) -> Missing:
        """Return what the reference would bring, with what refers to it if that is asked for."""
        if decision.action is Action.SKIP:
            return {}
        found = await self._of_artifact(decision)
        if not self._options.referrers:
            return found
        subjects = await self._decider.subjects(decision)
        return merged([found, await self._referrers.of(subjects), await self._of_cosign_tags(subjects)])

    async def _of_artifact(self, decision: Decision) -> Missing:
        if decision.action is not Action.COPY:
            return {}
        if decision.manifest is not None:
            return await self._graph.of_manifest(decision.manifest)
        return await self._graph.of(Digest(decision.reference.digest))

    async def _of_cosign_tags(self, subjects: Sequence[Digest]) -> Missing:
        found: list[Missing] = []
        for tag in chain.from_iterable(cosign_tags(subject) for subject in subjects):
            with failing_at(Side.SOURCE):
                exists = await self._source_tags.have(tag)
            if exists:
                decision = await self._decide(ArtifactReference(tag=tag))
                if decision.failure is not None:
                    raise CopyError(decision.failure)
                found.append(await self._of_artifact(decision))
        return merged(found)


def _planned(decision: Decision) -> PlannedReference:
    overwritten = decision.present if decision.action is Action.COPY else None
    return PlannedReference(
        reference=decision.reference,
        action=decision.action,
        failure=decision.failure,
        present_digest=overwritten.digest if overwritten else "",
    )
