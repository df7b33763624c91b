"""Deletes one tag, also where a registry deletes by digest only."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, Protocol

from oci_client.errors import NotFound, Unsupported
from oci_client.manifest import Descriptor
from registry_svc.adapters.retries import Retries
from registry_svc.domain.errors import TagDeletionUnsupported, TagNotFound

MAX_OTHER_TAGS: Final = 1000  # each costs a request; a caller does not wait for more
CONCURRENCY: Final = 8


class Tags(Protocol):
    """What of a registry is needed to delete a tag."""

    def tags(self, repository: str) -> AsyncIterator[list[str]]: ...

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None: ...

    async def delete_manifest(self, repository: str, reference: str) -> None: ...


class TagDeletion:
    """Deletes a tag of a repository. Other errors than its own are those of oci_client."""

    def __init__(self, registry: Tags, repository: str, tag: str, retries: Retries) -> None:
        self._registry = registry
        self._repository = repository
        self._tag = tag
        self._retries = retries

    async def run(self) -> None:
        """Raises TagNotFound or TagDeletionUnsupported."""
        try:
            await self._delete(self._tag)
        except Unsupported:
            await self._delete_digest()

    async def _delete_digest(self) -> None:
        """A tag that is pushed to the same digest between our look and the deletion is lost: no request guards that."""
        digest = await self._digest(self._tag)
        if digest is None:
            raise TagNotFound(repository=self._repository, tag=self._tag)
        if await self._is_shared(digest):
            raise self._unsupported()
        try:
            await self._delete(digest)
        except Unsupported as error:
            raise self._unsupported() from error

    async def _delete(self, reference: str) -> None:
        try:
            await self._retries.run(lambda: self._registry.delete_manifest(self._repository, reference))
        except NotFound as error:
            raise TagNotFound(repository=self._repository, tag=self._tag) from error

    async def _is_shared(self, digest: str) -> bool:
        others = await self._others()
        for start in range(0, len(others), CONCURRENCY):
            async with asyncio.TaskGroup() as group:
                heads = [group.create_task(self._digest(tag)) for tag in others[start : start + CONCURRENCY]]
            if any(head.result() == digest for head in heads):
                return True
        return False

    async def _others(self) -> list[str]:
        others: list[str] = []
        async with aclosing(self._retries.pages(lambda: self._registry.tags(self._repository))) as pages:
            async for page in pages:
                others += (tag for tag in page if tag != self._tag)
                if len(others) > MAX_OTHER_TAGS:
                    raise self._unsupported()
        return others

    async def _digest(self, tag: str) -> str | None:
        found = await self._retries.run(lambda: self._registry.head_manifest(self._repository, tag))
        return None if found is None else str(found.digest)

    def _unsupported(self) -> TagDeletionUnsupported:
        return TagDeletionUnsupported(repository=self._repository, tag=self._tag)
