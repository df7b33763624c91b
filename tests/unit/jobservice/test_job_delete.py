"""The handler that deletes tags."""

from datetime import UTC, datetime

from jobservice.delete import DeleteHandler
from jobservice.handlers import JobContext, JobLog
from jobservice.transfer import DeleteWork, Outcome, Progress
from service_kit.errors import Kind, RemoteError, ServiceError


class Registries:
    """Has some tags; others make it raise."""

    def __init__(self, tags: set[str], **errors: ServiceError) -> None:
        self.tags = tags
        self.errors = errors

    async def delete_tag(self, registry: str, repository: str, tag: str) -> None:
        if tag in self.errors:
            raise self.errors[tag]
        if tag not in self.tags:
            raise RemoteError.of(Kind.NOT_FOUND, reason="TAG_NOT_FOUND", message="No such tag.")
        self.tags.remove(tag)


def a_context(*tags: str) -> JobContext:
    work = DeleteWork(registry="registries/r", repository="library/nginx", tags=tags)
    log = JobLog(lambda: datetime(2026, 1, 1, tzinfo=UTC))
    return JobContext(key="a", fairness_group="policies/p", attempt=1, work=work, progress=Progress(), log=log)


async def test_tags_are_deleted_and_missing_ones_are_gone() -> None:
    registries = Registries({"1", "2", "other"})
    results = await DeleteHandler(registries).run(a_context("1", "2", "gone"))
    assert [result.outcome for result in results] == [Outcome.DELETED] * 3
    assert registries.tags == {"other"}


async def test_a_refusal_fails_its_tag_only() -> None:
    refusal = RemoteError.of(
        Kind.FAILED_PRECONDITION, reason="TAG_DELETION_UNSUPPORTED", message="Shared.", metadata={"tag": "1"}
    )
    context = a_context("1", "2")
    refused, deleted = await DeleteHandler(Registries({"2"}, **{"1": refusal})).run(context)

    assert (refused.outcome, deleted.outcome) == (Outcome.FAILED, Outcome.DELETED)
    assert refused.failure is not None
    assert (refused.failure.reason, refused.failure.retryable) == ("TAG_DELETION_UNSUPPORTED", False)
    assert context.progress.references_failed == 1
    assert [line.message for line in context.log.take()] == ["tag not deleted", "tag deleted"]


async def test_an_unreachable_service_is_worth_another_attempt() -> None:
    away = RemoteError.of(Kind.UNAVAILABLE, reason="SERVICE_UNAVAILABLE", message="Away.", retry_after_s=3)
    [result] = await DeleteHandler(Registries(set(), **{"1": away})).run(a_context("1"))
    assert result.failure is not None
    assert (result.failure.retryable, result.failure.metadata["retry_after_s"]) == (True, "3")
