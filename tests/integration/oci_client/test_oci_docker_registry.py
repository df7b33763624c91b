"""The client against the distribution project's registry, the engine inside most others."""

import hashlib
import json
from collections.abc import AsyncIterator, Iterator

import pytest

from oci_client import media_types
from oci_client.auth import Credential
from oci_client.challenge_authorizer import ChallengeAuthorizer
from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.errors import (
    BlobUnknown,
    ManifestBlobUnknown,
    ManifestUnknown,
    NameUnknown,
    RegistryError,
    Unauthorized,
    Unsupported,
    UploadUnknown,
)
from oci_client.http import HttpClient
from oci_client.manifest import ImageManifest, Manifest, parse_manifest
from oci_client.uploads import Mounted, UploadSession
from tests.registries import PASSWORD, USERNAME, DockerRegistry

CONFIG = b"{}"
LAYER = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient() as client:
        yield client


@pytest.fixture
def client(http: HttpClient, registry: DockerRegistry) -> RegistryClient:
    return RegistryClient(registry.url, http=http, authorizer=ChallengeAuthorizer(http, registry.url))


def an_image(*layers: bytes) -> Manifest:
    def entry(content: bytes, media_type: str) -> dict[str, object]:
        return {"mediaType": media_type, "digest": Digest.of(content), "size": len(content)}

    document = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": entry(CONFIG, media_types.OCI_CONFIG),
        "layers": [entry(layer, media_types.OCI_LAYER) for layer in layers],
    }
    return parse_manifest(json.dumps(document).encode(), media_types.OCI_MANIFEST)


async def push_blob(client: RegistryClient, repository: str, content: bytes) -> Digest:
    digest = Digest.of(content)
    await client.put_blob(await client.start_upload(repository), digest, content)
    return digest


async def push_image(client: RegistryClient, repository: str, *tags: str) -> Manifest:
    image = an_image(LAYER)
    for blob in (CONFIG, LAYER):
        await push_blob(client, repository, blob)
    for tag in tags:
        await client.put_manifest(repository, tag, image)
    return image


async def pieces(content: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def test_ping(client: RegistryClient) -> None:
    await client.ping()


async def test_an_image_comes_back_byte_for_byte(client: RegistryClient) -> None:
    image = await push_image(client, "round/trip", "v1")

    by_tag = await client.get_manifest("round/trip", "v1")
    by_digest = await client.get_manifest("round/trip", image.digest)

    assert by_tag.raw == by_digest.raw == image.raw
    assert isinstance(by_tag, ImageManifest)
    assert [blob.digest for blob in by_tag.blobs] == [Digest.of(CONFIG), Digest.of(LAYER)]


async def test_head_describes_without_reading(client: RegistryClient) -> None:
    image = await push_image(client, "head/manifest", "v1")

    assert await client.head_manifest("head/manifest", "v1") == image.descriptor
    assert await client.head_manifest("head/manifest", "v2") is None


async def test_put_manifest_tells_the_digest_and_that_no_subject_was_indexed(client: RegistryClient) -> None:
    image = await push_image(client, "put/result")

    result = await client.put_manifest("put/result", "v1", image)

    assert result.digest == image.digest
    assert not result.subject_acknowledged
    assert result.tags == ()


async def test_a_manifest_without_its_blobs_names_them(client: RegistryClient) -> None:
    await push_blob(client, "missing/blobs", CONFIG)

    with pytest.raises(ManifestBlobUnknown) as caught:
        await client.put_manifest("missing/blobs", "v1", an_image(b"never pushed"))

    assert caught.value.digests == (Digest.of(b"never pushed"),)


async def test_a_streamed_blob_comes_back_as_a_verified_stream(client: RegistryClient) -> None:
    session = await client.start_upload("stream/blob")
    await client.put_blob(session, Digest.of(LAYER), pieces(LAYER), size=len(LAYER))

    received = hashlib.sha256()
    async for chunk in client.get_blob("stream/blob", Digest.of(LAYER), size=len(LAYER)):
        received.update(chunk)

    assert Digest.from_hasher("sha256", received) == Digest.of(LAYER)
    assert await client.head_blob("stream/blob", Digest.of(LAYER)) == len(LAYER)


async def test_a_stream_without_a_size_is_taken_too(client: RegistryClient) -> None:
    await client.put_blob(await client.start_upload("stream/unsized"), Digest.of(LAYER), pieces(LAYER))

    assert await client.head_blob("stream/unsized", Digest.of(LAYER)) == len(LAYER)


async def test_an_empty_blob(client: RegistryClient) -> None:
    digest = await push_blob(client, "empty/blob", b"")

    assert await client.head_blob("empty/blob", digest) == 0
    assert [chunk async for chunk in client.get_blob("empty/blob", digest)] == []


async def test_a_blob_that_is_not_there(client: RegistryClient) -> None:
    await push_blob(client, "absent/blob", CONFIG)

    assert await client.head_blob("absent/blob", Digest.of(b"?")) is None
    with pytest.raises(BlobUnknown):
        [chunk async for chunk in client.get_blob("absent/blob", Digest.of(b"?"))]


async def test_a_wrong_digest_is_refused(client: RegistryClient) -> None:
    session = await client.start_upload("wrong/digest")

    with pytest.raises(RegistryError) as caught:
        await client.put_blob(session, Digest.of(b"something else"), CONFIG)

    assert caught.value.codes == {"DIGEST_INVALID"}
    assert "_state" not in str(caught.value)


async def test_mount(client: RegistryClient) -> None:
    digest = await push_blob(client, "mount/from", LAYER)

    assert await client.mount_blob("mount/to", digest, "mount/from") == Mounted(digest=digest)
    assert await client.head_blob("mount/to", digest) == len(LAYER)


async def test_a_refused_mount_has_opened_an_upload(client: RegistryClient) -> None:
    content = b"only here"
    session = await client.mount_blob("mount/refused", Digest.of(content), "mount/nowhere")

    assert isinstance(session, UploadSession)
    await client.put_blob(session, Digest.of(content), content)
    assert await client.head_blob("mount/refused", Digest.of(content)) == len(content)


async def test_chunks_with_a_look_at_the_status_between(client: RegistryClient) -> None:
    session = await client.start_upload("chunked/blob")
    session = await client.put_chunk(session, 0, LAYER[:500_000])
    status = await client.upload_status(session)

    assert status.offset == 500_000
    session = await client.put_chunk(status.session, status.offset, LAYER[500_000:])
    await client.put_blob(session, Digest.of(LAYER), b"")
    assert await client.head_blob("chunked/blob", Digest.of(LAYER)) == len(LAYER)


async def test_a_cancelled_upload_is_over(client: RegistryClient) -> None:
    session = await client.start_upload("cancelled/upload")
    await client.cancel_upload(session)

    with pytest.raises(UploadUnknown):
        await client.put_blob(session, Digest.of(CONFIG), CONFIG)
    await client.cancel_upload(session)


async def test_tags_and_catalog(client: RegistryClient) -> None:
    await push_image(client, "list/tags", "a", "b", "c")

    # This registry neither sorts tags nor cuts them into pages.
    assert {tag async for page in client.tags("list/tags", page_size=2) for tag in page} == {"a", "b", "c"}
    pages = [page async for page in client.catalog(page_size=1)]
    assert ["list/tags"] in pages


async def test_tags_of_an_unknown_repository(client: RegistryClient) -> None:
    with pytest.raises(NameUnknown):
        [page async for page in client.tags("no/such")]


async def test_delete_by_digest_and_not_by_tag(client: RegistryClient) -> None:
    image = await push_image(client, "to/delete", "v1")

    with pytest.raises(Unsupported):
        await client.delete_manifest("to/delete", "v1")
    await client.delete_manifest("to/delete", image.digest)

    with pytest.raises(ManifestUnknown):
        await client.get_manifest("to/delete", "v1")


async def test_no_referrers_api(client: RegistryClient) -> None:
    image = await push_image(client, "no/referrers", "v1")

    assert await client.referrers("no/referrers", image.digest) is None


@pytest.fixture(scope="module")
def locked_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("locked"), htpasswd=True) as running:
        yield running


async def test_basic(http: HttpClient, locked_registry: DockerRegistry) -> None:
    credential = Credential(username=USERNAME, password=PASSWORD)
    authorizer = ChallengeAuthorizer(http, locked_registry.url, credential)
    client = RegistryClient(locked_registry.url, http=http, authorizer=authorizer)

    image = await push_image(client, "locked/image", "v1")

    assert await client.head_manifest("locked/image", "v1") == image.descriptor


@pytest.mark.parametrize("credential", [None, Credential(username=USERNAME, password="wrong")])
async def test_basic_refused(http: HttpClient, locked_registry: DockerRegistry, credential: Credential | None) -> None:
    authorizer = ChallengeAuthorizer(http, locked_registry.url, credential)
    client = RegistryClient(locked_registry.url, http=http, authorizer=authorizer)

    with pytest.raises(Unauthorized) as caught:
        await client.ping()

    assert "wrong" not in str(caught.value) + repr(caught.value)
