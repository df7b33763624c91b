"""Where several sources would meet at one place, found in a listing that streams by.

A name is remembered for each repository and, where tags get other names, for each tag; nothing else of the listing is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from execution_svc.domain.plan import Action, PlannedReference
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import Collision
from execution_svc.domain.transfer import Failure, Reference
from execution_svc.flows.planning import Item, collision_failure
from replication.collisions import CollisionDetector, Placement

_BETWEEN: Final = ":"  # no repository's name has one


@dataclass(frozen=True, slots=True, kw_only=True)
class Collisions:
    """Why places cannot be written to, by registry and repository or repository and tag."""

    failures: Mapping[tuple[str, str], Failure]

    def settle(self, item: Item) -> tuple[Item, list[PlannedReference]]:
        """The item, failed if its place is taken by several; and those of its references whose tag is, without them."""
        if item.failure:
            return item, []
        if failure := self.failures.get(item.place):
            return replace(item, failure=failure), []
        taken = {each: why for each in item.references if (why := self.failures.get(_tag_place(item, each)))}
        failed = [
            PlannedReference(
                tag=each.tag,
                digest=each.digest,
                destination_tag=each.destination_tag or each.tag,
                action=Action.FAIL,
                failure=why,
            )
            for each, why in taken.items()
        ]
        return replace(item, references=tuple(each for each in item.references if each not in taken)), failed


class CollisionWatch:
    """Sees all items of a listing, and then knows the collisions among them."""

    def __init__(self, policy: Policy) -> None:
        self._by_tag = policy.registries_by_tag
        self._detector = CollisionDetector()

    def see(self, item: Item) -> None:
        if item.failure is None:
            for source, (registry, place) in self._placements(item):
                self._detector.add(Placement(source=source, registry=registry, repository=place))

    def found(self) -> Collisions:
        return Collisions(
            failures={
                (each.registry, each.repository): collision_failure(
                    Collision(
                        destination_registry=each.registry,
                        destination_repository=each.repository,
                        sources=each.sources,
                    )
                )
                for each in self._detector.collisions()
            }
        )

    def _placements(self, item: Item) -> Iterator[tuple[str, tuple[str, str]]]:
        """Repositories whose tags get other names may share a place, as long as no tag of theirs does."""
        if item.destination_registry not in self._by_tag:
            yield item.source_repository, item.place
            return
        for each in item.references:
            if each.tag:
                yield f"{item.source_repository}{_BETWEEN}{each.tag}", _tag_place(item, each)


def _tag_place(item: Item, reference: Reference) -> tuple[str, str]:
    tag = reference.destination_tag or reference.tag
    return item.destination_registry, f"{item.destination_repository}{_BETWEEN}{tag}"
