"""The tags of the source repository, listed once when somebody first asks."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, Final

from jobservice.engine.endpoint import Endpoint, retried
from oci_client.errors import NotFound

MAX_TAGS: Final = 1_000_000  # of one repository; about 100 MB


class SourceTags:
    """Answers whether a repository has a tag, without a request for each."""

    def __init__(self, registry: Endpoint, repository: str) -> None:
        self._registry = registry
        self._repository = repository
        self._tags: frozenset[str] | None = None
        self._listing = asyncio.Lock()

    async def have(self, tag: str) -> bool:
        """Tell whether the repository has the tag. Raises OciError when its tags cannot be listed."""
        async with self._listing:
            if self._tags is None:
                self._tags = await retried(self._list)
        return tag in self._tags

    async def _list(self) -> frozenset[str]:
        found: set[str] = set()
        pages: Any = self._registry.client.tags(self._repository)  # a generator, which its type does not say
        try:
            async with aclosing(pages):
                async for page in pages:
                    found.update(page)
                    if len(found) > MAX_TAGS:
                        break
        except NotFound:
            return frozenset()
        return frozenset(found)
