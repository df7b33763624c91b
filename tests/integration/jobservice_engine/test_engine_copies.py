"""What arrives, and how many requests that takes."""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence

import pytest

from jobservice.transfer import ArtifactReference, Outcome
from oci_client.testing import (
    Action,
    Behaviour,
    BuiltManifest,
    FakeRegistry,
    Match,
    an_artifact,
    an_image,
    an_index,
    digest_of,
    effects,
    index_of,
)
from tests.engine_kit import MIB, Memory, MemoryLocations, Worker, calls, content, failure, until

NESTED = index_of([an_index(seed=1), index_of([an_image(seed=9)])])


@pytest.mark.parametrize(
    "built",
    [
        an_image([10, 2000, 300_000]),
        an_image([10], docker=True),
        an_index(("amd64", "arm64", "s390x"), attestation=True),
        an_artifact(),
        an_artifact(layers=[b"{}"]),
        an_image([b"same", b"same"]),
        NESTED,
    ],
    ids=["image", "docker", "index", "artifact", "empty", "twice", "nested"],
)
async def test_everything_arrives_as_it_was(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, built: BuiltManifest
) -> None:
    source.push("library/app", built, "1")

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert result.reference == ArtifactReference(tag="1", digest=built.digest)
    assert content(destination, "library/app") == content(source, "library/app")
    assert destination.store.open_uploads == []


async def test_inline_content_is_not_fetched(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    data = b"inline"
    built = an_image([data])
    document = json.loads(built.manifest)
    document["layers"][0]["data"] = "aW5saW5l"
    inline = BuiltManifest(media_type=built.media_type, manifest=json.dumps(document).encode(), blobs=dict(built.blobs))
    source.push("library/app", inline, "1")

    await worker.copy("1")

    assert digest_of(data) in content(destination, "library/app")[0]
    assert digest_of(data) not in "".join(each.path for each in source.requests)


async def test_an_unchanged_tag_costs_two_heads(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    for registry in (source, destination):
        registry.push_index("library/app", "1")

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.UNCHANGED
    assert calls(source) == calls(destination) == ["HEAD manifest"]


async def test_both_heads_are_under_way_together(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    stall = effects.Stall()
    for registry in (source, destination):
        registry.push_image("library/app", "1")
        registry.misbehave(stall, match=Match(method="HEAD"))
    async with asyncio.TaskGroup() as group:
        group.create_task(worker.copy("1"))
        await until(lambda: source.requests and destination.requests)
        stall.release()


async def test_an_unchanged_tag_with_a_known_digest_costs_one_head(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    digest = source.push_image("library/app", "1")
    destination.push_image("library/app", "1")

    [result] = await worker.job().copy(ArtifactReference(tag="1", digest=digest))

    assert result.outcome is Outcome.UNCHANGED
    assert (calls(source), calls(destination)) == ([], ["HEAD manifest"])


async def test_a_new_image_costs_three_requests_a_blob(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_image("library/app", "1", [1000])

    await worker.copy("1")

    assert calls(source) == ["GET blob", "GET blob", "GET manifest", "HEAD manifest"]
    uploads = ["POST upload-start", "POST upload-start", "PUT manifest", "PUT upload", "PUT upload"]
    assert calls(destination) == ["HEAD manifest", *uploads]


async def test_a_shared_blob_costs_one_mount(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    for name in ("library/a", "library/b"):
        source.push_image(name, "1", [1000])
    await worker.copy("1", repository="library/a")
    source.log.reset()
    destination.log.reset()

    await worker.copy("1", repository="library/b")

    assert calls(source) == ["GET manifest", "HEAD manifest"]
    assert calls(destination) == ["HEAD manifest", "POST upload-start", "POST upload-start", "PUT manifest"]
    assert destination.log.count(action=Action.UPLOAD_START, status=201) == 2


async def test_one_image_for_fifty_repositories_travels_once(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    names = [f"library/app-{number}" for number in range(50)]
    for name in names:
        source.push_image(name, "1", [100_000, 200_000])

    await asyncio.gather(*(worker.copy("1", repository=name) for name in names))

    assert source.log.count(action=Action.BLOB) == 3
    assert destination.log.count(method="PUT", action=Action.UPLOAD) == 3
    assert destination.log.count(action=Action.UPLOAD_START, status=201) == 49 * 3
    assert destination.log.count(action=Action.UPLOAD_START) == 50 * 3


async def test_two_workers_send_a_blob_once(source: FakeRegistry, destination: FakeRegistry) -> None:
    memory = Memory()
    for name in ("library/a", "library/b"):
        source.push_image(name, "1", [2 * MIB])
    async with Worker(source, destination, memory=memory) as one, Worker(source, destination, memory=memory) as two:
        await asyncio.gather(one.copy("1", repository="library/a"), two.copy("1", repository="library/b"))

    [layer] = an_image([2 * MIB]).layers
    assert sum(layer in each.path for each in source.requests) == 1


async def test_within_one_registry_everything_is_mounted(source: FakeRegistry) -> None:
    source.push_image("library/app", "1", [1000])
    async with Worker(source, source) as worker:
        await worker.copy("1", to="mirror/app")

    assert content(source, "mirror/app") == content(source, "library/app")
    assert source.log.count(action=Action.UPLOAD_START, status=201) == 2
    assert source.log.count(action=Action.BLOB) == 0


async def test_the_session_of_a_refused_mount_is_used(source: FakeRegistry) -> None:
    async with FakeRegistry(behaviour=Behaviour(mount=False)) as destination, Worker(source, destination) as worker:
        source.push("library/app", an_image([1000]), "1")
        for digest in source.store.repository("library/app").blobs:
            worker.memory.locations.remember("destination", "library/other", [digest])
        await worker.copy("1")

        assert destination.log.count(action=Action.UPLOAD_START) == 2
        assert destination.store.open_uploads == []


async def test_a_mount_that_is_forbidden_leads_to_an_upload(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push("library/app", an_image([1000]), "1")
    for digest in source.store.repository("library/app").blobs:
        worker.memory.locations.remember("destination", "secret/other", [digest])
    mount = Match(where=lambda request: request.param("from") == "secret/other")
    destination.misbehave(effects.answer_with(403), match=mount)

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED


async def test_content_that_the_destination_lost_is_brought_again(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_image("library/app", "1", [1000])
    await worker.copy("1")
    repository = destination.store.repository("library/app")
    repository.blobs.clear()
    repository.manifests.clear()
    repository.tags.clear()

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert content(destination, "library/app") == content(source, "library/app")


async def test_a_child_that_the_destination_lost_is_brought_again(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_index("library/app", "1")
    await worker.copy("1")
    repository = destination.store.repository("library/app")
    repository.blobs.clear()
    repository.tags.clear()
    for manifest in [each for each in repository.manifests if each != next(reversed(repository.manifests))]:
        del repository.manifests[manifest]
    source.push("library/app", an_index(seed=0, attestation=True, annotations={"changed": "yes"}), "1")

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert result.reference.digest == repository.tags["1"]


async def test_two_registries_that_tell_no_digest_are_not_taken_for_equal(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    """Harbor compares two headers that are not there, finds them equal, and copies nothing."""
    new = source.push_image("library/app", "1", seed=1)
    destination.push_image("library/app", "1", seed=2)
    for registry in (source, destination):
        registry.misbehave(effects.with_header("Docker-Content-Digest"), match=Match(action=Action.MANIFEST))

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert destination.store.repository("library/app").tags == {"1": new}


async def test_without_override_another_image_stays(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_image("library/app", "1", seed=1)
    before = destination.push_image("library/app", "1", seed=2)

    results = await worker.job(override=False).copy("1")

    assert (results[0].outcome, failure(results).reason) == (Outcome.SKIPPED, "TAG_EXISTS")
    assert destination.store.repository("library/app").tags == {"1": before}


async def test_one_bad_tag_leaves_the_others_alone(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    for seed, tag in enumerate(["1", "2", "bad", "3"]):
        source.push_image("library/app", tag, seed=seed)
    [layer] = an_image(seed=2).layers
    source.misbehave(effects.flip_byte(3), match=Match(path=layer))

    results = await worker.copy("1", "2", "bad", "3", "gone")

    assert [result.outcome for result in results] == [
        Outcome.COPIED,
        Outcome.COPIED,
        Outcome.FAILED,
        Outcome.COPIED,
        Outcome.FAILED,
    ]
    assert content(destination, "library/app")[2].keys() == {"1", "2", "3"}


class LateLocations(MemoryLocations):
    """Answers what was so when it was asked, but late."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def find(self, registry: str, repository: str, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        found = await super().find(registry, repository, digests)
        if repository == "late":
            await self.go_on.wait()
        return found


async def test_who_learns_late_of_a_landing_mounts_all_the_same(
    source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push("library/app", an_image([10, 2000]), "1")
    locations = LateLocations()
    async with Worker(source, destination, memory=Memory(locations=locations)) as worker:
        late = asyncio.create_task(worker.copy("1", to="late"))
        await worker.copy("1", to="early")
        locations.go_on.set()
        await late

    assert source.log.count(method="GET", action=Action.BLOB) == 3
    assert destination.log.count(method="PUT", action=Action.UPLOAD) == 3
