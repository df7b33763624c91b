"""An execution that events have started: what it copies in place of a listing, and what of that is our own echo."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final, Protocol

from execution_svc.domain.errors import EventReturns
from execution_svc.domain.events import artifact, newest_of_each, pushed, selection_of
from execution_svc.domain.execution import FlowLease
from execution_svc.domain.origin import EventOperation
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Resource, ResourceBatch
from execution_svc.domain.transfer import Failure, Reference, Side
from execution_svc.domain.written import Artifact
from execution_svc.flows.planning import Item
from service_kit.clock import Clock

# An event may come before the task that has caused it has ended and told what it wrote. A task has many references, so
# it may go on for long; then the copy is made, and finds that its destination has it already.
LONGEST_WAIT: Final = timedelta(seconds=30)
POLL_INTERVAL_S: Final = 0.2


class History(Protocol):
    """What policies have written."""

    async def origins(self, registry: str, artifacts: Sequence[Artifact], *, deleted: bool) -> list[frozenset[str]]:
        """For each of a registry's artifacts, the registries through which our copies, or deletions, came to it."""
        ...

    async def under_way(self, lease: FlowLease, artifacts: Sequence[Artifact]) -> bool:
        """Whether tasks that write to or delete one of these at the policy's source have not ended."""
        ...


class Listing(Protocol):
    """What is asked of the source."""

    def list_resources(self, policy: Policy, within: Sequence[Resource] = ()) -> AsyncIterator[ResourceBatch]: ...


class Events:
    """What the events of one execution have told."""

    def __init__(self, lease: FlowLease, listing: Listing, history: History, clock: Clock) -> None:
        self._lease = lease
        self._listing = listing
        self._history = history
        self._clock = clock

    async def wait_for_causes(self) -> None:
        """Returns when no task of ours is at what they are about, or after a while."""
        artifacts = [artifact(each) for each in self._lease.resources]
        give_up = self._clock.now() + LONGEST_WAIT
        while self._clock.now() < give_up and await self._history.under_way(self._lease, artifacts):  # noqa: ASYNC110
            await asyncio.sleep(POLL_INTERVAL_S)  # the tasks end in the database

    async def pushed(self) -> AsyncIterator[ResourceBatch]:
        """What was pushed and passes the policy's filters; the registry is asked only where names do not tell."""
        document = self._lease.policy.document
        sure, unsure = pushed(self._lease.resources, document, selection_of(document))
        if sure:
            yield ResourceBatch(resources=tuple(sure))
        if unsure:
            async for batch in self._listing.list_resources(self._lease.policy, unsure):
                yield batch

    async def without_echoes(self, items: Sequence[Item], operation: EventOperation) -> list[Item]:
        """The items; what came from an item's own destination is one of its own, skipped."""
        told = [artifact(each) for each in newest_of_each(self._lease.resources, operation)]
        found = await self._history.origins(
            self._lease.policy.source_registry, told, deleted=operation is EventOperation.DELETE
        )
        origins = {(each.repository, each.tag or each.digest): came for each, came in zip(told, found, strict=True)}
        parted: list[Item] = []
        for item in items:
            returning = {
                each
                for each in item.references
                if item.destination_registry in origins.get((item.source_repository, each.key), ())
            }
            parted += _parted(item, returning) if returning and not item.failure else [item]
        return parted


def _parted(item: Item, returning: set[Reference]) -> list[Item]:
    back = tuple(each for each in item.references if each in returning)
    error = EventReturns(registry=item.destination_registry, repository=item.source_repository, tag=back[0].key)
    skipped = replace(item, references=back, failure=Failure.of(error, Side.DESTINATION), skipped=True)
    rest = tuple(each for each in item.references if each not in returning)
    return [replace(item, references=rest), skipped] if rest else [skipped]
