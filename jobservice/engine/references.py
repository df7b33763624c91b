"""Decides for each reference of a job what is to be done, and does it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from jobservice.engine.backups import BackupTags, TagBackup
from jobservice.engine.decisions import Decider, Decision, first_failure
from jobservice.engine.errors import CopyError, failing_at
from jobservice.engine.graph import GraphCopier
from jobservice.engine.lookups import at_destination, source_manifest
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import Log, Record
from jobservice.engine.referrer_lists import SourceReferrers
from jobservice.engine.referrers import ReferrerCopier, cosign_tags
from jobservice.engine.tags import SourceTags
from jobservice.engine.transfer import Route
from jobservice.transfer import (
    Action,
    ArtifactReference,
    Outcome,
    Progress,
    ReferenceResult,
    Side,
    TransferOptions,
)
from oci_client.digest import Digest
from oci_client.manifest import Descriptor, Manifest

AS_THEY_ARE: Final = TransferOptions()
# From so many on, a list of the destination's tags costs less than to look for each, if there turn out to be none.
LIST_FIRST_REFERENCES: Final = 4
REFERENCES_AT_ONCE: Final = 32  # of one job; the gates of the registries decide how many requests that makes


_Settle = Callable[[ArtifactReference], Awaitable[tuple[Decision, ReferenceResult]]]


class ReferenceCopier:
    """Copies references from one repository to another, each for itself: one that fails leaves the others alone."""

    def __init__(
        self,
        route: Route,
        graph: GraphCopier,
        *,
        novelty: Novelty,
        override: bool,
        options: TransferOptions = AS_THEY_ARE,
        backup_tag: str = "",
        progress: Progress,
        record: Record,
        log: Log,
    ) -> None:
        self._route = route
        self._graph = graph
        self._novelty = novelty
        self._override = override
        self._decider = Decider(route, override=override, platforms=options.platforms)
        self._options = options
        self._progress = progress
        self._record = record
        self._log = log
        self._source_tags = SourceTags(route.source, route.source_repository)
        at_source = SourceReferrers(route, self._source_tags, types=options.referrer_types)
        self._referrers = ReferrerCopier(route, graph, at_source, log=log)
        self._backup_tags = BackupTags(backup_tag, repository=route.destination_repository) if backup_tag else None
        self._places = asyncio.Semaphore(REFERENCES_AT_ONCE)

    async def copy(self, references: Sequence[ArtifactReference]) -> list[ReferenceResult]:
        """Copy them side by side and tell how each ended."""
        self._progress.references_total += len(references)
        settle = self._bring if await self._may_skip_looking(references) else self._settle
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._copy_one(each, settle), name=f"copy {each}") for each in references]
        return [task.result() for task in tasks]

    async def _may_skip_looking(self, references: Sequence[ArtifactReference]) -> bool:
        """Tell whether each of them is missing at the destination for sure, or may be overwritten if it comes up."""
        if not self._override or self._options.platforms or len(references) < LIST_FIRST_REFERENCES:
            return False
        # A list of tags does not tell of what has none.
        return all(each.tag_there for each in references) and await self._novelty.is_surely_new()

    async def _copy_one(self, reference: ArtifactReference, settle: _Settle) -> ReferenceResult:
        async with self._places:
            before = self._done_before(reference)
            try:
                decision, result = before or await settle(reference)
                if self._options.referrers and result.failure is None:
                    await self._copy_referrers(decision)
            except* CopyError as errors:
                failure = first_failure(errors)
                result = ReferenceResult(reference=reference, outcome=Outcome.FAILED, failure=failure)
        self._count(result)
        if before is None or result.failure is not None:
            self._tell(result)
        return result

    def _done_before(self, reference: ArtifactReference) -> tuple[Decision, ReferenceResult] | None:
        """Return what an earlier attempt has made of it. What became of the tag since is the next job's business."""
        earlier = self._record.earlier(reference)
        if earlier is None or earlier.outcome is not Outcome.COPIED:
            return None
        return Decision(reference=earlier.reference, action=Action.UNCHANGED), earlier

    def _begun_before(self, reference: ArtifactReference, present: Descriptor | None) -> ReferenceResult | None:
        """Return what an earlier attempt was about to write when it ended, if that is what is there."""
        earlier = self._record.earlier(reference)
        return earlier if earlier and present and present.digest == earlier.digest_there else None

    async def _settle(self, reference: ArtifactReference) -> tuple[Decision, ReferenceResult]:
        """Bring one reference to the destination, unless it is there or must not go there."""
        decision = await self._decider.decide(reference)
        found = decision.reference
        begun = self._begun_before(found, decision.present)
        if begun is not None and decision.action is not Action.COPY:
            result = replace(begun, outcome=Outcome.COPIED)
            self._record.note(result)
            return Decision(reference=begun.reference, action=Action.UNCHANGED, present=decision.present), result
        match decision.action:
            case Action.UNCHANGED:
                return decision, ReferenceResult(reference=found, outcome=Outcome.UNCHANGED)
            case Action.SKIP:
                return decision, ReferenceResult(reference=found, outcome=Outcome.SKIPPED, failure=decision.failure)
            case _:
                return await self._copied(decision)

    async def _bring(self, reference: ArtifactReference) -> tuple[Decision, ReferenceResult]:
        """Bring one reference to a destination that has none, without looking for it there, nor for its digest here."""
        manifest = await source_manifest(self._route, str(reference))
        found = replace(reference, digest=manifest.digest)
        return await self._copied(Decision(reference=found, action=Action.COPY, manifest=manifest))

    async def _copied(self, decision: Decision) -> tuple[Decision, ReferenceResult]:
        """Copy, and return the decision with what was copied: somebody may have moved the tag since."""
        found = decision.reference
        manifest = decision.manifest or await source_manifest(self._route, str(found))
        kept = await self._kept(decision, manifest)
        copied = found if self._options.platforms else replace(found, digest=manifest.digest)
        there = "" if manifest.digest == copied.digest else manifest.digest
        result = ReferenceResult(reference=copied, outcome=Outcome.COPIED, backup_tag=kept, destination_digest=there)
        self._record.note(replace(result, outcome=Outcome.STOPPED))
        if kept:
            # Or a later attempt would not know our own write, and keep it in place of what is kept now.
            await self._record.stored()
        await self._graph.push(manifest, found.tag_there or manifest.digest)
        self._record.note(result)
        self._novelty.end()
        return replace(decision, reference=copied, manifest=manifest), result

    async def _kept(self, decision: Decision, manifest: Manifest) -> str:
        """Keep what is about to be overwritten, and return under which tag; empty for nothing."""
        tag = decision.reference.tag_there
        if self._backup_tags is None or not tag:
            return ""
        if decision.present is not None:
            self._backup_tags.name(tag, decision.present.digest)  # what cannot be named fails before any byte moves
        await self._graph.bring(manifest)
        # Looked up again: the blobs may have taken hours. What is pushed between this look and ours is lost; no request
        # of the protocol guards that.
        present = await at_destination(self._route, tag)
        if (begun := self._begun_before(decision.reference, present)) is not None:
            return begun.backup_tag
        if present is None or present.digest == manifest.digest:
            return ""
        return await TagBackup(self._route, self._backup_tags, log=self._log).keep(tag, present.digest)

    async def _copy_referrers(self, decision: Decision) -> None:
        """Copy what refers to an artifact that is at the destination, and to the images of an index."""
        subjects = await self._decider.subjects(decision)
        if (subject := decision.reference.digest) not in subjects:
            self._log.warning("signatures of the whole index are left out: they do not cover a part", digest=subject)
        await self._referrers.copy(subjects)
        await self._copy_cosign_tags(subjects)

    async def _copy_cosign_tags(self, subjects: Sequence[Digest]) -> None:
        for tag in chain.from_iterable(cosign_tags(subject) for subject in subjects):
            with failing_at(Side.SOURCE):
                exists = await self._source_tags.have(tag)
            if exists:
                _, result = await self._settle(ArtifactReference(tag=tag))
                if result.failure is not None:
                    raise CopyError(result.failure)
                self._log.info("cosign tag " + result.outcome.value, tag=tag)

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
        reference = result.reference
        about = {"tag": reference.tag, "digest": reference.digest}
        if reference.tag_there != reference.tag:
            about["destination_tag"] = reference.tag_there
        if result.backup_tag:
            about["backup_tag"] = result.backup_tag
        if result.failure is None:
            self._log.info(result.outcome.value, **about)
        elif result.outcome is Outcome.SKIPPED:
            self._log.warning(result.failure.message, **about, reason=result.failure.reason)
        else:
            self._log.error(result.failure.message, **about, reason=result.failure.reason)
