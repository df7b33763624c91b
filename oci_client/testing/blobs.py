"""The blob endpoints of the fake registry: whole blobs and ranges of them."""

import re
from dataclasses import replace

from oci_client.testing.blob import Blob
from oci_client.testing.messages import RegistryError, Reply, Request
from oci_client.testing.store import Store

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class BlobEndpoints:
    """Reads and deletes blobs."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, request: Request) -> Reply:
        """The blob, or with a Range header one range of it."""
        blob = self._find(request)
        wanted = request.header("Range")
        reply = Reply.blob(blob) if wanted is None or request.method == "HEAD" else _part(blob, wanted)
        about = (("Content-Type", "application/octet-stream"), ("Accept-Ranges", "bytes"))
        named = replace(reply, headers=(*reply.headers, *about))
        return named.with_header("Docker-Content-Digest", request.reference)

    async def delete(self, request: Request) -> Reply:
        self._find(request)
        del self._store.repository(request.repository).blobs[request.reference]
        return Reply.of(202)

    def _find(self, request: Request) -> Blob:
        repository = self._store.find(request.repository)
        if repository is None or request.reference not in repository.blobs:
            raise RegistryError(404, "BLOB_UNKNOWN", "blob unknown to registry", detail=request.reference)
        return repository.blobs[request.reference]


def _part(blob: Blob, wanted: str) -> Reply:
    found = _RANGE.fullmatch(wanted)
    if found is None or not any(found.groups()):
        return Reply.blob(blob)
    first, last = found.groups()
    start = int(first) if first else max(0, blob.size - int(last))
    stop = min(blob.size, int(last) + 1) if first and last else blob.size
    if start >= stop:
        headers = {"Content-Range": f"bytes */{blob.size}"}
        raise RegistryError(416, "RANGE_INVALID", "range not satisfiable", headers=headers)
    reply = Reply.blob(blob, start, stop, status=206)
    return reply.with_header("Content-Range", f"bytes {start}-{stop - 1}/{blob.size}")
