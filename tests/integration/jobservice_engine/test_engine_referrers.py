"""Signatures, SBOMs and the like travel with what they refer to, whichever way the two registries list them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from jobservice.engine.referrer_lists import fallback_tag
from jobservice.engine.referrers import cosign_tags
from jobservice.transfer import ArtifactReference, Outcome, TransferOptions
from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.http import HttpClient
from oci_client.manifest import ImageIndex
from oci_client.testing import Action, Behaviour, BuiltManifest, FakeRegistry, an_artifact, an_image, an_index, index_of
from tests.engine_kit import Worker, calls, content, failure

REPOSITORY = "library/app"
WITH_REFERRERS = TransferOptions(referrers=True)
SIGNATURE = "application/vnd.example.signature"
SBOM = "application/spdx+json"

IMAGE = an_image([b"layer"])
SIGNED = an_artifact(SIGNATURE, subject=IMAGE)
COUNTERSIGNED = an_artifact(SIGNATURE, subject=SIGNED, seed=1)


def with_api(has_it: bool) -> FakeRegistry:
    return FakeRegistry(behaviour=Behaviour(referrers_api=has_it))


@pytest.fixture(params=[True, False], ids=["source with the API", "source without"])
async def source(request: pytest.FixtureRequest) -> AsyncIterator[FakeRegistry]:
    async with with_api(request.param) as registry:
        push_referrer(registry, SIGNED, IMAGE, api=request.param)
        push_referrer(registry, COUNTERSIGNED, SIGNED, api=request.param)
        registry.push(REPOSITORY, IMAGE, "v1")
        yield registry


@pytest.fixture(params=[True, False], ids=["destination with the API", "destination without"])
async def destination(request: pytest.FixtureRequest) -> AsyncIterator[FakeRegistry]:
    async with with_api(request.param) as registry:
        yield registry


def push_referrer(registry: FakeRegistry, referrer: BuiltManifest, subject: BuiltManifest, *, api: bool) -> None:
    """Push as a client does that knows the rules: where there is no API it keeps the fallback index."""
    registry.push(REPOSITORY, referrer)
    if not api:
        registry.push(REPOSITORY, index_of([referrer]), fallback_tag(Digest(subject.digest)))


async def listed(registry: FakeRegistry, subject: BuiltManifest) -> set[str]:
    """What a client finds that asks as the specification says."""
    digest = Digest(subject.digest)
    async with HttpClient() as http:
        client = RegistryClient(registry.url, http=http)
        found = await client.referrers(REPOSITORY, digest)
        if found is None:
            index = await client.get_manifest(REPOSITORY, fallback_tag(digest))
            assert isinstance(index, ImageIndex)
            found = list(index.manifests)
    return {each.digest for each in found}


async def test_signatures_and_signatures_of_them_are_copied_and_listed(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    [result] = await worker.job(options=WITH_REFERRERS).copy("v1")

    assert result.outcome is Outcome.COPIED
    assert await listed(destination, IMAGE) == {SIGNED.digest}
    assert await listed(destination, SIGNED) == {COUNTERSIGNED.digest}


async def test_they_are_left_alone_when_not_asked_for(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    await worker.copy("v1")

    assert content(destination, REPOSITORY)[1] == {IMAGE.digest}


async def test_nothing_is_pushed_when_nothing_has_changed(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    await worker.job(options=WITH_REFERRERS).copy("v1")
    destination.log.reset()

    [result] = await worker.job(options=WITH_REFERRERS).copy("v1")

    assert result.outcome is Outcome.UNCHANGED
    assert not [call for call in calls(destination) if call.startswith(("PUT", "POST"))]


async def test_a_signature_that_came_later_follows_an_unchanged_image(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    await worker.copy("v1")

    [result] = await worker.job(options=WITH_REFERRERS).copy("v1")

    assert result.outcome is Outcome.UNCHANGED
    assert await listed(destination, IMAGE) == {SIGNED.digest}


async def test_those_of_other_types_stay(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    await worker.job(options=TransferOptions(referrers=True, referrer_types=(SBOM,))).copy("v1")

    # A fallback index that does not tell types gives too much rather than too little.
    tells_types = (await _descriptors(source))[0].get("artifactType")
    assert (SIGNED.digest in content(destination, REPOSITORY)[1]) is not bool(tells_types)


async def _descriptors(registry: FakeRegistry) -> list[dict[str, str]]:
    digest = Digest(IMAGE.digest)
    async with HttpClient() as http:
        for path in (f"referrers/{digest}", f"manifests/{fallback_tag(digest)}"):
            headers = {"Accept": "application/vnd.oci.image.index.v1+json"}
            answer = await http.request("GET", f"{registry.url}/v2/{REPOSITORY}/{path}", headers=headers)
            if answer.status == 200:
                found: list[dict[str, str]] = json.loads(answer.body)["manifests"]
                return found
    return []


async def test_an_index_brings_the_signatures_of_its_images(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    index = an_index(("amd64", "arm64"), attestation=False)
    child = index.children[0]
    signature = an_artifact(SIGNATURE, subject=child, seed=7)
    source.push(REPOSITORY, index, "multi")
    push_referrer(source, signature, child, api=not has_fallback(source))

    await worker.job(options=WITH_REFERRERS).copy("multi")

    assert await listed(destination, child) == {signature.digest}


def has_fallback(registry: FakeRegistry) -> bool:
    return fallback_tag(Digest(IMAGE.digest)) in content(registry, REPOSITORY)[2]


async def test_tags_of_older_cosign_go_with_their_image(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    signature_tag, attestation_tag, _ = cosign_tags(Digest(IMAGE.digest))
    source.push(REPOSITORY, an_image([b"signature"], seed=3), signature_tag)
    source.push(REPOSITORY, an_image([b"attestation"], seed=4), attestation_tag)

    await worker.job(options=WITH_REFERRERS).copy("v1")

    tags = content(destination, REPOSITORY)[2]
    assert {signature_tag, attestation_tag} <= set(tags)
    assert tags[signature_tag] == content(source, REPOSITORY)[2][signature_tag]


async def test_a_circle_of_referrers_ends(worker: Worker, destination: FakeRegistry) -> None:
    """By digests there can be none, but a fallback index may claim anything."""
    async with with_api(has_it=False) as source, Worker(source, destination) as other:
        source.push(REPOSITORY, IMAGE, "v1")
        source.push(REPOSITORY, index_of([SIGNED]), fallback_tag(Digest(IMAGE.digest)))
        source.push(REPOSITORY, index_of([IMAGE]), fallback_tag(Digest(SIGNED.digest)))

        [result] = await other.job(options=WITH_REFERRERS).copy("v1")

    assert result.failure is None


async def test_a_referrer_that_cannot_be_copied_fails_its_reference(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    repository = source.store.find(REPOSITORY)
    assert repository is not None
    for digest in SIGNED.layers:
        del repository.blobs[digest]

    results = await worker.job(options=WITH_REFERRERS).copy("v1")

    assert failure(results).reason == "BLOB_UNKNOWN"
    assert "v1" in content(destination, REPOSITORY)[2]


async def test_platforms_leave_signatures_of_the_whole_behind(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    index = an_index(("amd64", "arm64"), attestation=False)
    signature = an_artifact(SIGNATURE, subject=index, seed=8)
    source.push(REPOSITORY, index, "multi")
    push_referrer(source, signature, index, api=not has_fallback(source))
    job = worker.job(options=TransferOptions(referrers=True, platforms=("linux/arm64",)))

    [result] = await job.copy("multi")

    assert result.outcome is Outcome.COPIED
    assert signature.digest not in content(destination, REPOSITORY)[1]
    assert any("do not cover a part" in message for message in job.log.messages("warning"))


@pytest.fixture
async def modern() -> AsyncIterator[tuple[FakeRegistry, FakeRegistry]]:
    """Two registries with the API, where nothing refers to anything."""
    async with FakeRegistry() as source, FakeRegistry() as destination:
        yield source, destination


LOOKING_UP = ["GET referrers", "GET tags"]  # for old fallback tags and those of cosign, once a job


@pytest.mark.parametrize("docker", [False, True])
async def test_an_unchanged_image_is_not_fetched_to_see_what_refers_to_it(
    modern: tuple[FakeRegistry, FakeRegistry], docker: bool
) -> None:
    source, destination = modern
    for registry in modern:
        registry.push(REPOSITORY, an_image([b"layer"], docker=docker), "v1")
    async with Worker(source, destination) as worker:
        [result] = await worker.job(options=WITH_REFERRERS).copy("v1")

    assert result.outcome is Outcome.UNCHANGED
    assert calls(source) == [*LOOKING_UP, "HEAD manifest"]
    assert calls(destination) == ["HEAD manifest"]


async def test_an_unchanged_image_of_a_known_digest_is_told_by_the_destination(
    modern: tuple[FakeRegistry, FakeRegistry],
) -> None:
    source, destination = modern
    for registry in modern:
        registry.push(REPOSITORY, IMAGE, "v1")
    async with Worker(source, destination) as worker:
        await worker.job(options=WITH_REFERRERS).copy(ArtifactReference(tag="v1", digest=IMAGE.digest))

    assert calls(source) == LOOKING_UP
    assert calls(destination) == ["HEAD manifest"]


async def test_an_unchanged_index_is_fetched_once_for_its_images(modern: tuple[FakeRegistry, FakeRegistry]) -> None:
    source, destination = modern
    for registry in modern:
        registry.push(REPOSITORY, an_index(("amd64", "arm64")), "v1")
    async with Worker(source, destination) as worker:
        await worker.job(options=WITH_REFERRERS).copy("v1")

    assert calls(source) == ["GET manifest", *["GET referrers"] * 3, "GET tags", "HEAD manifest"]
    assert calls(destination) == ["HEAD manifest"]


async def test_a_manifest_of_an_unknown_type_is_fetched_for_what_it_may_hold() -> None:
    unknown = "application/vnd.example.list+json"
    document = json.loads(index_of([IMAGE]).manifest) | {"mediaType": unknown}
    listing = BuiltManifest(media_type=unknown, manifest=json.dumps(document).encode(), children=(IMAGE,))
    tolerant = Behaviour(negotiate=False)
    async with FakeRegistry(behaviour=tolerant) as source, FakeRegistry(behaviour=tolerant) as destination:
        for registry in (source, destination):
            registry.push(REPOSITORY, listing, "v1")
        push_referrer(source, SIGNED, IMAGE, api=True)
        async with Worker(source, destination) as worker:
            await worker.job(options=WITH_REFERRERS).copy("v1")

        assert await listed(destination, IMAGE) == {SIGNED.digest}


@pytest.mark.parametrize("platforms", [(), ("linux/arm64",)])
async def test_what_was_copied_is_not_fetched_again_to_see_what_refers_to_it(
    modern: tuple[FakeRegistry, FakeRegistry], platforms: tuple[str, ...]
) -> None:
    source, destination = modern
    source.push(REPOSITORY, an_index(("arm64",)), "v1")
    async with Worker(source, destination) as worker:
        await worker.job(options=TransferOptions(referrers=True, platforms=platforms)).copy("v1")

    assert source.log.count(method="GET", action=Action.MANIFEST) == 2, "the index and its image"
