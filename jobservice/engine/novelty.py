"""Whether a destination repository is new, so that nothing need be looked for in it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from jobservice.engine.endpoint import Endpoint, retried
from oci_client.errors import NotFound, OciError


class Novelty:
    """Asks for the repository's tags, once, when somebody first wants to know."""

    def __init__(self, registry: Endpoint, repository: str) -> None:
        self._registry = registry
        self._repository = repository
        self._is_new: bool | None = None
        self._asking = asyncio.Lock()

    async def is_new(self) -> bool:
        """Tell whether the repository has no tags. A registry that will not say counts as one that has."""
        async with self._asking:
            if self._is_new is None:
                try:
                    self._is_new = not await retried(self._has_tags)
                except NotFound:
                    self._is_new = True
                except OciError:
                    self._is_new = False
        return self._is_new

    def deny(self) -> None:
        """The repository turned out to hold something."""
        self._is_new = False

    async def _has_tags(self) -> bool:
        pages: Any = self._registry.client.tags(self._repository)  # a generator, which its type does not say
        async with contextlib.aclosing(pages):
            async for page in pages:
                if page:
                    return True
        return False
