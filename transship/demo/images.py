"""Images as build tools make them: layers are gzip'ed tar archives, an index has an attestation beside its images."""

import gzip
import io
import json
import random
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.manifest import parse_manifest
from oci_client.media_types import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST

_MB: Final = 1_000_000
_IN_TOTO: Final = "application/vnd.in-toto+json"
_UNKNOWN: Final = {"os": "unknown", "architecture": "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A blob of a manifest; `diff_id` is the digest of what it unpacks to."""

    media_type: str
    content: bytes
    diff_id: str

    @classmethod
    def of_files(cls, files: Mapping[str, bytes]) -> "Layer":
        """A gzip'ed tar archive; the same files give the same bytes."""
        unpacked = _tar(files)
        packed = gzip.compress(unpacked, compresslevel=1, mtime=0)
        return cls(media_type=OCI_LAYER_GZIP, content=packed, diff_id=Digest.of(unpacked))


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A manifest with the blobs that it names and the manifests that it lists."""

    media_type: str
    raw: bytes
    blobs: tuple[bytes, ...] = ()
    children: tuple["Image", ...] = ()

    def walk(self) -> Iterator["Image"]:
        """Children first: a registry refuses a manifest before what it names."""
        for child in self.children:
            yield from child.walk()
        yield self

    @property
    def descriptor(self) -> dict[str, Any]:
        return _descriptor(self.media_type, self.raw)


def an_image(layers: Sequence[Layer], platform: Mapping[str, str]) -> Image:
    rootfs = {"type": "layers", "diff_ids": [each.diff_id for each in layers]}
    config = _json({**platform, "config": {"Entrypoint": ["/app"]}, "rootfs": rootfs})
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": _descriptor(OCI_CONFIG, config),
        "layers": [_descriptor(each.media_type, each.content) for each in layers],
    }
    blobs = (config, *(each.content for each in layers))
    return Image(media_type=OCI_MANIFEST, raw=_json(document), blobs=blobs)


def an_index(images: Mapping[str, Image]) -> Image:
    """The images by architecture, and what attests to the first of them."""
    first = next(iter(images.values()))
    proof = _attestation(first)
    entries = [image.descriptor | {"platform": {"os": "linux", "architecture": name}} for name, image in images.items()]
    annotations = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": first.descriptor["digest"],
    }
    entries.append(proof.descriptor | {"platform": _UNKNOWN, "annotations": annotations})
    document = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    return Image(media_type=OCI_INDEX, raw=_json(document), children=(*images.values(), proof))


def some_images() -> dict[str, Image]:
    """By `repository:tag`: releases that share layers, as releases do, and another repository with the same base."""
    base = {name: _layer(f"base {name}", 12 * _MB) for name in ("amd64", "arm64")}
    releases = {
        tag: an_index(
            {
                name: an_image([base[name], _layer(f"app {tag} {name}", 6 * _MB)], _linux(name))
                for name in ("amd64", "arm64")
            }
        )
        for tag in ("1.0", "1.1")
    }
    tool = an_image([base["amd64"], _layer("tool", 2 * _MB)], _linux("amd64"))
    return {
        "library/app:1.0": releases["1.0"],
        "library/app:1.1": releases["1.1"],
        "library/app:latest": releases["1.1"],
        "library/tool:2.4": tool,
        "scratch/draft:wip": an_image([_layer("draft", _MB)], _linux("amd64")),
    }


async def push(registry: RegistryClient, repository: str, tag: str, image: Image) -> None:
    """Pushes the image with everything that it names."""
    for each in image.walk():
        for blob in each.blobs:
            await _push_blob(registry, repository, blob)
        manifest = parse_manifest(each.raw, each.media_type)
        await registry.put_manifest(repository, tag if each is image else manifest.digest, manifest)


async def _push_blob(registry: RegistryClient, repository: str, blob: bytes) -> None:
    digest = Digest.of(blob)
    if await registry.head_blob(repository, digest) is None:
        session = await registry.start_upload(repository)
        await registry.put_blob(session, digest, blob, size=len(blob))


def _attestation(image: Image) -> Image:
    statement = {"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": image.descriptor["digest"]}]}
    content = _json(statement)
    return an_image([Layer(media_type=_IN_TOTO, content=content, diff_id=Digest.of(content))], _UNKNOWN)


def _layer(name: str, size: int) -> Layer:
    """A file of random bytes, which no compression makes smaller, so that there is something to move."""
    return Layer.of_files({f"usr/share/{name.replace(' ', '-')}": random.Random(name).randbytes(size)})  # noqa: S311


def _linux(architecture: str) -> dict[str, str]:
    return {"os": "linux", "architecture": architecture}


def _tar(files: Mapping[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": Digest.of(content), "size": len(content)}


def _json(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document).encode()
