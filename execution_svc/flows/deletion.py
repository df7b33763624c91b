"""The deletion flow: from what events say was deleted at the source to tasks that delete it at the destinations."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

from execution_svc.domain.events import deleted, selection_of
from execution_svc.domain.execution import FlowLease
from execution_svc.domain.origin import EventOperation, EventResource
from execution_svc.domain.resource import RepositoryFailure, Resource, ResourceBatch
from execution_svc.domain.task import Operation
from execution_svc.domain.transfer import Reference
from execution_svc.domain.written import WrittenTag
from execution_svc.flows.events import Events, History
from execution_svc.flows.planning import Item, map_batch
from replication.mapping import PathRule

RESOURCES_PER_LOOK: Final = 1000  # the limit of ListResources


class Source(Protocol):
    """What is asked of the source."""

    def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncIterator[ResourceBatch]:
        """What of this is there, whatever a policy's filters say; all of a repository that comes without references."""
        ...


class Present:
    """A look at the source: which tags are there, and what could not be looked at."""

    def __init__(self) -> None:
        self.tags: set[tuple[str, str]] = set()
        self.failures: list[RepositoryFailure] = []

    @classmethod
    async def look(cls, source: Source, registry: str, within: Sequence[Resource]) -> "Present":
        present = cls()
        for start in range(0, len(within), RESOURCES_PER_LOOK):
            async for batch in source.list_present(registry, within[start : start + RESOURCES_PER_LOOK]):
                present.tags |= {(each.repository, named.tag) for each in batch.resources for named in each.references}
                present.failures += batch.failures
        return present


class DeletionFlow:
    """The deletions of one execution."""

    def __init__(self, lease: FlowLease, source: Source, history: History, events: Events) -> None:
        self._lease = lease
        self._source = source
        self._history = history
        self._events = events

    async def items(self, rules: Sequence[PathRule]) -> list[Item]:
        """What is to be deleted: mapped as copies are, less what is at the source again and what is our own echo."""
        policy = self._lease.policy
        told = deleted(self._lease.resources, selection_of(policy.document)) if policy.deletes_on_event else []
        by_tag = [(each.repository, each.tag) for each in told if each.tag]
        by_digest = [(each, written) for each in told if not each.tag for written in await self._written_from(each)]
        tags = [*by_tag, *((written.source_repository, written.source_tag) for _, written in by_digest)]
        present = await Present.look(self._source, policy.source_registry, _grouped(tags))
        failed = {each.repository for each in present.failures}
        gone = [each for each in by_tag if each not in present.tags and each[0] not in failed]
        batch = ResourceBatch(resources=tuple(_grouped(gone)), failures=tuple(present.failures))
        mapped = [replace(each, operation=Operation.DELETE) for each in map_batch(policy, rules, batch)]
        found = [
            item
            for event, each in by_digest
            if (each.source_repository, each.source_tag) not in present.tags and each.source_repository not in failed
            for item in self._of_written(event, each)
        ]
        return await self._events.without_echoes([*mapped, *found], EventOperation.DELETE)

    async def _written_from(self, event: EventResource) -> list[WrittenTag]:
        return await self._history.written_from(self._lease, event.repository, event.digest)

    def _of_written(self, event: EventResource, written: WrittenTag) -> list[Item]:
        """Where the policy still goes; what somebody has changed there since is not what was deleted."""
        indexes = [
            index
            for index, each in enumerate(self._lease.policy.destinations)
            if each.registry == written.destination_registry
        ]
        return [written_item(indexes[0], written, event.repository)] if indexes else []


def written_item(destination_index: int, written: WrittenTag, source_repository: str) -> Item:
    """The deletion of a written tag, as long as it is what was written."""
    there = "" if written.tag == written.source_tag else written.tag
    reference = Reference(tag=written.source_tag, digest=written.digest, destination_tag=there)
    return Item(
        destination_index=destination_index,
        destination_registry=written.destination_registry,
        source_repository=source_repository,
        destination_repository=written.destination_repository,
        references=(reference,),
        operation=Operation.DELETE,
    )


def _grouped(tags: Sequence[tuple[str, str]]) -> list[Resource]:
    found: dict[str, dict[str, None]] = {}
    for repository, tag in tags:
        found.setdefault(repository, {})[tag] = None
    return [
        Resource(repository=repository, references=tuple(Reference(tag=tag) for tag in names))
        for repository, names in found.items()
    ]
