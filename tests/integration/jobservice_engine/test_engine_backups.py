"""What is overwritten is kept under another tag, if that is asked for."""

import asyncio
from datetime import UTC, datetime

import pytest

from jobservice.engine.backups import BackupTags
from jobservice.engine.errors import CopyError
from jobservice.transfer import ArtifactReference, Outcome
from oci_client.testing import Action, BuiltManifest, FakeRegistry, Match, an_image, effects
from tests.engine_kit import Worker, calls, content, failure

REPOSITORY = "library/app"
NEW, OLD = an_image([b"new"]), an_image([b"old"], seed=1)


@pytest.fixture(autouse=True)
def pushed(source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push(REPOSITORY, NEW, "1")
    destination.push(REPOSITORY, OLD, "1")


def test_names() -> None:
    tags = BackupTags(
        "{tag}-{digest}-{date}-{time}", repository=REPOSITORY, now=lambda: datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
    )
    assert tags.name("1", "sha256:" + "0123456789abcdef" * 4) == "1-0123456789ab-20261124-153000"


@pytest.mark.parametrize("template", ["{tag}", "{tag}/{date}", "{nothing}"])
def test_no_name(template: str) -> None:
    with pytest.raises(CopyError) as caught:
        BackupTags(template, repository=REPOSITORY).name("1", OLD.digest)

    assert caught.value.failure.reason == "MAPPING_INVALID"
    assert caught.value.failure.metadata == {"repository": REPOSITORY, "tag": "1"}


async def test_what_is_overwritten_is_kept(worker: Worker, destination: FakeRegistry) -> None:
    [result] = await worker.job(backup_tag="{tag}-old").copy("1")

    assert (result.outcome, result.backup_tag) == (Outcome.COPIED, "1-old")
    assert content(destination, REPOSITORY)[2] == {"1": NEW.digest, "1-old": OLD.digest}
    # The old one's blobs stay where they are: two of the new one's were sent.
    assert destination.log.count(action=Action.UPLOAD, method="PUT") == 2


async def test_it_is_called_after_the_tag_that_it_had(worker: Worker, destination: FakeRegistry) -> None:
    destination.push(REPOSITORY, OLD, "app-1")

    [result] = await worker.job(backup_tag="{tag}-old").copy(ArtifactReference(tag="1", destination_tag="app-1"))

    assert result.backup_tag == "app-1-old"
    assert content(destination, REPOSITORY)[2] == {"1": OLD.digest, "app-1": NEW.digest, "app-1-old": OLD.digest}


async def test_a_backup_that_is_there_is_not_made_again(worker: Worker, destination: FakeRegistry) -> None:
    destination.push(REPOSITORY, OLD, "1-old")

    [result] = await worker.job(backup_tag="{tag}-old").copy("1")

    assert result.backup_tag == "1-old"
    assert calls(destination).count("PUT manifest") == 1


async def test_an_older_backup_gives_way(worker: Worker, destination: FakeRegistry) -> None:
    destination.push_image(REPOSITORY, "1-old", seed=7)

    await worker.job(backup_tag="{tag}-old").copy("1")

    assert content(destination, REPOSITORY)[2]["1-old"] == OLD.digest


async def test_nothing_is_kept_of_nothing(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push(REPOSITORY, NEW, "fresh")
    destination.push(REPOSITORY, NEW, "1")

    unchanged, fresh = await worker.job(backup_tag="{tag}-old").copy("1", "fresh")

    assert [unchanged.outcome, fresh.outcome] == [Outcome.UNCHANGED, Outcome.COPIED]
    assert (unchanged.backup_tag, fresh.backup_tag) == ("", "")
    assert set(content(destination, REPOSITORY)[2]) == {"1", "fresh"}


async def test_without_a_backup_nothing_is_overwritten(worker: Worker, destination: FakeRegistry) -> None:
    is_backup = Match(action=Action.MANIFEST, method="PUT", where=lambda request: request.reference == "1-old")
    destination.fail_next(409, code="TAG_ALREADY_EXISTS", match=is_backup)

    results = await worker.job(backup_tag="{tag}-old").copy("1")

    assert failure(results).reason == "TAG_IMMUTABLE"
    assert content(destination, REPOSITORY)[2] == {"1": OLD.digest}


async def test_a_name_that_cannot_be_costs_no_byte(worker: Worker, destination: FakeRegistry) -> None:
    results = await worker.job(backup_tag="{tag}").copy("1")

    assert failure(results).reason == "MAPPING_INVALID"
    assert content(destination, REPOSITORY)[2] == {"1": OLD.digest}
    assert calls(destination) == ["HEAD manifest"]


@pytest.mark.parametrize(
    ("moved_to", "kept"), [(an_image([b"newer"], seed=2), "1-old"), (NEW, "")], ids=["another", "the same"]
)
async def test_what_is_kept_is_what_is_there_at_the_end(
    worker: Worker, destination: FakeRegistry, moved_to: BuiltManifest, kept: str
) -> None:
    """The tag moves while blobs are on their way."""
    stall = effects.Stall()
    destination.misbehave(stall, match=Match(action=Action.UPLOAD, method="PUT"))
    copying = asyncio.create_task(worker.job(backup_tag="{tag}-old").copy("1"))
    await stall.reached()
    destination.push(REPOSITORY, moved_to, "1")
    stall.release()

    [result] = await copying

    assert result.backup_tag == kept
    assert content(destination, REPOSITORY)[2].get("1-old", "") == (moved_to.digest if kept else "")
