"""The manifest endpoints of the fake registry."""

from oci_client.testing.behaviour import MAX_MANIFEST_BYTES, Behaviour
from oci_client.testing.blob import digest_of
from oci_client.testing.messages import RegistryError, Reply, Request
from oci_client.testing.store import Manifest, Repository, Store

DIGEST_HEADER = "Docker-Content-Digest"


class ManifestEndpoints:
    """Reads, takes and deletes manifests."""

    def __init__(self, store: Store, behaviour: Behaviour) -> None:
        self._store = store
        self._behaviour = behaviour

    async def get(self, request: Request) -> Reply:
        """404 also when the client did not say that it accepts this type of manifest."""
        _, manifest = self._find(request)
        if self._behaviour.negotiate and manifest.media_type not in _accepted(request):
            raise RegistryError(404, "MANIFEST_UNKNOWN", f"{manifest.media_type} found, but not in the Accept header")
        reply = Reply.of(200, manifest.body, content_type=manifest.media_type)
        return reply.with_header(DIGEST_HEADER, manifest.digest)

    async def put(self, request: Request) -> Reply:
        manifest = _parse(request, await request.read(MAX_MANIFEST_BYTES))
        if self._behaviour.validate_manifests:
            _check_parts(self._store.find(request.repository) or Repository(request.repository), manifest)
        repository = self._store.repository(request.repository)
        repository.manifests[manifest.digest] = manifest
        tags = self._tags_of(request)
        repository.tags.update(dict.fromkeys(tags, manifest.digest))
        reply = Reply.of(201, location=f"/v2/{repository.name}/manifests/{request.reference}")
        if manifest.subject and self._behaviour.referrers_api:
            reply = reply.with_header("OCI-Subject", manifest.subject)
        answered_tags = tags if _is_digest(request.reference) else ()
        return reply.with_header(DIGEST_HEADER, manifest.digest).with_header("OCI-Tag", *answered_tags)

    async def delete(self, request: Request) -> Reply:
        """By digest every tag of the manifest goes, by tag only the tag."""
        if not _is_digest(request.reference) and not self._behaviour.delete_by_tag:
            raise RegistryError(400, "UNSUPPORTED", "delete by digest only")
        repository, manifest = self._find(request)
        if _is_digest(request.reference):
            repository.remove_manifest(manifest.digest)
        else:
            del repository.tags[request.reference]
        return Reply.of(202)

    def _find(self, request: Request) -> tuple[Repository, Manifest]:
        repository = self._store.find(request.repository)
        manifest = repository.find(request.reference) if repository else None
        if repository is None or manifest is None:
            detail = {"name": request.repository, "reference": request.reference}
            raise RegistryError(404, "MANIFEST_UNKNOWN", "manifest unknown", detail=detail)
        return repository, manifest

    def _tags_of(self, request: Request) -> tuple[str, ...]:
        if not _is_digest(request.reference):
            return (request.reference,)
        return request.params("tag") if self._behaviour.oci_tag_put else ()


def _parse(request: Request, body: bytes) -> Manifest:
    media_type = (request.header("Content-Type") or "").partition(";")[0].strip()
    try:
        digest = digest_of(body, request.reference.partition(":")[0] if _is_digest(request.reference) else "sha256")
        manifest = Manifest.parse(digest, media_type, body)
    except ValueError as exc:
        raise RegistryError(400, "MANIFEST_INVALID", str(exc)) from exc
    if not media_type or manifest.document.get("mediaType", media_type) != media_type:
        raise RegistryError(400, "MANIFEST_INVALID", "Content-Type and mediaType differ")
    if _is_digest(request.reference) and request.reference != digest:
        raise RegistryError(400, "DIGEST_INVALID", "the digest is not that of the content", detail={"digest": digest})
    return manifest


def _check_parts(repository: Repository, manifest: Manifest) -> None:
    for digest in manifest.blob_digests:
        if digest not in repository.blobs:
            raise RegistryError(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry", detail={"digest": digest})
    for digest in manifest.child_digests:
        if digest not in repository.manifests:
            raise RegistryError(400, "MANIFEST_UNKNOWN", "manifest unknown to registry", detail={"digest": digest})


def _accepted(request: Request) -> set[str]:
    return {part.partition(";")[0].strip() for part in (request.header("Accept") or "").split(",")}


def _is_digest(reference: str) -> bool:
    return ":" in reference
