"""The handler that deletes tags."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from jobservice.delete import DELETIONS_AT_ONCE, DeleteHandler
from jobservice.engine.errors import CopyError
from jobservice.handlers import JobContext, JobLog
from jobservice.record import Record
from jobservice.transfer import ArtifactReference, DeleteWork, Failure, Outcome, Progress, ReferenceResult
from service_kit.errors import Kind, RemoteError, ServiceError


class Registries:
    """Has some tags with their digests; others make it raise."""

    def __init__(
        self,
        *tags: str,
        digests: Mapping[str, str] = MappingProxyType({}),
        errors: Mapping[str, ServiceError] = MappingProxyType({}),
    ) -> None:
        self.tags = dict.fromkeys(tags, "sha256:a") | dict(digests)
        self.errors = errors
        self.under_way = 0
        self.most_under_way = 0
        self.looked_at: list[str] = []
        self.along: dict[str, list[str]] = {}

    async def delete_tag(self, registry: str, repository: str, tag: str, *, along: Collection[str]) -> None:
        self.along[tag] = sorted(along)
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if tag in self.errors:
            raise self.errors[tag]
        if tag not in self.tags:
            raise RemoteError.of(Kind.NOT_FOUND, reason="TAG_NOT_FOUND", message="No such tag.")
        del self.tags[tag]

    async def digest_of(self, registry: str, repository: str, tag: str) -> str | None:
        self.looked_at.append(tag)
        if tag in self.errors:
            raise CopyError(Failure(reason="REGISTRY_FAULT", message="Out of order.", retryable=True))
        return self.tags.get(tag)


def a_context(*references: str | ArtifactReference, earlier: Sequence[ReferenceResult] = ()) -> JobContext:
    given = [each if isinstance(each, ArtifactReference) else ArtifactReference(tag=each) for each in references]
    work = DeleteWork(registry="registries/r", repository="library/nginx", references=tuple(given))
    return JobContext(
        key="a",
        fairness_group="policies/p",
        attempt=1,
        work=work,
        progress=Progress(),
        record=Record(work.references, earlier),
        log=JobLog(lambda: datetime(2026, 1, 1, tzinfo=UTC)),
    )


def handler(registries: Registries) -> DeleteHandler:
    return DeleteHandler(registries, registries)


async def test_tags_are_deleted_and_one_that_is_gone_is_done_with() -> None:
    registries = Registries("1", "2", "other")
    context = a_context("1", "2", "gone")
    results = await handler(registries).run(context)
    assert [result.outcome for result in results] == [Outcome.DELETED, Outcome.DELETED, Outcome.UNCHANGED]
    assert list(registries.tags) == ["other"]
    assert registries.looked_at == []
    done = context.progress
    assert (done.references_total, done.references_deleted, done.references_unchanged) == (3, 2, 1)


async def test_a_tag_is_deleted_only_while_it_has_its_digest() -> None:
    registries = Registries(digests={"same": "sha256:a", "moved": "sha256:b"})
    references = [ArtifactReference(tag=tag, digest="sha256:a") for tag in ("same", "moved", "gone")]
    context = a_context(*references)

    same, moved, gone = await handler(registries).run(context)

    assert [same.outcome, moved.outcome, gone.outcome] == [Outcome.DELETED, Outcome.SKIPPED, Outcome.UNCHANGED]
    assert moved.failure is not None
    assert moved.failure.reason == "TAG_CHANGED"
    assert moved.failure.metadata == {"tag": "moved", "expected": "sha256:a", "present": "sha256:b"}
    assert registries.tags == {"moved": "sha256:b"}
    assert context.progress.references_skipped == 1


async def test_what_an_earlier_attempt_has_deleted_is_deleted() -> None:
    """Also when the tag has been pushed again since."""
    registries = Registries("1", "2")
    first = a_context("1", "2")
    assert [each.outcome for each in await handler(registries).run(first)] == [Outcome.DELETED, Outcome.DELETED]
    again = a_context("1", "2", "3", earlier=first.record.take())
    registries.tags["2"] = "sha256:b"

    results = await handler(registries).run(again)

    assert [result.outcome for result in results] == [Outcome.DELETED, Outcome.DELETED, Outcome.UNCHANGED]
    assert list(registries.tags) == ["2"]
    assert (again.progress.references_deleted, again.progress.references_unchanged) == (2, 1)
    assert again.record.take() == ()


async def test_tags_that_go_together_are_told_with_each_and_no_other() -> None:
    """Not one that goes with another digest only, nor one that was pushed after an earlier attempt deleted it."""
    registries = Registries(digests={"1": "sha256:a", "same": "sha256:a", "other": "sha256:b", "any": "sha256:a"})
    references = [
        ArtifactReference(tag=tag, digest=digest) for tag, digest in (("1", "sha256:a"), ("same", "sha256:a"))
    ]
    references += [ArtifactReference(tag="other", digest="sha256:b"), ArtifactReference(tag="any")]
    back = ReferenceResult(reference=ArtifactReference(tag="back"), outcome=Outcome.DELETED)

    await handler(registries).run(a_context(*references, "back", earlier=[back]))

    assert registries.along == {"1": ["any", "same"], "same": ["1", "any"], "other": ["any"], "any": []}


async def test_some_tags_go_side_by_side_and_no_more() -> None:
    tags = [str(number) for number in range(3 * DELETIONS_AT_ONCE)]
    registries = Registries(*tags)
    results = await handler(registries).run(a_context(*tags))
    assert [result.reference.tag for result in results] == tags
    assert registries.most_under_way == DELETIONS_AT_ONCE


async def test_a_refusal_fails_its_tag_only() -> None:
    refusal = RemoteError.of(
        Kind.FAILED_PRECONDITION, reason="TAG_DELETION_UNSUPPORTED", message="Shared.", metadata={"tag": "1"}
    )
    context = a_context("1", "2")
    refused, deleted = await handler(Registries("2", errors={"1": refusal})).run(context)

    assert (refused.outcome, deleted.outcome) == (Outcome.FAILED, Outcome.DELETED)
    assert refused.failure is not None
    assert (refused.failure.reason, refused.failure.retryable) == ("TAG_DELETION_UNSUPPORTED", False)
    assert context.progress.references_failed == 1
    assert [line.message for line in context.log.take()] == ["tag not deleted", "tag deleted"]


async def test_an_unreachable_service_is_worth_another_attempt() -> None:
    away = RemoteError.of(Kind.UNAVAILABLE, reason="SERVICE_UNAVAILABLE", message="Away.", retry_after_s=3)
    [result] = await handler(Registries(errors={"1": away})).run(a_context("1"))
    assert result.failure is not None
    assert (result.failure.retryable, result.failure.metadata["retry_after_s"]) == (True, "3")


async def test_a_tag_that_cannot_be_looked_up_is_not_deleted() -> None:
    registries = Registries("1", errors={"1": RemoteError.of(Kind.INTERNAL, message="Not to be asked.")})
    [result] = await handler(registries).run(a_context(ArtifactReference(tag="1", digest="sha256:a")))
    assert result.failure is not None
    assert (result.outcome, result.failure.reason) == (Outcome.FAILED, "REGISTRY_FAULT")
    assert result.failure.retryable
    assert list(registries.tags) == ["1"]
