"""Whether a destination repository is new, so that nothing need be looked for in it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from jobservice.engine.endpoint import Endpoint, retried
from jobservice.engine.inhabited import Tags
from oci_client.errors import NameUnknown, NotFound, OciError


class Novelty:
    """Asks for the repository's tags, once, when somebody first wants to know."""

    def __init__(self, registry: Endpoint, repository: str) -> None:
        self._registry = registry
        self._repository = repository
        self._tags: Tags | None = None
        self._asking = asyncio.Lock()

    async def is_new(self) -> bool:
        """Tell whether the repository has no tags. A registry that will not say counts as one that has."""
        return await self._known() is not Tags.SOME

    async def is_surely_new(self) -> bool:
        """Tell whether the registry says so itself, and has a list of tags to say it by."""
        return await self._known() is Tags.NONE

    def deny(self) -> None:
        """The repository turned out to hold something."""
        self._tags = Tags.SOME

    def end(self) -> None:
        """It has a tag now. What it has is ours: this job need not look for more, later ones must."""
        self._registry.inhabited.add(self._repository)

    async def _known(self) -> Tags:
        async with self._asking:
            if self._tags is None:
                self._tags = await self._registry.inhabited.tags_of(self._repository, self._ask)
        return self._tags

    async def _ask(self) -> Tags:
        try:
            return Tags.SOME if await retried(self._has_tags) else Tags.NONE
        except NameUnknown:
            return Tags.NONE
        except NotFound:
            return Tags.NO_LIST
        except OciError:
            return Tags.SOME

    async def _has_tags(self) -> bool:
        pages: Any = self._registry.client.tags(self._repository)  # a generator, which its type does not say
        async with contextlib.aclosing(pages):
            async for page in pages:
                if page:
                    return True
        return False
