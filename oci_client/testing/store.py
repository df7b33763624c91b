"""What the fake registry holds: repositories with blobs, manifests and tags, and the uploads under way."""

import hashlib
import json
from bisect import insort
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any, Self
from uuid import uuid4

from oci_client.testing.blob import Blob, BytesBlob, FileBlob, digest_of_blob

SPILL_BYTES = 8 * 1024 * 1024  # an upload beyond this goes to a temporary file


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A manifest as it was pushed, and the same parsed."""

    digest: str
    media_type: str
    body: bytes
    document: dict[str, Any]

    @classmethod
    def parse(cls, digest: str, media_type: str, body: bytes) -> Self:
        """Raises ValueError when the body is no JSON object."""
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("a manifest is a JSON object")  # noqa: TRY004 - one error for every bad body
        return cls(digest=digest, media_type=media_type, body=body, document=document)

    @property
    def subject(self) -> str | None:
        subject = self.document.get("subject")
        return str(subject["digest"]) if subject else None

    @property
    def artifact_type(self) -> str:
        config = self.document.get("config") or {}
        return str(self.document.get("artifactType") or config.get("mediaType") or "")

    @property
    def child_digests(self) -> Iterator[str]:
        return (str(child["digest"]) for child in self.document.get("manifests") or ())

    @property
    def blob_digests(self) -> Iterator[str]:
        """The config and the layers that must be here; layers with `urls` live elsewhere."""
        config = self.document.get("config")
        layers = [*(self.document.get("layers") or ()), *(self.document.get("blobs") or ())]
        parts = ([config] if config else []) + [layer for layer in layers if not layer.get("urls")]
        return (str(part["digest"]) for part in parts)

    def as_referrer(self) -> dict[str, Any]:
        """The descriptor that a referrers list holds."""
        descriptor = {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body)}
        extra = {"artifactType": self.artifact_type, "annotations": self.document.get("annotations")}
        return descriptor | {key: value for key, value in extra.items() if value}


@dataclass(slots=True)
class Repository:
    """One repository."""

    name: str
    blobs: dict[str, Blob] = field(default_factory=dict)
    manifests: dict[str, Manifest] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def find(self, reference: str) -> Manifest | None:
        """The manifest that a tag or digest stands for."""
        return self.manifests.get(self.tags.get(reference, reference))

    def referrers(self, subject: str) -> list[Manifest]:
        found = (manifest for manifest in self.manifests.values() if manifest.subject == subject)
        return sorted(found, key=lambda manifest: manifest.digest)

    def remove_manifest(self, digest: str) -> None:
        """Removes a manifest and, with it, every tag that stands for it."""
        del self.manifests[digest]
        self.tags = {tag: target for tag, target in self.tags.items() if target != digest}


class Upload:
    """A blob that is being uploaded: a file in memory that moves to disk when it grows."""

    def __init__(self, repository: str) -> None:
        self.id = uuid4().hex
        self.repository = repository
        self.size = 0
        self.ended_short = False
        self._file = SpooledTemporaryFile(max_size=SPILL_BYTES)  # noqa: SIM115 - lives as long as the blob
        self._sha256 = hashlib.sha256()

    def append(self, piece: bytes) -> None:
        self._file.write(piece)
        self._sha256.update(piece)
        self.size += len(piece)

    def matches(self, digest: str) -> bool:
        """Raises ValueError for an algorithm that nobody has."""
        algorithm, _, encoded = digest.partition(":")
        if algorithm == "sha256":
            return self._sha256.hexdigest() == encoded
        return digest_of_blob(FileBlob(self._file, self.size), algorithm) == digest

    def finish(self) -> Blob:
        """The blob; what fits into memory leaves the file."""
        if self.size > SPILL_BYTES:
            return FileBlob(self._file, self.size)
        self._file.seek(0)
        with self._file as file:
            return BytesBlob(file.read())

    def discard(self) -> None:
        self._file.close()


class Store:
    """Everything in the registry. Quick with tens of thousands of repositories."""

    def __init__(self) -> None:
        self._repositories: dict[str, Repository] = {}
        self._names: list[str] = []
        self._uploads: dict[str, Upload] = {}
        self._files = ExitStack()

    @property
    def names(self) -> list[str]:
        """Names of all repositories, in order."""
        return self._names

    @property
    def open_uploads(self) -> list[Upload]:
        return list(self._uploads.values())

    def find(self, name: str) -> Repository | None:
        return self._repositories.get(name)

    def repository(self, name: str) -> Repository:
        """The repository, made when it is not there."""
        found = self._repositories.get(name)
        if found is None:
            found = self._repositories[name] = Repository(name)
            insort(self._names, name)
        return found

    def open_upload(self, repository: str) -> Upload:
        upload = Upload(repository)
        self._uploads[upload.id] = upload
        return upload

    def find_upload(self, upload_id: str, repository: str) -> Upload | None:
        upload = self._uploads.get(upload_id)
        return upload if upload and upload.repository == repository else None

    def finish_upload(self, upload: Upload, digest: str) -> None:
        """The upload becomes a blob of its repository."""
        del self._uploads[upload.id]
        blob = upload.finish()
        if isinstance(blob, FileBlob):
            self._files.callback(blob.file.close)
        self.repository(upload.repository).blobs[digest] = blob

    def cancel_upload(self, upload: Upload) -> None:
        del self._uploads[upload.id]
        upload.discard()

    def close(self) -> None:
        """Drops the uploads under way and the temporary files."""
        for upload in self.open_uploads:
            self.cancel_upload(upload)
        self._files.close()
