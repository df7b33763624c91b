"""A plan tells what a copy does afterwards, and only asks."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from jobservice.engine.planning import AHEAD
from jobservice.engine.referrers import cosign_tags
from jobservice.transfer import Action as Planned
from jobservice.transfer import ArtifactReference, Outcome, PlannedReference, TransferOptions
from oci_client.digest import Digest
from oci_client.testing import (
    Action,
    Behaviour,
    BuiltManifest,
    FakeRegistry,
    Match,
    an_artifact,
    an_image,
    an_index,
    effects,
    index_of,
)
from tests.engine_kit import PLANNED_AT_ONCE, EngineJob, Worker, calls, content, failure, until

REPOSITORY = "library/app"
IMAGE = an_image([10, 2000, 300_000])
INDEX = an_index(("amd64", "arm64", "s390x"), attestation=True, seed=3)
SIGNED = an_artifact("application/vnd.example.signature", subject=IMAGE, seed=5)
COUNTERSIGNED = an_artifact("application/vnd.example.signature", subject=SIGNED, seed=6)
FOREIGN_TYPE = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def with_foreign_layer() -> BuiltManifest:
    """Its last layer lives in the registry too, under a type that says that it need not."""
    built = an_image([100, 5000], seed=8)
    document = json.loads(built.manifest)
    document["layers"][-1]["mediaType"] = FOREIGN_TYPE
    return BuiltManifest(media_type=built.media_type, manifest=json.dumps(document).encode(), blobs=built.blobs)


def to_move(plan: Sequence[PlannedReference]) -> tuple[int, int]:
    return sum(each.blobs_to_move for each in plan), sum(each.bytes_to_move for each in plan)


def moved(job: EngineJob) -> tuple[int, int]:
    progress = job.progress
    return progress.blobs_copied + progress.blobs_mounted, progress.bytes_copied + progress.bytes_mounted


@pytest.mark.parametrize(
    ("options", "present"),
    [
        (TransferOptions(), None),
        (TransferOptions(), an_image([10, 2000])),  # has two of the layers, under another tag
        (TransferOptions(), INDEX.children[0]),
        (TransferOptions(platforms=("linux/arm64", "linux/s390x")), an_image([77], seed=9)),
        (TransferOptions(referrers=True), None),
        (TransferOptions(referrers=True), IMAGE),
        (TransferOptions(referrers=True, referrer_types=("application/spdx+json",)), IMAGE),
    ],
    ids=["empty", "layers there", "child there", "platforms", "referrers", "unchanged with referrers", "types"],
)
@pytest.mark.parametrize("has_api", [True, False])
async def test_a_copy_moves_what_was_planned(
    options: TransferOptions, present: BuiltManifest | None, has_api: bool
) -> None:
    behaviour = Behaviour(referrers_api=has_api)
    async with FakeRegistry() as source, FakeRegistry(behaviour=behaviour) as destination:
        source.push(REPOSITORY, IMAGE, "1", "latest")
        source.push(REPOSITORY, INDEX, "2")
        source.push(REPOSITORY, index_of([INDEX, IMAGE]), "nested")
        source.push(REPOSITORY, SIGNED)
        source.push(REPOSITORY, COUNTERSIGNED)
        source.push(REPOSITORY, an_image([b"signature"], seed=4), cosign_tags(Digest(IMAGE.digest))[0])
        if present:
            destination.push(REPOSITORY, present, "1" if present is IMAGE else "there")
        tags = ("1", "latest", "2") if options.platforms else ("1", "latest", "2", "nested")
        async with Worker(source, destination) as worker:
            before = content(destination, REPOSITORY)
            plan = await worker.job(options=options).plan(*tags)
            assert {each.method for each in destination.requests} <= {"GET", "HEAD"}
            assert content(destination, REPOSITORY) == before
            assert source.log.count(action=Action.BLOB) == destination.log.count(action=Action.BLOB, method="GET") == 0

            job = worker.job(options=options)
            results = await job.copy(*tags)

    assert to_move(plan) == moved(job) > (0, 0)
    outcomes = {Planned.COPY: Outcome.COPIED, Planned.UNCHANGED: Outcome.UNCHANGED}
    assert [outcomes[each.action] for each in plan] == [each.outcome for each in results]
    assert [each.reference for each in plan] == [each.reference for each in results]


@pytest.mark.parametrize("is_wanted", [True, False])
async def test_foreign_layers_count_when_they_are_wanted(worker: Worker, source: FakeRegistry, is_wanted: bool) -> None:
    source.push(REPOSITORY, with_foreign_layer(), "1")
    options = TransferOptions(foreign_layers=is_wanted)

    plan = await worker.job(options=options).plan("1")
    job = worker.job(options=options)
    await job.copy("1")

    assert to_move(plan) == moved(job)
    assert plan[0].blobs_to_move == 2 + is_wanted


async def test_each_reference_is_told_with_its_reason(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    for tag in ("new", "same", "other"):
        source.push(REPOSITORY, IMAGE, tag)
    destination.push(REPOSITORY, IMAGE, "same")
    other = destination.push_image(REPOSITORY, "other", seed=7)

    new, same, skip, gone = await worker.job(override=False).plan("new", "same", "other", "gone")
    [overwritten] = await worker.job().plan("other")

    assert [each.action for each in (new, same, skip, gone)] == [
        Planned.COPY,
        Planned.UNCHANGED,
        Planned.SKIP,
        Planned.FAIL,
    ]
    assert skip.failure is not None
    assert skip.failure.reason == "TAG_EXISTS"
    assert gone.failure is not None
    assert (gone.failure.reason, gone.failure.side) == ("MANIFEST_UNKNOWN", "source")
    assert (new.present_digest, skip.present_digest, overwritten.present_digest) == ("", "", other)


async def test_a_digest_counts_for_the_first_that_brings_it(worker: Worker, source: FakeRegistry) -> None:
    source.push(REPOSITORY, an_image([b"shared", b"first"]), "1")
    source.push(REPOSITORY, an_image([b"shared", b"second"]), "2")

    first, second = await worker.job().plan("1", "2")

    assert (first.blobs_to_move, second.blobs_to_move) == (3, 2)


async def test_what_is_remembered_is_not_asked_for(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push(REPOSITORY, an_image([b"shared", b"first"]), "1")
    source.push(REPOSITORY, an_image([b"shared", b"second"]), "2")
    await worker.copy("1")
    destination.log.reset()

    [planned] = await worker.job().plan("2")

    assert planned.blobs_to_move == 2
    assert destination.log.count(action=Action.BLOB) == 2


async def test_another_tag_of_the_same_repository_moves_nothing(source: FakeRegistry) -> None:
    source.push(REPOSITORY, IMAGE, "1")
    async with Worker(source, source) as worker:
        [planned] = await worker.job().plan(ArtifactReference(tag="1", destination_tag="stable"))

    assert (planned.action, planned.reference.tag_there) == (Planned.COPY, "stable")
    assert to_move([planned]) == (0, 0)


async def test_a_backup_that_cannot_be_named_is_foreseen(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push(REPOSITORY, IMAGE, "1")
    destination.push_image(REPOSITORY, "1", seed=7)

    [planned] = await worker.job(backup_tag="{tag}").plan("1")
    results = await worker.job(backup_tag="{tag}").copy("1")

    assert planned.action is Planned.FAIL
    assert planned.failure == failure(results)


async def test_a_missing_part_fails_its_reference_and_takes_no_blob_from_the_next(
    worker: Worker, source: FakeRegistry
) -> None:
    broken = index_of([IMAGE, an_image([b"gone"], seed=4)])
    source.push(REPOSITORY, broken, "broken")
    source.push(REPOSITORY, IMAGE, "1")
    repository = source.store.find(REPOSITORY)
    assert repository is not None
    del repository.manifests[broken.children[1].digest]

    failed, copied = await worker.job().plan("broken", "1")

    assert failed.failure is not None
    assert (failed.action, failed.failure.reason) == (Planned.FAIL, "MANIFEST_UNKNOWN")
    assert (copied.action, copied.blobs_to_move) == (Planned.COPY, 4)


async def test_a_plan_looks_at_few_references_at_once(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    tags = [str(number) for number in range(2 * AHEAD)]
    source.push(REPOSITORY, IMAGE, *tags)
    stall = effects.Stall()
    source.misbehave(stall, match=Match(method="HEAD"))

    planning = asyncio.create_task(worker.job().plan(*tags))
    await until(lambda: source.log.in_flight() == PLANNED_AT_ONCE)
    stall.release()

    assert [each.reference.tag for each in await planning] == tags
    assert source.log.peak(Action.MANIFEST) == PLANNED_AT_ONCE


async def test_a_plan_that_is_cancelled_leaves_nothing_running(worker: Worker, source: FakeRegistry) -> None:
    source.push(REPOSITORY, IMAGE, "1", "2")
    source.misbehave(effects.Stall(), match=Match(method="HEAD"))
    planning = asyncio.create_task(worker.job().plan("1", "2"))
    await until(lambda: source.log.in_flight() == 2)

    planning.cancel()
    with pytest.raises(asyncio.CancelledError):
        await planning

    assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("plan ")] == []
    await until(lambda: not source.log.in_flight())


async def test_tags_of_one_digest_are_read_once(worker: Worker, source: FakeRegistry) -> None:
    source.push(REPOSITORY, IMAGE, "1", "latest")

    await worker.job().plan("1", "latest")

    assert calls(source).count("GET manifest") == 1
