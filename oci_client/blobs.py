"""Blobs over HTTP: head and get."""

from collections.abc import AsyncGenerator

from oci_client.answers import without_query
from oci_client.auth import pull_scope
from oci_client.digest import Digest
from oci_client.errors import DigestMismatch, SizeMismatch, UnexpectedAnswer
from oci_client.exchange import Exchange, refused
from oci_client.gate import Action
from oci_client.headers import content_length
from oci_client.http import StreamedAnswer, read_answer


class Blobs:
    """The reading blob part of a RegistryClient."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def head_blob(self, repository: str, digest: Digest) -> int | None:
        """Return the size of the blob, None if the repository lacks it."""
        url = self._exchange.repository_url(repository, f"blobs/{digest}")
        answer = await self._exchange.request(Action.HEAD_BLOB, "HEAD", url, scopes=[pull_scope(repository)])
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise refused("HEAD", answer)
        size = content_length(answer.headers)
        if size is None:
            raise UnexpectedAnswer(f"{without_query(answer.url)}: the answer does not tell the size of the blob")
        return size

    async def get_blob(
        self, repository: str, digest: Digest, *, size: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the blob's bytes, which are verified: after the last piece a wrong digest or size raises.

        Raises BlobUnknown or another NotFound, TruncatedBody, SizeMismatch, DigestMismatch. A consumer that may
        stop early wraps it in `contextlib.aclosing`, so that the connection is freed at once.
        """
        url = self._exchange.repository_url(repository, f"blobs/{digest}")
        scopes = [pull_scope(repository)]
        async with self._exchange.stream(Action.GET_BLOB, "GET", url, scopes=scopes) as answer:
            if answer.status != 200:
                raise refused("GET", await read_answer(answer, 0))
            async for chunk in _verified(answer, digest, size):
                yield chunk


async def _verified(answer: StreamedAnswer, digest: Digest, size: int | None) -> AsyncGenerator[bytes, None]:
    expected = content_length(answer.headers) if size is None else size
    hasher = digest.hasher()
    received = 0
    async for chunk in answer.chunks():
        received += len(chunk)
        if expected is not None and received > expected:
            raise SizeMismatch(expected=expected, actual=received)
        hasher.update(chunk)
        yield chunk
    if expected is not None and received != expected:
        raise SizeMismatch(expected=expected, actual=received)
    if not digest.matches(hasher):
        raise DigestMismatch(expected=digest, actual=Digest.from_hasher(digest.algorithm, hasher))
