"""The upload endpoints of the fake registry: mounts, whole blobs, chunks."""

import re

from oci_client.testing.behaviour import Behaviour
from oci_client.testing.messages import RegistryError, Reply, Request
from oci_client.testing.store import Store, Upload

_CONTENT_RANGE = re.compile(r"(\d+)-(\d+)")


class UploadEndpoints:
    """Opens uploads, takes their bytes, and closes them."""

    def __init__(self, store: Store, behaviour: Behaviour) -> None:
        self._store = store
        self._behaviour = behaviour

    async def start(self, request: Request) -> Reply:
        """201 when the blob is mounted or came along, otherwise 202 and a session."""
        mounted = request.param("mount")
        if mounted and self._mount(request.repository, mounted, request.param("from")):
            return _created(request.repository, mounted)
        digest = request.param("digest")
        upload = self._store.open_upload(request.repository)
        if digest and self._behaviour.single_post:
            await self._take(request, upload)
            return self._close(upload, digest)
        reply = _standing(upload, 202)
        shortest = self._behaviour.min_chunk_bytes
        return reply.with_header("OCI-Chunk-Min-Length", str(shortest)) if shortest else reply

    async def status(self, request: Request) -> Reply:
        return _standing(self._find(request), 204)

    async def patch(self, request: Request) -> Reply:
        upload = self._find(request)
        self._check_chunk(request, upload)
        await self._take(request, upload)
        return _standing(upload, 202)

    async def finish(self, request: Request) -> Reply:
        """Closes the upload; the body, if there is one, is its last part."""
        upload = self._find(request)
        digest = request.param("digest")
        if digest is None:
            raise RegistryError(400, "DIGEST_INVALID", "digest missing")
        if request.content_length != 0:
            self._check_chunk(request, upload, final=True)
            await self._take(request, upload)
        return self._close(upload, digest)

    async def cancel(self, request: Request) -> Reply:
        self._store.cancel_upload(self._find(request))
        return Reply.of(204)

    def _mount(self, repository: str, digest: str, source: str | None) -> bool:
        origin = self._store.find(source) if source and self._behaviour.mount else None
        if origin is None or digest not in origin.blobs:
            return False
        self._store.repository(repository).blobs[digest] = origin.blobs[digest]
        return True

    def _find(self, request: Request) -> Upload:
        upload = self._store.find_upload(request.reference, request.repository)
        if upload is None:
            raise RegistryError(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if self._behaviour.stale_state_cancels and request.param("_state") != str(upload.size):
            self._store.cancel_upload(upload)
            raise RegistryError(400, "BLOB_UPLOAD_INVALID", "blob upload invalid", detail="state and size differ")
        return upload

    def _check_chunk(self, request: Request, upload: Upload, *, final: bool = False) -> None:
        longest, length = self._behaviour.max_chunk_bytes, request.content_length
        if longest is not None and not final and (length is None or length > longest):
            raise _out_of_range(upload, f"a chunk has at most {longest} bytes, and says how many")
        given = request.header("Content-Range")
        if given is not None and self._behaviour.content_range:
            found = _CONTENT_RANGE.fullmatch(given)
            if found is None or int(found[1]) != upload.size:
                raise _out_of_range(upload, f"the upload stands at {upload.size}")
        if upload.ended_short:
            raise RegistryError(400, "SIZE_INVALID", "a chunk before this one was too short")
        upload.ended_short = not final and length is not None and length < self._behaviour.min_chunk_bytes

    async def _take(self, request: Request, upload: Upload) -> None:
        async for piece in request.body:
            upload.append(piece)

    def _close(self, upload: Upload, digest: str) -> Reply:
        if not _matches(upload, digest):
            self._store.cancel_upload(upload)
            raise RegistryError(400, "DIGEST_INVALID", "the digest is not that of the content", detail=digest)
        self._store.finish_upload(upload, digest)
        return _created(upload.repository, digest)


def _matches(upload: Upload, digest: str) -> bool:
    try:
        return upload.matches(digest)
    except ValueError:
        return False


def _created(repository: str, digest: str) -> Reply:
    reply = Reply.of(201, location=f"/v2/{repository}/blobs/{digest}")
    return reply.with_header("Docker-Content-Digest", digest)


def _location(upload: Upload) -> str:
    return f"/v2/{upload.repository}/blobs/uploads/{upload.id}?_state={upload.size}"


def _standing(upload: Upload, status: int) -> Reply:
    """Where the upload stands. Zero bytes and one byte look the same in Range, as on distribution."""
    reply = Reply.of(status, location=_location(upload), range=f"0-{max(0, upload.size - 1)}")
    return reply.with_header("Docker-Upload-UUID", upload.id)


def _out_of_range(upload: Upload, message: str) -> RegistryError:
    headers = {"Location": _location(upload), "Range": f"0-{max(0, upload.size - 1)}"}
    return RegistryError(416, "BLOB_UPLOAD_INVALID", message, headers=headers)
