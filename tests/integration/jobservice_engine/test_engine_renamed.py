"""A tag may be called otherwise at the destination."""

import pytest

from jobservice.engine.referrers import cosign_tags
from jobservice.transfer import ArtifactReference, Outcome, TransferOptions
from oci_client.digest import Digest
from oci_client.testing import FakeRegistry, an_artifact, an_image, an_index
from tests.engine_kit import Worker, calls, content, failure

REPOSITORY = "library/app"
IMAGE = an_image([b"layer"])
RENAMED = ArtifactReference(tag="1", destination_tag="app-1")


async def test_the_tag_is_looked_up_and_written_under_its_other_name(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push(REPOSITORY, IMAGE, "1")
    other = destination.push_image(REPOSITORY, "1", seed=9)

    [result] = await worker.job(override=False).copy(RENAMED)

    assert result.outcome is Outcome.COPIED
    assert (result.reference.tag, result.reference.tag_there) == ("1", "app-1")
    assert content(destination, REPOSITORY)[2] == {"1": other, "app-1": IMAGE.digest}


async def test_it_is_unchanged_when_the_other_tag_has_the_digest(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push(REPOSITORY, IMAGE, "1")
    destination.push(REPOSITORY, IMAGE, "app-1")

    [result] = await worker.job().copy(RENAMED)

    assert (result.outcome, result.reference.tag_there) == (Outcome.UNCHANGED, "app-1")
    assert calls(source) == calls(destination) == ["HEAD manifest"]


async def test_what_is_in_the_way_is_named_as_it_is_there(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push(REPOSITORY, IMAGE, "1")
    there = destination.push_image(REPOSITORY, "app-1", seed=9)

    results = await worker.job(override=False).copy(RENAMED)

    assert failure(results).reason == "TAG_EXISTS"
    assert failure(results).metadata == {"tag": "app-1", "present": there}
    assert content(destination, REPOSITORY)[2] == {"app-1": there}


async def test_a_digest_can_get_a_tag(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push(REPOSITORY, IMAGE)

    [result] = await worker.job().copy(ArtifactReference(digest=IMAGE.digest, destination_tag="found"))

    assert result.outcome is Outcome.COPIED
    assert content(destination, REPOSITORY)[2] == {"found": IMAGE.digest}


async def test_a_repository_can_be_tagged_in_its_place(source: FakeRegistry) -> None:
    source.push(REPOSITORY, IMAGE, "1")
    async with Worker(source, source) as worker:
        [result] = await worker.job().copy(RENAMED)

    assert result.outcome is Outcome.COPIED
    assert content(source, REPOSITORY)[2] == {"1": IMAGE.digest, "app-1": IMAGE.digest}
    # All that the manifest needs is there, since it was there before.
    assert calls(source) == ["GET manifest", "HEAD manifest", "HEAD manifest", "PUT manifest"]


async def test_signatures_stay_with_the_digest(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    cosign = cosign_tags(Digest(IMAGE.digest))[0]
    source.push(REPOSITORY, IMAGE, "1")
    source.push(REPOSITORY, an_image([b"signature"]), cosign)
    referrer = an_artifact("application/vnd.example.signature", subject=IMAGE)
    source.push(REPOSITORY, referrer)

    [result] = await worker.job(options=TransferOptions(referrers=True)).copy(RENAMED)

    assert result.outcome is Outcome.COPIED
    _, manifests, tags = content(destination, REPOSITORY)
    assert referrer.digest in manifests
    assert set(tags) == {"app-1", cosign}


@pytest.mark.parametrize("named_by", ["tag", "digest"])
async def test_a_part_of_an_index_is_found_again(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, named_by: str
) -> None:
    index = an_index(("amd64", "arm64"))
    source.push(REPOSITORY, index, "1")
    reference = RENAMED if named_by == "tag" else ArtifactReference(digest=index.digest)
    options = TransferOptions(platforms=("linux/arm64",))
    [copied] = await worker.job(options=options).copy(reference)
    _, manifests, _ = content(destination, REPOSITORY)
    destination.log.reset()

    [result] = await worker.job(options=options).copy(reference)

    assert copied.destination_digest not in {"", index.digest}
    assert copied.reference.digest == index.digest
    assert copied.destination_digest in manifests
    assert (result.outcome, result.destination_digest) == (Outcome.UNCHANGED, "")
    assert set(calls(destination)) == {"HEAD manifest"}
