"""The copy flow: from the listing of the source to tasks, step by step.

Each step may be repeated, and is when a worker dies: the flow begins again from its first step, and what an earlier
run has written stays. References that a task has already are left out, so a listing that has changed meanwhile neither
loses nor doubles any. One message of the listing is in memory at a time, and one name for each repository prepared.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Final, Protocol

from execution_svc.domain.execution import FlowLease
from execution_svc.domain.origin import EventOperation
from execution_svc.domain.policy import Policy
from execution_svc.domain.prune import PruneRule
from execution_svc.domain.resource import Preparation, Resource, ResourceBatch
from execution_svc.domain.transfer import Failure
from execution_svc.flows import deletion, events, prune
from execution_svc.flows.planning import (
    NAMES_PER_PREPARE,
    Item,
    Place,
    collision_failure,
    map_batch,
    plan_tasks,
    settle_unprepared,
)
from execution_svc.store import FlowStore
from replication.mapping import PathRule
from service_kit.clock import Clock

COLLISIONS_AT_ONCE: Final = 500  # keeps one statement from taking long


class Catalog(Protocol):
    """What the flow asks of the registries."""

    def list_resources(self, policy: Policy, within: Sequence[Resource] = ()) -> AsyncIterator[ResourceBatch]:
        """What of the policy's source matches its filters; of `within` only, when there is any."""
        ...

    def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncIterator[ResourceBatch]:
        """What of this is there, whatever filters say; all of a repository that comes without references."""
        ...

    async def path_rule(self, registry: str) -> PathRule: ...

    async def has_projects(self, registry: str) -> bool:
        """Whether who may read a repository is decided for its project, the first component of its name, as a whole."""
        ...

    async def prepare(self, registry: str, repositories: Sequence[str], *, public: bool) -> Preparation: ...


class History(events.History, deletion.History, prune.WrittenTags, Protocol):
    """What policies have written."""


class CopyFlow:
    """Runs the flow of one execution. LeaseLost ends it at the next write when it is stopped."""

    def __init__(self, lease: FlowLease, store: FlowStore, catalog: Catalog, history: History, clock: Clock) -> None:
        self._lease = lease
        self._store = store
        self._catalog = catalog
        self._history = history
        self._clock = clock
        self._events = events.Events(lease, catalog, history, clock)
        self._failed_items = 0
        self._may_be_public: list[str] = []
        self._prepared: set[Place] = set()
        self._failed: dict[Place, Failure] = {}
        self._excluded: dict[Place, Failure] = {}

    async def run(self) -> None:
        await self.begin()
        rules = await self.fetch_path_rules()
        await self.find_what_may_be_public()
        if self._lease.resources:
            await self._events.wait_for_causes()
        async for batch in self.fetch_resources():
            items = await self.leave_out_echoes(map_batch(self._lease.policy, rules, batch))
            items = await self.leave_out_written(items)
            await self.write_tasks(await self.prepare_destinations(items))
        await self.fail_collisions()
        if self._lease.resources:
            await self.delete_what_events_told(rules)
            message = ""
        else:
            message = await self.prune()
        await self.complete(message)

    async def begin(self) -> None:
        """Where names may collide, no task starts before all are known; where they cannot, each starts at once."""
        await self._store.begin_listing(self._lease, release_tasks=not self._lease.policy.collisions_possible)

    async def fetch_path_rules(self) -> list[PathRule]:
        return [await self._catalog.path_rule(each.registry) for each in self._lease.policy.destinations]

    async def find_what_may_be_public(self) -> None:
        """What is created there is private, unless each of the source's projects is one there and says for itself.

        Otherwise the first repository of a project would decide about those that the listing brings later.
        """
        policy = self._lease.policy
        if not self._lease.resources and await self._catalog.has_projects(policy.source_registry):
            self._may_be_public = policy.registries_alike

    def fetch_resources(self) -> AsyncIterator[ResourceBatch]:
        """What the events told of, or all of the source."""
        if self._lease.resources:
            return self._events.pushed()
        return self._catalog.list_resources(self._lease.policy)

    async def leave_out_echoes(self, items: Sequence[Item]) -> list[Item]:
        """The items; what an event told of and our own copy has brought from where it would go is skipped."""
        if not self._lease.resources:
            return list(items)
        return await self._events.without_echoes(items, EventOperation.PUSH)

    async def leave_out_written(self, items: Sequence[Item]) -> list[Item]:
        """The items without the references that an earlier run of the flow has written."""
        if not self._lease.resumed:
            return list(items)
        remaining = [await self._unwritten(item) if item.references else item for item in items]
        return [item for item in remaining if item.references or item.failure]

    async def prepare_destinations(self, items: Sequence[Item]) -> list[Item]:
        """The items; those whose repository cannot be pushed to have ended. Each name is prepared once a run."""
        wanted: dict[tuple[str, bool], dict[str, None]] = {}
        for item in items:
            if not item.failure and item.place not in self._prepared:
                public = item.public and item.destination_registry in self._may_be_public
                wanted.setdefault((item.destination_registry, public), {})[item.destination_repository] = None
        for (registry, public), names in wanted.items():
            await self._prepare(registry, list(names), public=public)
        return settle_unprepared(items, self._failed, self._excluded)

    async def write_tasks(self, items: Sequence[Item]) -> None:
        self._failed_items += sum(item.failure is not None and not item.skipped for item in items)
        tasks = plan_tasks(self._lease.execution, self._lease.policy, items)
        await self._store.write_tasks(self._lease, tasks, self._clock.now())

    async def fail_collisions(self) -> None:
        """Asks the database, which knows the tasks of earlier runs too, where two repositories would become one."""
        collided = [(each, collision_failure(each)) for each in await self._store.collisions(self._lease)]
        self._failed_items += len(collided)
        for start in range(0, len(collided), COLLISIONS_AT_ONCE):
            some = collided[start : start + COLLISIONS_AT_ONCE]
            await self._store.fail_collided(self._lease, some, self._clock.now())

    async def delete_what_events_told(self, rules: Sequence[PathRule]) -> None:
        flow = deletion.DeletionFlow(self._lease, self._catalog, self._history, self._events, self._clock)
        await self.write_tasks(await self.leave_out_written(await flow.items(rules)))

    async def prune(self) -> str:
        """Writes what is to be deleted since the source no longer has it; what there is to say about it."""
        policy = self._lease.policy
        rule = PruneRule.of_document(policy.document)
        if rule is None or not policy.identity:  # what inline policies wrote is nobody's
            return ""
        if self._failed_items:
            return prune.FAILURES_MESSAGE
        pruning = prune.Pruning(self._lease, rule, self._catalog, self._history, self._clock)
        if not await pruning.look():
            return prune.FAILURES_MESSAGE
        if guarded := await pruning.guarded():
            await self.write_tasks(pruning.told(guarded))
            return prune.GUARDED_MESSAGE
        async for items in pruning.items():
            await self.write_tasks(items)
        return ""

    async def complete(self, message: str) -> None:
        await self._store.complete_listing(self._lease, self._clock.now(), message)

    async def _unwritten(self, item: Item) -> Item:
        references = await self._store.unwritten(
            self._lease, item.operation, item.destination_index, item.source_repository, item.references
        )
        without_any = replace(item, references=tuple(references))
        return without_any if references else replace(without_any, failure=None)

    async def _prepare(self, registry: str, names: Sequence[str], *, public: bool) -> None:
        for start in range(0, len(names), NAMES_PER_PREPARE):
            some = names[start : start + NAMES_PER_PREPARE]
            told = await self._catalog.prepare(registry, some, public=public)
            self._prepared |= {(registry, name) for name in some}
            self._failed |= {(registry, name): why for name, why in told.failures.items()}
            self._excluded |= {(registry, name): why for name, why in told.excluded.items()}
