"""Deletes one tag, also where a registry deletes by digest only."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from oci_client.errors import NotFound, Unsupported
from oci_client.manifest import Descriptor, ImageIndex, Manifest
from oci_client.media_types import is_index
from registry_svc.adapters.retries import Retries
from registry_svc.domain.errors import TagDeletionUnsupported, TagNotFound

MAX_OTHER_TAGS: Final = 1000  # each costs a request; a caller does not wait for more
MAX_INDEXES: Final = 1000  # as many; each costs a request too
CONCURRENCY: Final = 8


class Tags(Protocol):
    """What of a registry is needed to delete a tag."""

    def tags(self, repository: str) -> AsyncIterator[list[str]]: ...

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None: ...

    async def get_manifest(self, repository: str, reference: str) -> Manifest: ...

    async def delete_manifest(self, repository: str, reference: str) -> None: ...


class TagDeletion:
    """Deletes a tag of a repository. Other errors than its own are those of oci_client.

    Tags that are to go `along` do not keep the digest.
    """

    def __init__(
        self, registry: Tags, repository: str, tag: str, retries: Retries, *, along: Collection[str] = ()
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._tag = tag
        self._retries = retries
        self._leaving = {tag, *along}

    async def run(self) -> None:
        """Raises TagNotFound or TagDeletionUnsupported."""
        try:
            await self._delete(self._tag)
        except Unsupported:
            await self._delete_digest()

    async def _delete_digest(self) -> None:
        """A tag that is pushed to the same digest between our look and the deletion is lost: no request guards that."""
        found = await self._head(self._tag)
        if found is None:
            raise TagNotFound(repository=self._repository, tag=self._tag)
        if await self._is_needed(str(found.digest)):
            raise self._unsupported()
        try:
            await self._delete(str(found.digest))
        except Unsupported as error:
            raise self._unsupported() from error

    async def _delete(self, reference: str) -> None:
        try:
            await self._retries.run(lambda: self._registry.delete_manifest(self._repository, reference))
        except NotFound as error:
            raise TagNotFound(repository=self._repository, tag=self._tag) from error

    async def _is_needed(self, digest: str) -> bool:
        """Whether another tag stands for the digest, or for an index that it is a part of."""
        others = await self._others()
        indexes: set[str] = set()
        for start in range(0, len(others), CONCURRENCY):
            async with asyncio.TaskGroup() as group:
                heads = [group.create_task(self._head(tag)) for tag in others[start : start + CONCURRENCY]]
            found = [head for each in heads if (head := each.result())]
            if any(each.digest == digest for each in found):
                return True
            indexes.update(each.digest for each in found if is_index(each.media_type))
        return await self._is_part(digest, indexes)

    async def _is_part(self, digest: str, indexes: set[str]) -> bool:
        seen: set[str] = set()
        while waiting := sorted(indexes - seen)[:CONCURRENCY]:
            seen.update(waiting)
            if len(seen) > MAX_INDEXES:
                raise self._unsupported()
            async with asyncio.TaskGroup() as group:
                reads = [group.create_task(self._children(index)) for index in waiting]
            found = [child for each in reads for child in each.result()]
            if any(child.digest == digest for child in found):
                return True
            indexes.update(child.digest for child in found if is_index(child.media_type))
        return False

    async def _children(self, index: str) -> Sequence[Descriptor]:
        try:
            manifest = await self._retries.run(lambda: self._registry.get_manifest(self._repository, index))
        except NotFound:  # deleted since
            return ()
        return manifest.manifests if isinstance(manifest, ImageIndex) else ()

    async def _others(self) -> list[str]:
        others: list[str] = []
        async with aclosing(self._retries.pages(lambda: self._registry.tags(self._repository))) as pages:
            async for page in pages:
                others += (tag for tag in page if tag not in self._leaving)
                if len(others) > MAX_OTHER_TAGS:
                    raise self._unsupported()
        return others

    async def _head(self, tag: str) -> Descriptor | None:
        return await self._retries.run(lambda: self._registry.head_manifest(self._repository, tag))

    def _unsupported(self) -> TagDeletionUnsupported:
        return TagDeletionUnsupported(repository=self._repository, tag=self._tag)
