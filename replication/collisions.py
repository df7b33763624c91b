"""Two repositories of the source must not become one at the destination: the later would overwrite the earlier."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A repository of the source and where it goes."""

    source: str
    registry: str
    repository: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """A destination and all the repositories that would go there, in the order in which they came."""

    registry: str
    repository: str
    sources: tuple[str, ...]


class CollisionDetector:
    """Watches a listing as it streams by. It remembers a name for each placed repository, and nothing of its tags."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], str] = {}
        self._collided: dict[tuple[str, str], dict[str, None]] = {}

    def add(self, placement: Placement) -> str | None:
        """Notes the placement. Gives the source that has taken the place before; None if the place was free.

        A repository that comes again, with more of its tags, does not collide with itself.
        """
        key = (placement.registry, placement.repository)
        first = self._first.setdefault(key, placement.source)
        if first == placement.source:
            return None
        self._collided.setdefault(key, {first: None})[placement.source] = None
        return first

    def collisions(self) -> list[Collision]:
        """Every collision so far, each with all of its sources."""
        return [
            Collision(registry=registry, repository=repository, sources=tuple(sources))
            for (registry, repository), sources in self._collided.items()
        ]


def find_collisions(placements: Iterable[Placement]) -> list[Collision]:
    """The collisions among all the placements."""
    detector = CollisionDetector()
    for placement in placements:
        detector.add(placement)
    return detector.collisions()
