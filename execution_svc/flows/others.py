"""What is not deleted, since another policy has it at the destination as well."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from execution_svc.domain.policy import Policy
from execution_svc.domain.transfer import Reference
from execution_svc.domain.written import TagPlace, kept_for
from execution_svc.flows.planning import Item


class Others(Protocol):
    """What other policies have at destinations."""

    async def other_policies(self, policy: Policy, places: Sequence[TagPlace]) -> Mapping[TagPlace, str]:
        """Those of the places at which another policy has the tag from its own source, and the uid of that policy."""
        ...


async def keep_for_others(items: Sequence[Item], policy: Policy, others: Others) -> list[Item]:
    """The items, which delete; the tags that another policy has there too are items of their own, skipped."""
    places = [_place(item, each) for item in items if not item.failure for each in item.references]
    found = await others.other_policies(policy, places)
    return [part for item in items for part in ([item] if item.failure else _parted(item, found))]


def _parted(item: Item, found: Mapping[TagPlace, str]) -> list[Item]:
    of = {each: found.get(_place(item, each), "") for each in item.references}
    return [
        _part(item, [each for each in item.references if of[each] == other], other)
        for other in sorted(set(of.values()))
    ]


def _part(item: Item, references: Sequence[Reference], other: str) -> Item:
    """What is nobody else's is deleted."""
    part = replace(item, references=tuple(references))
    return replace(part, failure=kept_for(other, item.destination_repository), skipped=True) if other else part


def _place(item: Item, reference: Reference) -> TagPlace:
    tag = reference.destination_tag or reference.tag
    return TagPlace(item.destination_registry, item.destination_repository, tag)
