"""The content that the fake registry is filled with."""

import hashlib
import json

import pytest

from oci_client.testing import Behaviour, BytesBlob, FakeRegistry, SyntheticBlob, an_artifact, an_image, an_index
from oci_client.testing.blob import SYNTHETIC_BLOCK_BYTES, Blob, digest_of_blob
from oci_client.testing.store import SPILL_BYTES, Store


def content(blob: Blob, start: int = 0, stop: int | None = None) -> bytes:
    return b"".join(blob.pieces(start, stop))


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, None),
        (5, 6),
        (3, SYNTHETIC_BLOCK_BYTES + 5),
        (SYNTHETIC_BLOCK_BYTES + 3, None),
        (SYNTHETIC_BLOCK_BYTES - 1, None),
    ],
)
def test_a_range_of_a_synthetic_blob_is_that_part_of_the_whole(start: int, stop: int | None) -> None:
    blob = SyntheticBlob(3 * SYNTHETIC_BLOCK_BYTES + 77, seed=5)
    assert content(blob, start, stop) == content(blob)[start:stop]


def test_a_synthetic_blob_follows_from_its_seed() -> None:
    blob = SyntheticBlob(2 * SYNTHETIC_BLOCK_BYTES, seed=1)
    assert blob.digest == digest_of_blob(SyntheticBlob(blob.size, seed=1))
    assert blob.digest != SyntheticBlob(blob.size, seed=2).digest


def test_no_two_blocks_of_a_synthetic_blob_are_equal() -> None:
    whole = content(SyntheticBlob(3 * SYNTHETIC_BLOCK_BYTES))
    blocks = {whole[at : at + SYNTHETIC_BLOCK_BYTES] for at in range(0, len(whole), SYNTHETIC_BLOCK_BYTES)}
    assert len(blocks) == 3


def test_an_image_brings_the_blobs_that_its_manifest_names() -> None:
    image = an_image([b"one", 10, b"one"], seed=3)
    assert image.layers[0] == image.layers[2] == f"sha256:{hashlib.sha256(b'one').hexdigest()}"
    assert set(image.layers) < set(image.blobs)
    assert image == an_image([b"one", 10, b"one"], seed=3)


def test_an_index_with_an_attestation_names_the_image_that_is_attested() -> None:
    index = an_index(attestation=True)
    *_, proof = json.loads(index.manifest)["manifests"]
    assert proof["platform"] == {"os": "unknown", "architecture": "unknown"}
    assert proof["annotations"]["vnd.docker.reference.digest"] == index.children[0].digest


def test_a_referrer_is_found_by_its_subject() -> None:
    image, registry = an_image(), FakeRegistry(behaviour=Behaviour())
    registry.push("app", image, "v1")
    signature = registry.push("app", an_artifact("application/x.signature", subject=image))
    [found] = registry.store.repository("app").referrers(image.digest)
    assert (found.digest, found.artifact_type) == (signature, "application/x.signature")


def test_ten_thousand_repositories_are_in_order() -> None:
    store = Store()
    names = [f"project-{number % 7}/app-{number}" for number in range(10_000)]
    for name in names:
        store.repository(name)
    assert store.names == sorted(names)


@pytest.mark.parametrize("size", [0, 100, SPILL_BYTES + 1])
def test_an_upload_reads_back_from_memory_and_from_disk(size: int) -> None:
    store, data = Store(), b"x" * size
    upload = store.open_upload("app")
    upload.append(data)
    store.finish_upload(upload, "sha256:any")
    assert content(store.repository("app").blobs["sha256:any"]) == data
    store.close()


def test_a_blob_in_memory_gives_its_ranges() -> None:
    blob = BytesBlob(bytes(range(256)) * 4096)
    assert content(blob, 300_000, 700_000) == blob.data[300_000:700_000]
