"""Manifests: what they point to, and what is refused."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oci_client import media_types
from oci_client.digest import Digest
from oci_client.errors import ManifestInvalid
from oci_client.manifest import (
    MAX_MANIFEST_BYTES,
    ImageIndex,
    ImageManifest,
    OpaqueManifest,
    Platform,
    Schema1Manifest,
    parse_manifest,
)


def entry(content: bytes = b"layer", media_type: str = media_types.OCI_LAYER_GZIP, **more: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": str(Digest.of(content)), "size": len(content), **more}


def an_image(**more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": entry(b"{}", media_types.OCI_CONFIG),
        "layers": [entry(b"one"), entry(b"two"), entry(b"one")],
        **more,
    }


def an_index(**more: Any) -> dict[str, Any]:
    return {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [entry(b"m")], **more}


def without(document: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key != name}


def raw(document: object) -> bytes:
    return json.dumps(document).encode()


def test_an_image_points_to_each_of_its_blobs_once() -> None:
    content = raw(an_image(subject=entry(b"s"), artifactType="a/b", annotations={"k": "v"}))
    manifest = parse_manifest(content, media_types.OCI_MANIFEST + "; charset=utf-8")

    assert isinstance(manifest, ImageManifest)
    assert [blob.digest for blob in manifest.blobs] == [Digest.of(b"{}"), Digest.of(b"one"), Digest.of(b"two")]
    assert len(manifest.layers) == 3
    assert manifest.subject is not None
    assert (manifest.artifact_type, manifest.annotations) == ("a/b", {"k": "v"})
    assert (manifest.raw, manifest.digest, manifest.size) == (content, Digest.of(content), len(content))


def test_an_index_points_to_its_children_with_their_platforms() -> None:
    platform = {"os": "windows", "architecture": "arm64", "variant": "v8", "os.version": "10", "os.features": ["f"]}
    manifest = parse_manifest(raw(an_index(manifests=[entry(b"m", platform=platform)])), media_types.OCI_INDEX)

    assert isinstance(manifest, ImageIndex)
    (child,) = manifest.children
    assert child.platform == Platform(
        os="windows", architecture="arm64", variant="v8", os_version="10", os_features=("f",)
    )
    assert str(child.platform) == "windows/arm64/v8"
    assert manifest.blobs == ()


def test_a_descriptor_with_everything() -> None:
    layer = entry(b"hi", data=base64.b64encode(b"hi").decode(), urls=["https://x/"], annotations={"a": "b"})
    manifest = parse_manifest(raw(an_image(layers=[layer])))

    assert isinstance(manifest, ImageManifest)
    assert (manifest.layers[0].data, manifest.layers[0].urls) == (b"hi", ("https://x/",))


def test_the_old_artifact_manifest_has_blobs() -> None:
    document = {"mediaType": media_types.OCI_ARTIFACT_MANIFEST, "blobs": [entry(b"one")]}
    manifest = parse_manifest(raw(document), media_types.OCI_ARTIFACT_MANIFEST)

    assert isinstance(manifest, ImageManifest)
    assert [blob.digest for blob in manifest.blobs] == [Digest.of(b"one")]
    assert manifest.config is None


def test_an_unknown_type_is_read_by_its_fields() -> None:
    document = {"config": entry(b"c"), "layers": [entry(b"l")], "manifests": [entry(b"m")], "other": 1}
    manifest = parse_manifest(raw(document), "application/vnd.acme+json")

    assert isinstance(manifest, OpaqueManifest)
    assert [blob.digest for blob in manifest.blobs] == [Digest.of(b"c"), Digest.of(b"l")]
    assert [child.digest for child in manifest.children] == [Digest.of(b"m")]
    assert manifest.media_type == "application/vnd.acme+json"


@pytest.mark.parametrize(
    ("document", "media_type"),
    [
        (an_image(), media_types.OCI_MANIFEST),
        (without(an_image(), "mediaType"), media_types.OCI_MANIFEST),
        (without(an_index(), "mediaType"), media_types.OCI_INDEX),
        (an_index(mediaType=media_types.DOCKER_LIST), media_types.DOCKER_LIST),
        ({"schemaVersion": 1}, media_types.DOCKER_SCHEMA1),
        ({"something": "else"}, media_types.JSON),
    ],
)
def test_a_vague_content_type_gives_way_to_the_content(document: object, media_type: str) -> None:
    assert parse_manifest(raw(document), "application/json").media_type == media_type


def test_a_signed_schema1_manifest_has_the_digest_of_what_was_signed() -> None:
    payload = b'{\n   "schemaVersion": 1,\n   "name": "a"\n}'
    cut = len(payload) - 2
    protected = {"formatLength": cut, "formatTail": base64.urlsafe_b64encode(payload[cut:]).decode().rstrip("=")}
    signature = {"protected": base64.urlsafe_b64encode(raw(protected)).decode().rstrip("=")}
    signed = payload[:cut] + b',\n   "signatures": ' + raw([signature]) + b"\n}"

    manifest = parse_manifest(signed, media_types.DOCKER_SCHEMA1_SIGNED)

    assert isinstance(manifest, Schema1Manifest)
    assert (manifest.digest, manifest.raw) == (Digest.of(payload), signed)


@pytest.mark.parametrize(
    "document",
    [
        an_image(manifests=[]),
        an_image(mediaType=media_types.OCI_INDEX),
        an_image(mediaType=7),
        an_image(config=None),
        an_image(config=[]),
        an_image(layers={}),
        an_image(layers=["x"]),
        an_image(layers=[entry(digest="sha256:short")]),
        an_image(layers=[entry(digest=None)]),
        an_image(layers=[entry(size=-1)]),
        an_image(layers=[entry(size=True)]),
        an_image(layers=[entry(size="1")]),
        an_image(layers=[entry(mediaType="")]),
        an_image(layers=[entry(urls=[1])]),
        an_image(layers=[entry(data="!")]),
        an_image(annotations={"a": 1}),
        an_image(subject="x"),
        without(an_image(), "layers"),
        without(an_image(), "config"),
        [],
        None,
    ],
)
def test_what_is_no_image(document: object) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(raw(document), media_types.OCI_MANIFEST)


@pytest.mark.parametrize("document", [an_index(layers=[]), an_index(config={}), without(an_index(), "manifests")])
def test_what_is_no_index(document: object) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(raw(document), media_types.OCI_INDEX)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"\xff\xfe\xfd",
        b"[" * 100_000,
        b" " * (MAX_MANIFEST_BYTES + 1),
        b'{"signatures":[{}],"schemaVersion":1}',
    ],
)
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(content)


_FIELDS = st.sampled_from(
    [
        "mediaType",
        "config",
        "layers",
        "manifests",
        "subject",
        "digest",
        "size",
        "data",
        "platform",
        "signatures",
        "schemaVersion",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_FIELDS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_FIELDS, _JSON), st.sampled_from([*media_types.ACCEPT_MANIFESTS, "", "a/b"]))
def test_whatever_comes_is_read_or_refused(document: dict[str, Any], media_type: str) -> None:
    try:
        manifest = parse_manifest(raw(document), media_type)
    except ManifestInvalid:
        return
    assert manifest.raw == raw(document)


@pytest.mark.parametrize(
    ("media_type", "foreign"),
    [
        ("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", True),
        ("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", True),
        (media_types.OCI_LAYER_GZIP, False),
        (media_types.DOCKER_LAYER_GZIP, False),
    ],
)
def test_foreign_layers(media_type: str, foreign: bool) -> None:
    assert media_types.is_foreign_layer(media_type) is foreign
