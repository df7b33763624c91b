"""Builds images, indexes and artifacts as values, the same bytes each time, ready to be put into any registry."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from oci_client.testing.blob import Blob, BytesBlob, SyntheticBlob, digest_of, digest_of_blob
from oci_client.testing.store import Manifest, Repository

OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY_CONFIG: Final = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar.gzip"
LAYERS_PER_SEED: Final = 1000  # images of different seeds share no layer

Layer = bytes | int | SyntheticBlob
"""A layer: its bytes, its size (its bytes then follow from seed and position), or a blob made up as it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltManifest:
    """A manifest, the blobs it needs, and the manifests it points to."""

    media_type: str
    manifest: bytes
    blobs: Mapping[str, Blob] = field(default_factory=dict)
    children: tuple["BuiltManifest", ...] = ()

    @property
    def digest(self) -> str:
        return digest_of(self.manifest)

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.manifest)}

    @property
    def layers(self) -> list[str]:
        """Digests of the layers, in order."""
        return [layer["digest"] for layer in json.loads(self.manifest).get("layers", [])]

    def walk(self) -> Iterator["BuiltManifest"]:
        """Children first, in the order of a push."""
        for child in self.children:
            yield from child.walk()
        yield self


def an_image(
    layers: Sequence[Layer] = (1024,),
    *,
    seed: int = 0,
    architecture: str = "amd64",
    docker: bool = False,
    created: str = "",
    subject: BuiltManifest | None = None,
    annotations: Mapping[str, str] | None = None,
) -> BuiltManifest:
    """An image for linux and one architecture, `created` at a time of RFC 3339; `docker` chooses Docker's types."""
    manifest_type, config_type, layer_type = (
        (DOCKER_MANIFEST, DOCKER_CONFIG, DOCKER_LAYER) if docker else (OCI_MANIFEST, OCI_CONFIG, OCI_LAYER)
    )
    layer_blobs = _layer_blobs(layers, seed)
    rootfs = {"type": "layers", "diff_ids": [digest for digest, _ in layer_blobs]}
    told = {"created": created} if created else {}
    config = _bytes_of(
        {"architecture": architecture, "os": "linux", "config": {}, "rootfs": rootfs, "author": str(seed)} | told
    )
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": manifest_type,
        "config": _descriptor(config_type, BytesBlob(config), digest_of(config)),
        "layers": [_descriptor(layer_type, blob, digest) for digest, blob in layer_blobs],
    } | _extras(subject, annotations)
    blobs = {digest_of(config): BytesBlob(config)} | dict(layer_blobs)
    return BuiltManifest(media_type=manifest_type, manifest=_bytes_of(document), blobs=blobs)


def an_artifact(
    artifact_type: str = "application/vnd.example.thing",
    layers: Sequence[Layer] = (64,),
    *,
    seed: int = 0,
    subject: BuiltManifest | None = None,
    annotations: Mapping[str, str] | None = None,
) -> BuiltManifest:
    """An artifact with the empty config; with `subject` it is a referrer, such as a signature."""
    empty = b"{}"
    layer_blobs = _layer_blobs(layers, seed)
    document: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": _descriptor(EMPTY_CONFIG, BytesBlob(empty), digest_of(empty)),
        "layers": [_descriptor(artifact_type, blob, digest) for digest, blob in layer_blobs],
    } | _extras(subject, annotations)
    blobs = {digest_of(empty): BytesBlob(empty)} | dict(layer_blobs)
    return BuiltManifest(media_type=OCI_MANIFEST, manifest=_bytes_of(document), blobs=blobs)


def an_index(
    architectures: Sequence[str] = ("amd64", "arm64"),
    layers: Sequence[Layer] = (1024,),
    *,
    seed: int = 0,
    attestation: bool = False,
    annotations: Mapping[str, str] | None = None,
) -> BuiltManifest:
    """An image for several architectures; `attestation` adds BuildKit's child of platform unknown/unknown."""
    images = [an_image(layers, seed=seed + place, architecture=name) for place, name in enumerate(architectures)]
    platforms = [{"os": "linux", "architecture": name} for name in architectures]
    entries = [image.descriptor | {"platform": platform} for image, platform in zip(images, platforms, strict=True)]
    if attestation:
        proof = an_image([64], seed=seed + len(images), architecture="unknown")
        entries.append(proof.descriptor | _attests(images[0]))
        images.append(proof)
    return index_of(images, entries, annotations=annotations)


def index_of(
    children: Iterable[BuiltManifest],
    entries: Sequence[Mapping[str, Any]] | None = None,
    *,
    annotations: Mapping[str, str] | None = None,
) -> BuiltManifest:
    """An index over any manifests; `entries` are their descriptors when these say more than type, digest and size."""
    held = tuple(children)
    listed = [child.descriptor for child in held] if entries is None else list(entries)
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": listed} | _extras(None, annotations)
    return BuiltManifest(media_type=OCI_INDEX, manifest=_bytes_of(document), children=held)


def put_into(repository: Repository, built: BuiltManifest, *tags: str) -> str:
    """Puts a manifest with all it needs into a repository, past the sockets; returns its digest."""
    for one in built.walk():
        repository.blobs.update(one.blobs)
        repository.manifests[one.digest] = Manifest.parse(one.digest, one.media_type, one.manifest)
    repository.tags.update(dict.fromkeys(tags, built.digest))
    return built.digest


def _layer_blobs(layers: Sequence[Layer], seed: int) -> list[tuple[str, Blob]]:
    blobs = [_as_blob(layer, seed * LAYERS_PER_SEED + place) for place, layer in enumerate(layers)]
    return [(blob.digest if isinstance(blob, SyntheticBlob) else digest_of_blob(blob), blob) for blob in blobs]


def _as_blob(layer: Layer, seed: int) -> BytesBlob | SyntheticBlob:
    match layer:
        case bytes():
            return BytesBlob(layer)
        case int():
            return SyntheticBlob(layer, seed)
        case _:
            return layer


def _descriptor(media_type: str, blob: Blob, digest: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest, "size": blob.size}


def _extras(subject: BuiltManifest | None, annotations: Mapping[str, str] | None) -> dict[str, Any]:
    extras = {"subject": subject and subject.descriptor, "annotations": annotations and dict(annotations)}
    return {name: value for name, value in extras.items() if value}


def _attests(image: BuiltManifest) -> dict[str, Any]:
    annotations = {"vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest}
    return {"platform": {"os": "unknown", "architecture": "unknown"}, "annotations": annotations}


def _bytes_of(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
