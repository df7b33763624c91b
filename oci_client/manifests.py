"""Manifests over HTTP: head, get, put, delete."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from oci_client import media_types
from oci_client.answers import without_query
from oci_client.auth import delete_scope, pull_scope, push_scope
from oci_client.digest import SHA256, Digest
from oci_client.errors import DigestMismatch, ManifestInvalid, UnexpectedAnswer
from oci_client.exchange import Exchange, content_digest, refused, with_query
from oci_client.gate import Action
from oci_client.headers import content_length
from oci_client.http import Answer
from oci_client.manifest import MAX_MANIFEST_BYTES, Descriptor, Manifest, Schema1Manifest, parse_manifest
from oci_client.reference import tag_or_digest

_ACCEPT: Final = {"Accept": ", ".join(media_types.ACCEPT_MANIFESTS)}
_HEAD_NOT_ALLOWED: Final = frozenset({405, 501})
_STORED: Final = frozenset({200, 201, 202})
_DELETED: Final = frozenset({200, 202, 204})


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What the registry said to a manifest: its digest, whether it indexed the subject, and the tags it set besides."""

    digest: Digest | None
    subject_acknowledged: bool
    tags: tuple[str, ...] = ()


class Manifests:
    """The manifest part of a RegistryClient."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None:
        """Return what `reference` points to, None if there is nothing.

        Falls back to a GET where the registry does not answer HEAD in full.
        """
        url = self._url(repository, reference)
        scopes = [pull_scope(repository)]
        answer = await self._exchange.request(Action.HEAD_MANIFEST, "HEAD", url, scopes=scopes, headers=_ACCEPT)
        if answer.status == 404:
            return None
        if answer.status in _HEAD_NOT_ALLOWED:
            return (await self.get_manifest(repository, reference)).descriptor
        if answer.status != 200:
            raise refused("HEAD", answer)
        return _described(answer, reference) or (await self.get_manifest(repository, reference)).descriptor

    async def get_manifest(self, repository: str, reference: str) -> Manifest:
        """Return the manifest; its digest is computed here and agrees with what was asked and what was announced.

        Raises ManifestUnknown or another NotFound, ManifestInvalid, BodyTooLarge, DigestMismatch.
        """
        answer = await self._exchange.request(
            Action.GET_MANIFEST,
            "GET",
            self._url(repository, reference),
            scopes=[pull_scope(repository)],
            headers=_ACCEPT,
            max_body=MAX_MANIFEST_BYTES,
        )
        if answer.status != 200:
            raise refused("GET", answer)
        return _verified(answer, reference)

    async def put_manifest(
        self, repository: str, reference: str, manifest: Manifest, *, tags: Sequence[str] = ()
    ) -> PutResult:
        """Store the manifest's bytes under `reference`, and ask for `tags` to be set in the same request.

        Registries that do not know that leave `tags` out of the result. Raises ManifestBlobUnknown, TagImmutable.
        """
        answer = await self._exchange.request(
            Action.PUT_MANIFEST,
            "PUT",
            with_query(self._url(repository, reference), [("tag", tag) for tag in tags]),
            scopes=[push_scope(repository)],
            headers={"Content-Type": manifest.media_type},
            content=manifest.raw,
        )
        if answer.status not in _STORED:
            raise refused("PUT", answer)
        digest = content_digest(answer.headers)
        _require_same(manifest.digest, digest)
        return PutResult(
            digest=digest,
            subject_acknowledged="oci-subject" in answer.headers,
            tags=tuple(tag.strip() for line in answer.headers.all("oci-tag") for tag in line.split(",")),
        )

    async def delete_manifest(self, repository: str, reference: str) -> None:
        """Delete a tag, or by digest a manifest with all its tags.

        Raises NotFound, and Unsupported where deletion is switched off or tags cannot be deleted on their own.
        """
        url = self._url(repository, reference)
        answer = await self._exchange.request(Action.DELETE, "DELETE", url, scopes=[delete_scope(repository)])
        if answer.status in _DELETED:
            return
        if answer.status == 400 and _asked_digest(reference) is None:
            # Registries that delete by digest only complain that the tag is no digest.
            answer = replace(answer, status=405)
        raise refused("DELETE", answer)

    def _url(self, repository: str, reference: str) -> str:
        return self._exchange.repository_url(repository, f"manifests/{tag_or_digest(reference)}")


def _described(answer: Answer, reference: str) -> Descriptor | None:
    """Read a HEAD answer; None when it does not tell all."""
    digest = content_digest(answer.headers)
    size = content_length(answer.headers)
    media_type = media_types.essence(answer.headers.get("content-type"))
    if digest is None or size is None or media_types.is_vague(media_type):
        return None
    _require_same(_asked_digest(reference), digest)
    return Descriptor(media_type=media_type, digest=digest, size=size)


def _verified(answer: Answer, reference: str) -> Manifest:
    media_type = media_types.essence(answer.headers.get("content-type"))
    if media_type == "text/html":
        raise UnexpectedAnswer(f"{without_query(answer.url)}: a web page in place of a manifest")
    expected = [each for each in (_asked_digest(reference), content_digest(answer.headers)) if each]
    mismatch = _mismatch(expected, answer.body)
    if mismatch and not _may_be_schema1(media_type):
        raise mismatch
    try:
        manifest = parse_manifest(answer.body, media_type, algorithm=expected[0].algorithm if expected else SHA256)
    except ManifestInvalid as exc:
        if mismatch:
            raise mismatch from exc
        raise
    if mismatch and not isinstance(manifest, Schema1Manifest):
        raise mismatch
    for digest in expected:
        _require_same(digest, manifest.digest)
    return manifest


def _mismatch(expected: Iterable[Digest], body: bytes) -> DigestMismatch | None:
    for digest in expected:
        actual = Digest.of(body, digest.algorithm)
        if actual != digest:
            return DigestMismatch(expected=digest, actual=actual)
    return None


def _may_be_schema1(media_type: str) -> bool:
    """Whether the digest may leave out the signatures: of such content it is known only when it is read."""
    return media_types.is_schema1(media_type) or media_types.is_vague(media_type)


def _asked_digest(reference: str) -> Digest | None:
    asked = tag_or_digest(reference)
    return asked if isinstance(asked, Digest) else None


def _require_same(expected: Digest | None, actual: Digest | None) -> None:
    """Raise DigestMismatch unless both agree; digests of different algorithms cannot be compared."""
    if expected and actual and expected.algorithm == actual.algorithm and expected != actual:
        raise DigestMismatch(expected=expected, actual=actual)
