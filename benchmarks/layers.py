"""Images out of a seed: the same seed makes the same bytes, everywhere and always."""

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

_MEDIA = "application/vnd.oci.image"
MANIFEST_TYPE: Final = f"{_MEDIA}.manifest.v1+json"
_CONFIG_TYPE: Final = f"{_MEDIA}.config.v1+json"
_LAYER_TYPE: Final = f"{_MEDIA}.layer.v1.tar+gzip"
# Random bytes do not shrink, so the layers are stored and not squeezed: as large as asked for, and quickly made.
_STORED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Bytes by digest, in memory or in a file."""

    digest: str
    size: int
    content: bytes | Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A gzip'ed tar of one file; diff_id is the digest of the tar."""

    blob: Blob
    diff_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image for one platform."""

    config: Blob
    layers: tuple[Layer, ...]
    manifest: bytes

    @property
    def blobs(self) -> tuple[Blob, ...]:
        return (self.config, *(layer.blob for layer in self.layers))


def a_layer(seed: int, size: int) -> Layer:
    """A layer with a file of so many random bytes."""
    buffer = io.BytesIO()
    digest, diff_id, written = _write_layer(buffer, seed, size)
    return Layer(blob=Blob(digest=digest, size=written, content=buffer.getvalue()), diff_id=diff_id)


def a_layer_in_file(path: Path, seed: int, size: int) -> Layer:
    """The same as a_layer, kept in a file."""
    with path.open("wb") as file:
        digest, diff_id, written = _write_layer(file, seed, size)
    return Layer(blob=Blob(digest=digest, size=written, content=path), diff_id=diff_id)


def an_image(layers: tuple[Layer, ...], *, name: str) -> Image:
    """An image of the layers; the name makes its config, and so its digest, its own."""
    config = _blob(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"name": name}},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(_CONFIG_TYPE, config),
        "layers": [_descriptor(_LAYER_TYPE, layer.blob) for layer in layers],
    }
    return Image(config=config, layers=layers, manifest=json.dumps(manifest).encode())


class _Hashed(io.RawIOBase):
    """Passes on what is written and keeps its digest and size."""

    def __init__(self, target: BinaryIO | gzip.GzipFile) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._target.write(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


class _RandomFile(io.RawIOBase):
    """Random bytes without an end."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def read(self, size: int = -1) -> bytes:
        return self._random.randbytes(size)


def _write_layer(target: BinaryIO, seed: int, size: int) -> tuple[str, str, int]:
    """The digest of what was written, that of the tar in it, and how many bytes were written."""
    packed = _Hashed(target)
    with gzip.GzipFile(fileobj=packed, mode="wb", filename="", compresslevel=_STORED, mtime=0) as squeezed:
        plain = _Hashed(squeezed)
        member = tarfile.TarInfo("data")
        member.size = size
        with tarfile.open(fileobj=plain, mode="w|") as archive:
            archive.addfile(member, _RandomFile(seed))
    return packed.digest, plain.digest, packed.size


def _blob(document: dict[str, Any]) -> Blob:
    content = json.dumps(document).encode()
    return Blob(digest=f"sha256:{hashlib.sha256(content).hexdigest()}", size=len(content), content=content)


def _descriptor(media_type: str, blob: Blob) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": blob.digest, "size": blob.size}
