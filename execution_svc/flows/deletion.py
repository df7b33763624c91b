"""The deletion flow: from what events say was deleted at the source to tasks that delete it at the destinations."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Protocol

from execution_svc.domain.events import artifact, deleted, needs_listing, selection_of
from execution_svc.domain.execution import FlowLease
from execution_svc.domain.origin import EventOperation
from execution_svc.domain.resource import RepositoryFailure, Resource, ResourceBatch
from execution_svc.domain.task import Operation
from execution_svc.domain.transfer import Reference
from execution_svc.domain.written import Artifact, WrittenTag
from execution_svc.flows.events import Events
from execution_svc.flows.others import Others, keep_for_others
from execution_svc.flows.planning import Item, map_batch
from replication.mapping import PathRule
from service_kit.clock import Clock

RESOURCES_PER_LOOK: Final = 1000  # the limit of ListResources

Tag = tuple[str, str]  # a repository of the source and a tag in it


class Source(Protocol):
    """What is asked of the source."""

    def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncIterator[ResourceBatch]:
        """What of this is there, whatever a policy's filters say; all of a repository that comes without references."""
        ...


class History(Others, Protocol):
    """What policies have written."""

    async def written_from(self, lease: FlowLease, artifact: Artifact) -> list[WrittenTag]:
        """What the policy has written, or found there, of this tag of its source or, without a tag, of the digest."""
        ...

    async def missed(self, lease: FlowLease, gone: Sequence[Artifact], now: datetime) -> None:
        """Notes that these tags are missing at the policy's source, from now on if they were not before."""
        ...


class Present:
    """A look at the source: which tags are there, and what could not be looked at."""

    def __init__(self) -> None:
        self.tags: set[Tag] = set()
        self.failures: list[RepositoryFailure] = []

    @classmethod
    async def look(cls, source: Source, registry: str, within: Sequence[Resource]) -> "Present":
        present = cls()
        for start in range(0, len(within), RESOURCES_PER_LOOK):
            async for batch in source.list_present(registry, within[start : start + RESOURCES_PER_LOOK]):
                present.tags |= {(each.repository, named.tag) for each in batch.resources for named in each.references}
                present.failures += batch.failures
        return present

    def gone(self, tags: Sequence[Tag]) -> set[Tag]:
        """Those that were looked for and are not there."""
        failed = {each.repository for each in self.failures}
        return {each for each in tags if each not in self.tags and each[0] not in failed}


class DeletionFlow:
    """The deletions of one execution."""

    def __init__(self, lease: FlowLease, source: Source, history: History, events: Events, clock: Clock) -> None:
        self._lease = lease
        self._source = source
        self._history = history
        self._events = events
        self._clock = clock

    async def items(self, rules: Sequence[PathRule]) -> list[Item]:
        """What is to be deleted: mapped as copies are, less what is at the source again.

        Of what is gone nobody can tell any more what but its names would have let it through, nor which tags a digest
        had; there it is what the policy has brought. What is our own echo is skipped, and what another policy has too.
        """
        policy = self._lease.policy
        selection = selection_of(policy.document)
        told = deleted(self._lease.resources, selection) if policy.deletes_on_event else []
        if not told:
            return []
        names_tell = not needs_listing(policy.document, selection)
        by_tag = [(each.repository, each.tag) for each in told if each.tag and names_tell]
        brought = [
            written
            for each in told
            if not (each.tag and names_tell)
            for written in await self._history.written_from(self._lease, artifact(each))
        ]
        present = await Present.look(self._source, policy.source_registry, _grouped([*by_tag, *map(_source, brought)]))
        gone = present.gone([*by_tag, *map(_source, brought)])
        await self._note(gone)
        batch = ResourceBatch(
            resources=tuple(_grouped([each for each in by_tag if each in gone])), failures=tuple(present.failures)
        )
        mapped = [replace(each, operation=Operation.DELETE) for each in map_batch(policy, rules, batch)]
        found = [item for each in brought if _source(each) in gone for item in self._of_written(each)]
        items = await self._events.without_echoes(joined([*mapped, *found]), EventOperation.DELETE)
        return await keep_for_others(items, policy, self._history)

    async def _note(self, gone: Collection[Tag]) -> None:
        """Of several policies that have a tag there, the one that is the last to miss it deletes it."""
        artifacts = [Artifact(repository=repository, tag=tag) for repository, tag in sorted(gone)]
        await self._history.missed(self._lease, artifacts, self._clock.now())

    def _of_written(self, written: WrittenTag) -> list[Item]:
        """Where the policy still goes; what somebody has changed there since is not what was deleted."""
        registries = [each.registry for each in self._lease.policy.destinations]
        if written.destination_registry not in registries:
            return []
        return [written_item(registries.index(written.destination_registry), written)]


def written_item(destination_index: int, written: WrittenTag) -> Item:
    """The deletion of a written tag, as long as it is what was written."""
    there = "" if written.tag == written.source_tag else written.tag
    reference = Reference(tag=written.source_tag, digest=written.digest, destination_tag=there)
    return Item(
        destination_index=destination_index,
        destination_registry=written.destination_registry,
        source_repository=written.source_repository,
        destination_repository=written.destination_repository,
        references=(reference,),
        operation=Operation.DELETE,
    )


def joined(items: Iterable[Item]) -> list[Item]:
    """One item for all that comes from one repository and goes at one place, each tag once.

    Where only digests can be deleted, tags of one digest go in one task or not at all; so they stand side by side.
    """
    failed: list[Item] = []
    parts: dict[tuple[str, str, str], list[Item]] = {}
    for item in items:
        key = (item.destination_registry, item.destination_repository, item.source_repository)
        (failed if item.failure else parts.setdefault(key, [])).append(item)
    return [*map(_joined, parts.values()), *failed]


def _joined(items: Sequence[Item]) -> Item:
    tags: dict[str, Reference] = {}
    for reference in (each for item in items for each in item.references):
        tags.setdefault(reference.destination_tag or reference.tag, reference)
    return replace(items[0], references=tuple(sorted(tags.values(), key=lambda each: each.digest)))


def _source(written: WrittenTag) -> Tag:
    return written.source_repository, written.source_tag


def _grouped(tags: Sequence[Tag]) -> list[Resource]:
    found: dict[str, dict[str, None]] = {}
    for repository, tag in tags:
        found.setdefault(repository, {})[tag] = None
    return [
        Resource(repository=repository, references=tuple(Reference(tag=tag) for tag in names))
        for repository, names in found.items()
    ]
