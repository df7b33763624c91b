"""What is known of the repositories of a registry: whether they have tags."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from enum import Enum, auto
from typing import Any, Final

from oci_client.singleflight import SingleFlight

MAX_REPOSITORIES: Final = 100_000  # remembered of one registry; about 10 MB


class Tags(Enum):
    """What a registry says of a repository's tags."""

    NONE = auto()
    # It answers as if there were no such thing, which some do that have no list of tags at all.
    NO_LIST = auto()
    SOME = auto()


class Inhabited:
    """Repositories that have tags, for all jobs of a process. It may forget; what has tags keeps some."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._asking: SingleFlight[str, Tags] = SingleFlight()

    async def tags_of(self, repository: str, ask: Callable[[], Coroutine[Any, Any, Tags]]) -> Tags:
        """Return what is known, or what asking tells, once for all who ask at the same time."""
        if repository in self._names:
            return Tags.SOME
        tags = await self._asking.run(repository, ask)
        if tags is Tags.SOME:
            self.add(repository)
        return tags

    def add(self, repository: str) -> None:
        """Remember that it has tags."""
        if len(self._names) >= MAX_REPOSITORIES:
            self._names.clear()
        self._names.add(repository)
