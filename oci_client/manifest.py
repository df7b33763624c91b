"""Manifests: what a registry stores for an image, an index of images, or any other artifact.

The bytes are the truth. They are kept as they came, because the digest is over them, and parsed only to learn
what they point to.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from oci_client import media_types
from oci_client.descriptor import Descriptor, Fields, Platform
from oci_client.digest import SHA256, Digest
from oci_client.errors import ManifestInvalid

__all__ = [
    "MAX_MANIFEST_BYTES",
    "Descriptor",
    "ImageIndex",
    "ImageManifest",
    "Manifest",
    "OpaqueManifest",
    "Platform",
    "Schema1Manifest",
    "parse_manifest",
]

MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024  # what the distribution specification asks every registry to take


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Any manifest. `blobs` and `children` are what must be in a repository before this can be pushed."""

    media_type: str
    raw: bytes = field(repr=False)
    digest: Digest

    @property
    def size(self) -> int:
        return len(self.raw)

    @property
    def descriptor(self) -> Descriptor:
        return Descriptor(media_type=self.media_type, digest=self.digest, size=self.size)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return ()

    @property
    def children(self) -> tuple[Descriptor, ...]:
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageManifest(Manifest):
    """One image or artifact: a config and layers. (The old artifact manifest has its `blobs` as `layers`.)"""

    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return _unique_blobs(self.config, self.layers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageIndex(Manifest):
    """A list of manifests, usually one a platform."""

    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def children(self) -> tuple[Descriptor, ...]:
        return self.manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaqueManifest(Manifest):
    """A type that we do not know; it is copied with whatever its well-known fields point to."""

    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    manifests: tuple[Descriptor, ...]
    subject: Descriptor | None = None

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        return _unique_blobs(self.config, self.layers)

    @property
    def children(self) -> tuple[Descriptor, ...]:
        return self.manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema1Manifest(Manifest):
    """Docker's first format. Newer registries do not take it; whether to try is for the caller to decide."""


def parse_manifest(raw: bytes, media_type: str = "", *, algorithm: str = SHA256) -> Manifest:
    """Return the manifest in `raw` as the class that fits it, or raise ManifestInvalid.

    `media_type` is that of the Content-Type header or of the descriptor; a vague one gives way to the body's own.
    """
    if len(raw) > MAX_MANIFEST_BYTES:
        raise ManifestInvalid(f"{len(raw)} bytes; the limit is {MAX_MANIFEST_BYTES}")
    document = Fields.of_document(raw)
    kind = _settle_media_type(document, media_types.essence(media_type))
    if media_types.is_schema1(kind):
        digest = Digest.of(_schema1_payload(raw, document), algorithm)
        return Schema1Manifest(media_type=kind, raw=raw, digest=digest)
    digest = Digest.of(raw, algorithm)
    if media_types.is_index(kind):
        return _parse_index(document, kind, raw, digest)
    if media_types.is_image_manifest(kind):
        return _parse_image(document, kind, raw, digest)
    return OpaqueManifest(
        media_type=kind,
        raw=raw,
        digest=digest,
        config=document.descriptor("config"),
        layers=(*document.descriptors("layers"), *document.descriptors("blobs")),
        manifests=document.descriptors("manifests"),
        subject=document.descriptor("subject"),
    )


def _parse_index(document: Fields, media_type: str, raw: bytes, digest: Digest) -> ImageIndex:
    document.forbid("config", "layers")
    return ImageIndex(
        media_type=media_type,
        raw=raw,
        digest=digest,
        manifests=document.descriptors("manifests", required=True),
        subject=document.descriptor("subject"),
        artifact_type=document.text("artifactType"),
        annotations=document.annotations(),
    )


def _parse_image(document: Fields, media_type: str, raw: bytes, digest: Digest) -> ImageManifest:
    document.forbid("manifests")
    is_old_artifact = media_type == media_types.OCI_ARTIFACT_MANIFEST
    return ImageManifest(
        media_type=media_type,
        raw=raw,
        digest=digest,
        config=document.descriptor("config", required=not is_old_artifact),
        layers=document.descriptors("blobs") if is_old_artifact else document.descriptors("layers", required=True),
        subject=document.descriptor("subject"),
        artifact_type=document.text("artifactType"),
        annotations=document.annotations(),
    )


def _settle_media_type(document: Fields, announced: str) -> str:
    inner = document.text("mediaType")
    if media_types.is_vague(announced):
        return inner or _guess_media_type(document) or announced or media_types.JSON
    # An old artifact or schema 1 body may lack the field; one that contradicts its header is ambiguous content.
    if inner and inner != announced:
        raise ManifestInvalid(f"mediaType is {inner!r} but the manifest was announced as {announced!r}")
    return announced


def _guess_media_type(document: Fields) -> str:
    if document.value.get("schemaVersion") == 1:
        return media_types.DOCKER_SCHEMA1_SIGNED if "signatures" in document.value else media_types.DOCKER_SCHEMA1
    if "manifests" in document.value:
        return media_types.OCI_INDEX
    if "layers" in document.value:
        return media_types.OCI_MANIFEST
    return ""


def _schema1_payload(raw: bytes, document: Fields) -> bytes:
    """Return what the digest of a signed schema 1 manifest covers: the text as it was before it was signed."""
    signatures = document.value.get("signatures")
    if not signatures:
        return raw
    try:
        protected = json.loads(_base64url(signatures[0]["protected"]))
        length, tail = protected["formatLength"], _base64url(protected["formatTail"])
        return raw[:length] + tail
    except (LookupError, TypeError, ValueError) as exc:
        raise ManifestInvalid("signatures: not a JSON web signature") from exc


def _base64url(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _unique_blobs(config: Descriptor | None, layers: tuple[Descriptor, ...]) -> tuple[Descriptor, ...]:
    """Config first, then layers in order; a digest that occurs twice is one blob."""
    unique: dict[Digest, Descriptor] = {}
    for blob in (config, *layers) if config else layers:
        unique.setdefault(blob.digest, blob)
    return tuple(unique.values())
