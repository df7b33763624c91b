"""How large chunks a registry takes: learned from what it refuses, and kept for as long as it is in use."""

from __future__ import annotations

from typing import Final

# GitHub's packages take no larger ones; a registry that refuses these takes none.
SMALL_CHUNK_BYTES: Final = 4 * 1024 * 1024


class ChunkSizes:
    """What one registry takes. Shared by threads, which may learn the same thing twice."""

    def __init__(self, small: int = SMALL_CHUNK_BYTES) -> None:
        self._small = small
        self._most: int | None = None

    def size(self, wanted: int, least: int) -> int | None:
        """Return the size for chunks, between what is wanted and what the session wants at least; None for none."""
        size = max(wanted, least) if self._most is None else min(wanted, self._most)
        return size if size >= max(least, 1) else None

    def refuse(self, size: int) -> None:
        """Note that the registry took no chunk of this size: small ones are next, and then none."""
        most = self._small if size > self._small else 0
        self._most = most if self._most is None else min(most, self._most)

    def refuse_all(self) -> None:
        """Note that the registry takes whole blobs only."""
        self._most = 0
