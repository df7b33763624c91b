"""What an earlier attempt of the same job has done is this job's doing, however that attempt ended."""

import asyncio

import pytest

from jobservice.transfer import ArtifactReference, Outcome, ReferenceResult, TransferOptions
from oci_client.testing import Action, BuiltManifest, FakeRegistry, Match, an_artifact, an_image, an_index, effects
from oci_client.testing.messages import Handler, Reply, Request
from tests.engine_kit import MemoryRecord, Worker, calls, content

REPOSITORY = "library/app"
OLD, NEW, NEWER = an_image([b"old"]), an_image([b"new"], seed=1), an_image([b"newer"], seed=2)
KEPT = "{tag}-old"


def killed_after_the_write(record: MemoryRecord) -> MemoryRecord:
    """For the next attempt: the worker wrote, and was killed before it could store that it had."""
    return MemoryRecord(*[each for each in record.noted if each.outcome is Outcome.STOPPED])


async def begun(worker: Worker, *, override: bool = True, backup_tag: str = "") -> MemoryRecord:
    """An attempt that has copied tag 1 and was killed then."""
    job = worker.job(override=override, backup_tag=backup_tag)
    [result] = await job.copy("1")
    assert result.outcome is Outcome.COPIED
    return killed_after_the_write(job.record)


@pytest.fixture
async def overwrites(source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push(REPOSITORY, NEW, "1")
    destination.push(REPOSITORY, OLD, "1")


async def test_what_was_copied_is_not_done_again(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    for seed, tag in enumerate(("1", "2", "3")):
        source.push_image(REPOSITORY, tag, seed=seed)
    fails = Match(action=Action.MANIFEST, method="PUT", where=lambda request: request.reference == "2")
    destination.misbehave(effects.answer_with(403), match=fails)
    first = worker.job()
    outcomes = [each.outcome for each in await first.copy("1", "2", "3")]
    assert outcomes == [Outcome.COPIED, Outcome.FAILED, Outcome.COPIED]
    destination.behave()
    asked = len(source.requests), len(destination.requests)

    again = worker.job(record=first.record.next())
    results = await again.copy("1", "2", "3")

    assert [each.outcome for each in results] == [Outcome.COPIED] * 3
    assert {each.reference.tag: each.reference.digest for each in results} == content(source, REPOSITORY)[2]
    assert (again.progress.references_total, again.progress.references_copied) == (3, 3)
    assert again.log.messages("info") == ["copied"]
    new = [*source.requests[asked[0] :], *destination.requests[asked[1] :]]
    assert {each.path.rpartition("/")[2] for each in new if each.action is Action.MANIFEST} == {"2"}


@pytest.mark.parametrize("override", [True, False])
async def test_what_became_of_the_tag_since_is_left_to_the_next_job(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, override: bool
) -> None:
    source.push(REPOSITORY, NEW, "1")
    first = worker.job(override=override)
    await first.copy("1")
    source.push(REPOSITORY, NEWER, "1")

    [result] = await worker.job(override=override, record=first.record.next()).copy("1")

    assert (result.outcome, result.reference.digest) == (Outcome.COPIED, NEW.digest)
    assert content(destination, REPOSITORY)[2] == {"1": NEW.digest}


@pytest.mark.parametrize("override", [True, False])
async def test_what_was_being_written_and_is_there_was_written(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, override: bool
) -> None:
    source.push(REPOSITORY, NEW, "1")
    record = await begun(worker, override=override)

    [result] = await worker.job(override=override, record=record).copy("1")

    assert result == ReferenceResult(reference=ArtifactReference(tag="1", digest=NEW.digest), outcome=Outcome.COPIED)
    assert calls(destination).count("PUT manifest") == 1
    assert record.noted == [result]


async def test_what_was_being_written_is_copied_anew_when_the_source_has_moved(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push(REPOSITORY, NEW, "1")
    record = await begun(worker)
    source.push(REPOSITORY, NEWER, "1")

    [result] = await worker.job(record=record).copy("1")

    assert (result.outcome, result.reference.digest) == (Outcome.COPIED, NEWER.digest)
    assert content(destination, REPOSITORY)[2] == {"1": NEWER.digest}


async def test_our_own_write_is_not_in_the_way_of_one_that_must_not_override(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push(REPOSITORY, NEW, "1")
    record = await begun(worker, override=False)
    source.push(REPOSITORY, NEWER, "1")

    [result] = await worker.job(override=False, record=record).copy("1")

    assert (result.outcome, result.reference.digest) == (Outcome.COPIED, NEW.digest)
    assert content(destination, REPOSITORY)[2] == {"1": NEW.digest}


async def test_what_was_there_before_is_no_write_of_ours(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    """Killed before the write; somebody else has pushed meanwhile."""
    source.push(REPOSITORY, NEW, "1")
    other = worker.job(to="library/other")
    await other.copy("1")
    source.push(REPOSITORY, NEWER, "1")
    destination.push(REPOSITORY, NEWER, "1")

    [result] = await worker.job(record=killed_after_the_write(other.record)).copy("1")

    assert result.outcome is Outcome.UNCHANGED


@pytest.mark.usefixtures("overwrites")
async def test_the_tag_of_the_backup_is_not_forgotten(worker: Worker, destination: FakeRegistry) -> None:
    record = await begun(worker, backup_tag=KEPT)

    [result] = await worker.job(backup_tag=KEPT, record=record).copy("1")

    assert (result.outcome, result.backup_tag) == (Outcome.COPIED, "1-old")
    assert content(destination, REPOSITORY)[2] == {"1": NEW.digest, "1-old": OLD.digest}


@pytest.mark.usefixtures("overwrites")
async def test_our_own_write_is_not_kept_in_place_of_what_was_there(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    record = await begun(worker, backup_tag=KEPT)
    source.push(REPOSITORY, NEWER, "1")

    [result] = await worker.job(backup_tag=KEPT, record=record).copy("1")

    assert (result.outcome, result.backup_tag) == (Outcome.COPIED, "1-old")
    assert content(destination, REPOSITORY)[2] == {"1": NEWER.digest, "1-old": OLD.digest}


@pytest.mark.usefixtures("overwrites")
async def test_killed_between_the_backup_and_the_write(worker: Worker, destination: FakeRegistry) -> None:
    record = await begun(worker, backup_tag=KEPT)
    destination.push(REPOSITORY, OLD, "1")  # as if it had not come to the write

    [result] = await worker.job(backup_tag=KEPT, record=record).copy("1")

    assert (result.outcome, result.backup_tag) == (Outcome.COPIED, "1-old")
    assert content(destination, REPOSITORY)[2] == {"1": NEW.digest, "1-old": OLD.digest}


@pytest.mark.usefixtures("overwrites")
async def test_what_somebody_else_has_pushed_meanwhile_is_kept(worker: Worker, destination: FakeRegistry) -> None:
    record = await begun(worker, backup_tag="{tag}-{digest}")
    destination.push(REPOSITORY, NEWER, "1")

    [result] = await worker.job(backup_tag="{tag}-{digest}", record=record).copy("1")

    assert result.backup_tag == f"1-{NEWER.digest.removeprefix('sha256:')[:12]}"
    assert set(content(destination, REPOSITORY)[2].values()) == {NEW.digest, OLD.digest, NEWER.digest}


@pytest.mark.usefixtures("overwrites")
async def test_nothing_that_is_kept_is_overwritten_before_that_is_stored(
    worker: Worker, destination: FakeRegistry
) -> None:
    job = worker.job(backup_tag=KEPT)
    job.record.is_there.clear()
    copying = asyncio.create_task(job.copy("1"))
    async with asyncio.timeout(10):
        await job.record.waits.wait()
    assert content(destination, REPOSITORY)[2] == {"1": OLD.digest, "1-old": OLD.digest}
    [announced] = job.record.noted
    assert (announced.outcome, announced.backup_tag, announced.digest_there) == (Outcome.STOPPED, "1-old", NEW.digest)

    job.record.is_there.set()

    [result] = await copying
    assert result.outcome is Outcome.COPIED
    assert content(destination, REPOSITORY)[2] == {"1": NEW.digest, "1-old": OLD.digest}


async def test_a_stop_leaves_what_was_being_written(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    """The registry has taken it, and its answer came too late for the attempt."""
    source.push(REPOSITORY, NEW, "1")
    taken = asyncio.Event()

    async def never_answer(request: Request, handler: Handler) -> Reply:
        await handler(request)
        taken.set()
        await asyncio.Event().wait()
        raise AssertionError("it waits for ever")

    destination.misbehave(never_answer, match=Match(action=Action.MANIFEST, method="PUT"), times=1)
    job = worker.job()
    copying = asyncio.create_task(job.copy("1"))
    await taken.wait()
    copying.cancel()
    await asyncio.wait([copying])

    [result] = await worker.job(record=job.record.next()).copy("1")

    assert (result.outcome, result.reference.digest) == (Outcome.COPIED, NEW.digest)


async def test_an_index_without_some_platforms(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push(REPOSITORY, an_index(("amd64", "arm64")), "1")
    options = TransferOptions(platforms=("linux/arm64",))
    first = worker.job(options=options)
    [copied] = await first.copy("1")
    assert copied.destination_digest

    [again] = await worker.job(options=options, record=killed_after_the_write(first.record)).copy("1")

    assert again == copied
    assert content(destination, REPOSITORY)[2] == {"1": copied.destination_digest}


async def test_signatures_that_failed_follow_what_was_copied(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    signature: BuiltManifest = an_artifact("application/vnd.example.signature", subject=NEW)
    source.push(REPOSITORY, NEW, "1")
    source.push(REPOSITORY, signature)
    is_signature = Match(action=Action.MANIFEST, method="PUT", where=lambda request: request.reference != "1")
    destination.misbehave(effects.answer_with(403), match=is_signature)
    options = TransferOptions(referrers=True)
    first = worker.job(options=options)
    [failed] = await first.copy("1")
    assert failed.outcome is Outcome.FAILED
    destination.behave()

    [result] = await worker.job(options=options, record=first.record.next()).copy("1")

    assert result.outcome is Outcome.COPIED
    assert signature.digest in content(destination, REPOSITORY)[1]
