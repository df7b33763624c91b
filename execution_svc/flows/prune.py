"""Pruning: after a listing without failures, what a policy wrote and its source no longer has goes, within a guard.

The listing alone does not say that a tag is gone: a filter may have become narrower. So repositories of which something
was not listed are looked at once more, without filters.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from execution_svc.domain.execution import FlowLease
from execution_svc.domain.prune import GuardedPlace, PruneRule, RepositoryCount
from execution_svc.domain.resource import Resource
from execution_svc.domain.task import Operation
from execution_svc.domain.written import Artifact, WrittenTag
from execution_svc.flows.deletion import Present, Source, joined, written_item
from execution_svc.flows.others import Others, keep_for_others
from execution_svc.flows.planning import Item
from service_kit.clock import Clock

REPOSITORIES_PER_LOOK: Final = 100  # their tags are in memory at once
TAGS_PER_PAGE: Final = 1000
MOST_GUARDED_TOLD: Final = 100  # a mishap at the source may concern each of 10,000 repositories

FAILURES_MESSAGE: Final = "Nothing was pruned, since the listing had failures."
GUARDED_MESSAGE: Final = "Nothing was pruned, since more is missing at the source than the policy's guard allows."


class WrittenTags(Others, Protocol):
    """What the policy has written. What needs the lease raises LeaseLost without it."""

    async def unlisted(self, lease: FlowLease) -> list[str]:
        """Repositories of the source of which something was written, or found there, that was not listed this time."""
        ...

    async def looked_at(
        self, lease: FlowLease, repositories: Sequence[str], there: Sequence[Artifact], now: datetime
    ) -> None:
        """Notes what is missing in these repositories of the source, from now on if it was not before."""
        ...

    async def count_due(self, lease: FlowLease, before: datetime) -> list[RepositoryCount]:
        """Repositories of the destinations with tags that have been missing since a time.

        Due are those of them that no other policy has there.
        """
        ...

    async def due(self, lease: FlowLease, before: datetime, after: WrittenTag | None, limit: int) -> list[WrittenTag]:
        """A page of the missing tags in the order of their places."""
        ...


class Pruning:
    """What one execution prunes."""

    def __init__(self, lease: FlowLease, rule: PruneRule, source: Source, written: WrittenTags, clock: Clock) -> None:
        self._lease = lease
        self._rule = rule
        self._source = source
        self._written = written
        self._now = clock.now()

    async def look(self) -> bool:
        """Finds out what is missing; False when that could not be seen everywhere."""
        repositories = await self._written.unlisted(self._lease)
        for start in range(0, len(repositories), REPOSITORIES_PER_LOOK):
            some = repositories[start : start + REPOSITORIES_PER_LOOK]
            within = [Resource(repository=each, references=()) for each in some]
            present = await Present.look(self._source, self._lease.policy.source_registry, within)
            if present.failures:
                return False
            there = [Artifact(repository=repository, tag=tag) for repository, tag in sorted(present.tags)]
            await self._written.looked_at(self._lease, some, there, self._now)
        return True

    async def guarded(self) -> list[GuardedPlace]:
        """Where the guard has spoken; then nothing may be deleted."""
        return self._rule.guard(await self._written.count_due(self._lease, self._before))

    def told(self, guarded: Sequence[GuardedPlace]) -> list[Item]:
        """Items that say so."""
        return [
            Item(
                destination_index=self._index(each.registry),
                destination_registry=each.registry or self._lease.policy.destinations[0].registry,
                source_repository="",
                destination_repository=each.repository,
                references=(),
                failure=each.failure,
                skipped=True,
                operation=Operation.DELETE,
            )
            for each in guarded[:MOST_GUARDED_TOLD]
        ]

    async def items(self) -> AsyncIterator[list[Item]]:
        """What is to be deleted, page by page; what another policy has there too is skipped."""
        after: WrittenTag | None = None
        while page := await self._written.due(self._lease, self._before, after, TAGS_PER_PAGE):
            yield await keep_for_others(self._items(page), self._lease.policy, self._written)
            after = page[-1]

    @property
    def _before(self) -> datetime:
        return self._now - self._rule.grace_period

    def _items(self, page: Sequence[WrittenTag]) -> list[Item]:
        items = joined(written_item(self._index(each.destination_registry), each) for each in page)
        return [replace(each, after_copies=True) for each in items]

    def _index(self, registry: str) -> int:
        registries = [each.registry for each in self._lease.policy.destinations]
        return registries.index(registry) if registry in registries else 0
