"""The handler that deletes tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from jobservice.handlers import JobContext
from jobservice.retry import RETRY_AFTER
from jobservice.transfer import ArtifactReference, DeleteWork, Failure, Outcome, ReferenceResult, Side
from service_kit.errors import Kind, ServiceError

# Another attempt may find these mended; the others say that the request itself will not do.
_RETRYABLE_KINDS: Final = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE_EXCEEDED, Kind.RESOURCE_EXHAUSTED, Kind.INTERNAL})
_RETRYABLE_REASONS: Final = frozenset({"REGISTRY_UNREACHABLE", "RATE_LIMITED", "REGISTRY_FAULT"})
_GONE: Final = "TAG_NOT_FOUND"


class TagDeleter(Protocol):
    async def delete_tag(self, registry: str, repository: str, tag: str) -> None: ...


class DeleteHandler:
    """Deletes tags one by one; a tag that is gone already is as good as deleted."""

    def __init__(self, registries: TagDeleter) -> None:
        self._registries = registries

    async def run(self, context: JobContext) -> Sequence[ReferenceResult]:
        work = context.work
        assert isinstance(work, DeleteWork)
        context.progress.references_total = len(work.tags)
        return [await self._delete(context, work, tag) for tag in work.tags]

    async def _delete(self, context: JobContext, work: DeleteWork, tag: str) -> ReferenceResult:
        reference = ArtifactReference(tag=tag)
        failure = await self._failure(work, tag)
        if failure is None:
            context.log.info("tag deleted", repository=work.repository, tag=tag)
            return ReferenceResult(reference=reference, outcome=Outcome.DELETED)
        context.progress.references_failed += 1
        context.log.error("tag not deleted", repository=work.repository, tag=tag, error=failure.message)
        return ReferenceResult(reference=reference, outcome=Outcome.FAILED, failure=failure)

    async def _failure(self, work: DeleteWork, tag: str) -> Failure | None:
        """What went wrong with the deletion, if anything did."""
        try:
            await self._registries.delete_tag(work.registry, work.repository, tag)
        except ServiceError as error:
            return None if error.reason == _GONE else _to_failure(error)
        return None


def _to_failure(error: ServiceError) -> Failure:
    asked = {} if error.retry_after_s is None else {RETRY_AFTER: str(error.retry_after_s)}
    return Failure(
        reason=error.reason or "INTERNAL",
        message=error.message,
        side=Side.DESTINATION,
        retryable=error.kind in _RETRYABLE_KINDS or error.reason in _RETRYABLE_REASONS,
        metadata={**error.metadata, **asked},
    )
