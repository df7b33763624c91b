"""The handler that deletes tags."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from jobservice.engine.errors import CopyError
from jobservice.handlers import JobContext
from jobservice.retry import RETRY_AFTER
from jobservice.transfer import ArtifactReference, DeleteWork, Failure, Outcome, ReferenceResult, Side
from service_kit.errors import Kind, ServiceError

DELETIONS_AT_ONCE: Final = 8  # of one job; where only digests can be deleted each asks for many other tags

# Another attempt may find these mended; the others say that the request itself will not do.
_RETRYABLE_KINDS: Final = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE_EXCEEDED, Kind.RESOURCE_EXHAUSTED, Kind.INTERNAL})
_RETRYABLE_REASONS: Final = frozenset({"REGISTRY_UNREACHABLE", "RATE_LIMITED", "REGISTRY_FAULT"})
_GONE: Final = "TAG_NOT_FOUND"


class TagDeleter(Protocol):
    async def delete_tag(self, registry: str, repository: str, tag: str, *, along: Collection[str]) -> None: ...


class TagReader(Protocol):
    async def digest_of(self, registry: str, repository: str, tag: str) -> str | None: ...


class DeleteHandler:
    """Deletes tags, each for itself. One that stands for another digest than it was to be deleted with stays."""

    def __init__(self, deleter: TagDeleter, reader: TagReader) -> None:
        self._deleter = deleter
        self._reader = reader

    async def run(self, context: JobContext) -> Sequence[ReferenceResult]:
        """Delete some side by side, and tell for each how it ended."""
        work = context.work
        assert isinstance(work, DeleteWork)
        context.progress.references_total = len(work.references)
        places = asyncio.Semaphore(DELETIONS_AT_ONCE)
        # What an earlier attempt has deleted and is there again must not go once more.
        leaving = [each for each in work.references if context.record.earlier(each) is None]

        async def settle(reference: ArtifactReference) -> ReferenceResult:
            async with places:
                return await self._settle(context, work, reference, _along(reference, leaving))

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(settle(each), name=f"delete {each}") for each in work.references]
        return [task.result() for task in tasks]

    async def _settle(
        self, context: JobContext, work: DeleteWork, reference: ArtifactReference, along: Collection[str]
    ) -> ReferenceResult:
        if (earlier := context.record.earlier(reference)) is not None:
            context.progress.references_deleted += 1
            return earlier  # whoever has pushed the tag since means it to be there
        try:
            result = await self._delete(work, reference, along)
        except ServiceError as error:
            result = ReferenceResult(reference=reference, outcome=Outcome.FAILED, failure=_to_failure(error))
        except CopyError as error:
            result = ReferenceResult(reference=reference, outcome=Outcome.FAILED, failure=error.failure)
        if result.outcome is Outcome.DELETED:
            context.record.note(result)
        _tell(context, work, result)
        return result

    async def _delete(self, work: DeleteWork, reference: ArtifactReference, along: Collection[str]) -> ReferenceResult:
        gone = ReferenceResult(reference=reference, outcome=Outcome.UNCHANGED)
        if reference.digest:
            # A tag that is moved between this look and the deletion is lost: no request of the protocol guards that.
            present = await self._reader.digest_of(work.registry, work.repository, reference.tag)
            if present is None:
                return gone
            if present != reference.digest:
                changed = _tag_changed(reference, present)
                return ReferenceResult(reference=reference, outcome=Outcome.SKIPPED, failure=changed)
        try:
            await self._deleter.delete_tag(work.registry, work.repository, reference.tag, along=along)
        except ServiceError as error:
            if error.reason != _GONE:
                raise
            return gone
        return ReferenceResult(reference=reference, outcome=Outcome.DELETED)


def _along(reference: ArtifactReference, leaving: Sequence[ArtifactReference]) -> list[str]:
    """The tags that may go with the digest of this one: those that go whatever they stand for, or just with that."""
    return [each.tag for each in leaving if each is not reference and each.digest in {"", reference.digest}]


def _tell(context: JobContext, work: DeleteWork, result: ReferenceResult) -> None:
    about = {"repository": work.repository, "tag": result.reference.tag}
    match result.outcome:
        case Outcome.DELETED:
            context.progress.references_deleted += 1
            context.log.info("tag deleted", **about)
        case Outcome.UNCHANGED:
            context.progress.references_unchanged += 1
            context.log.info("tag is gone already", **about)
        case Outcome.SKIPPED:
            context.progress.references_skipped += 1
            context.log.warning("tag not deleted", **about, error=result.failure and result.failure.message)
        case _:
            context.progress.references_failed += 1
            context.log.error("tag not deleted", **about, error=result.failure and result.failure.message)


def _tag_changed(reference: ArtifactReference, present: str) -> Failure:
    return Failure(
        reason="TAG_CHANGED",
        message=f"{reference.tag} stands for {present} by now and not for {reference.digest}, so it stays.",
        side=Side.DESTINATION,
        metadata={"tag": reference.tag, "expected": reference.digest, "present": present},
    )


def _to_failure(error: ServiceError) -> Failure:
    asked = {} if error.retry_after_s is None else {RETRY_AFTER: str(error.retry_after_s)}
    return Failure(
        reason=error.reason or "INTERNAL",
        message=error.message,
        side=Side.DESTINATION,
        retryable=error.kind in _RETRYABLE_KINDS or error.reason in _RETRYABLE_REASONS,
        metadata={**error.metadata, **asked},
    )
