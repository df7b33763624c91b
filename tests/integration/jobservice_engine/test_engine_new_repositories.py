"""Into a repository that is new, nothing is looked for; into any other, everything is."""

from collections.abc import Sequence

import pytest

from jobservice.transfer import ArtifactReference, Outcome, ReferenceResult
from oci_client.testing import Action, FakeRegistry, Match, effects
from tests.engine_kit import Worker, content

TAGS = ("1", "2", "3", "4", "5")


def outcomes(results: Sequence[ReferenceResult]) -> list[Outcome]:
    return [each.outcome for each in results]


@pytest.fixture(autouse=True)
def images(source: FakeRegistry) -> dict[str, str]:
    """Different images at the source, and their digests."""
    return {tag: source.push_image("library/app", tag, seed=number) for number, tag in enumerate(TAGS)}


async def test_a_list_of_tags_takes_the_place_of_two_heads_a_tag(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    results = await worker.copy(*TAGS)

    assert outcomes(results) == [Outcome.COPIED] * len(TAGS)
    assert content(destination, "library/app") == content(source, "library/app")
    assert (source.log.count(method="HEAD"), destination.log.count(method="HEAD")) == (0, 0)
    assert destination.log.count(action=Action.TAGS) == 1


async def test_the_digest_at_the_source_is_told_all_the_same(worker: Worker, images: dict[str, str]) -> None:
    results = await worker.copy(*TAGS)

    assert {each.reference.tag: each.reference.digest for each in results} == images


async def test_what_a_job_has_brought_is_looked_for_by_the_next(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    await worker.copy(*TAGS)
    for registry in (source, destination):
        registry.log.reset()

    results = await worker.copy(*TAGS)

    assert outcomes(results) == [Outcome.UNCHANGED] * len(TAGS)
    assert (source.log.count(method="HEAD"), destination.log.count(method="HEAD")) == (len(TAGS), len(TAGS))
    assert destination.log.count(action=Action.TAGS) == 0


async def test_without_override_each_tag_is_looked_for(worker: Worker, destination: FakeRegistry) -> None:
    """Somebody may push a tag while others are on their way, and it must stay."""
    results = await worker.job(override=False).copy(*TAGS)

    assert outcomes(results) == [Outcome.COPIED] * len(TAGS)
    assert destination.log.count(method="HEAD", action=Action.MANIFEST) == len(TAGS)


async def test_a_registry_without_a_list_of_tags_does_not_count_as_empty(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, images: dict[str, str]
) -> None:
    """It answers 404 for the list of any repository: every run would copy everything."""
    for number, tag in enumerate(TAGS):
        assert destination.push_image("library/app", tag, seed=number) == images[tag]
    destination.misbehave(effects.answer_with(404, code="NOT_FOUND"), match=Match(action=Action.TAGS))

    results = await worker.copy(*TAGS)

    assert outcomes(results) == [Outcome.UNCHANGED] * len(TAGS)
    assert source.log.count(action=Action.BLOB) == 0


async def test_a_few_tags_are_not_worth_a_list(worker: Worker, destination: FakeRegistry) -> None:
    await worker.copy(*TAGS[:3])

    assert destination.log.count(action=Action.TAGS) == 0


async def test_a_tag_that_is_gone_fails_alone(worker: Worker, source: FakeRegistry) -> None:
    results = await worker.copy(*TAGS, "gone")

    assert outcomes(results) == [Outcome.COPIED] * len(TAGS) + [Outcome.FAILED]
    failure = results[-1].failure
    assert failure is not None
    assert failure.reason == "MANIFEST_UNKNOWN"


async def test_artifacts_without_tags_are_looked_for(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, images: dict[str, str]
) -> None:
    """No list of tags tells whether they are there."""
    references = [ArtifactReference(tag="", digest=digest) for digest in images.values()]
    await worker.job().copy(*references)
    source.log.reset()

    async with Worker(source, destination) as another:
        results = await another.job().copy(*references)

    assert outcomes(results) == [Outcome.UNCHANGED] * len(TAGS)
    assert source.log.count(action=Action.MANIFEST) == 0
