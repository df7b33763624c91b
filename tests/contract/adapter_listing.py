"""What a listing is to the tests of adapters."""

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from registry_svc.adapters.base import Adapter, Query, Reference, Resource
from replication.filters import Action as FilterAction
from replication.filters import Dimension, FilterRule, Selection
from replication.matchers import Glob
from replication.rejection import Cause


@dataclass
class Found:
    """What a listing brought."""

    digests: dict[tuple[str, str], str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    rejections: dict[tuple[str, str], Cause] = field(default_factory=dict)
    largest_batch: int = 0

    @property
    def names(self) -> set[tuple[str, str]]:
        return set(self.digests)


def rule(dimension: Dimension, glob: str, *, excludes: bool = False) -> FilterRule:
    action = FilterAction.EXCLUDE if excludes else FilterAction.INCLUDE
    return FilterRule(dimension=dimension, action=action, matcher=Glob(glob))


async def listed(adapter: Adapter, *rules: FilterRule, **query: Any) -> Found:
    """Everything in `team`, or what the rules and the rest of the query let through."""
    selection = Selection.compile(rules or [rule(Dimension.NAME, "team/**")])
    found = Found()
    async with aclosing(adapter.list_artifacts(Query(selection=selection, **query))) as batches:
        async for batch in batches:
            size = 0
            for resource in batch.resources:
                assert resource.references, "a repository with nothing to replicate is no resource"
                for each in resource.references:
                    assert (resource.repository, each.tag) not in found.digests, "told twice"
                    found.digests[resource.repository, each.tag] = each.digest
                    size += 1
            found.largest_batch = max(found.largest_batch, size)
            found.failures |= {each.repository: each.failure.reason for each in batch.failures}
            found.rejections |= {(each.repository, each.tag): each.why.cause for each in batch.rejections}
    return found


def within(repository: str, *references: Reference) -> tuple[Resource, ...]:
    return (Resource(repository=repository, references=references),)
