"""Finds out what an execution of a policy would do, and changes nothing.

One pipeline: the listing streams through the flow's pure steps into slices of references, several slices at a time are
asked about at the jobservice, and what it says streams out. Each stage waits for the next one, so that a slow reader
holds back the listing, and no more of it is in memory than the stages have in hand.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Final, Protocol, TypeVar

from execution_svc.domain.plan import Action, NamespaceCreation, PlannedAction, PlannedReference, PruneGuard
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Preparation, ResourceBatch
from execution_svc.domain.transfer import Failure, Reference
from execution_svc.dry_run.collisions import Collisions, CollisionWatch
from execution_svc.dry_run.prune import PrunePlanner, Source, Written
from execution_svc.flows.planning import NAMES_PER_PREPARE, Item, Place, map_batch, settle_unprepared
from replication.mapping import PathRule
from service_kit.clock import Clock
from service_kit.errors import Kind, ServiceError
from service_kit.tasks import end_tasks

PLANS_AT_ONCE: Final = 8  # slices that the jobservice looks at for one caller
REFERENCES_PER_PLAN: Final = 1000  # the limit of PlanReplication; in one slice, what references share is counted once
SLICES_AHEAD: Final = 8
MESSAGES_AHEAD: Final = 16
ACTIONS_PER_MESSAGE: Final = 500

# Then another slice would fare no better: the caller is told, and asks again.
_ENDS_THE_PLAN: Final = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE_EXCEEDED, Kind.CANCELLED})

_T = TypeVar("_T")

Found = PlannedAction | PruneGuard


class Policies(Protocol):
    """Where policies come from."""

    async def get(self, name: str) -> Policy: ...

    async def checked(self, policy: Policy) -> Policy:
        """The policy with its defaults filled in; raises what is wrong with it."""
        ...


class Catalog(Source, Protocol):
    """What is asked of the registries."""

    def list_resources(self, policy: Policy) -> AsyncGenerator[ResourceBatch, None]: ...

    async def path_rule(self, registry: str) -> PathRule: ...

    async def preview(self, registry: str, repositories: Sequence[str]) -> Preparation:
        """What preparing the repositories would come to; nothing is created."""
        ...


class Replications(Protocol):
    """Who knows what becomes of references."""

    def plan(
        self, policy: Policy, item: Item, references: Sequence[Reference]
    ) -> AsyncGenerator[list[PlannedReference], None]:
        """What would become of the references of the item, each once."""
        ...


class Planner:
    """Plans executions."""

    def __init__(
        self, policies: Policies, catalog: Catalog, replications: Replications, written: Written, clock: Clock
    ) -> None:
        self._policies = policies
        self._catalog = catalog
        self._replications = replications
        self._prunes = PrunePlanner(catalog, written, clock)

    async def plan(self, subject: str | Policy) -> AsyncGenerator[list[Found], None]:
        """What an execution of the policy would do, as it is found. Close it to end everything that it has begun.

        Raises:
            ServiceError: what is wrong with the policy, or why the source cannot be listed.
        """
        policy = await (self._policies.checked(subject) if isinstance(subject, Policy) else self._policies.get(subject))
        plan = _Plan(policy, self._catalog, self._replications, self._prunes)
        work = asyncio.create_task(plan.run(), name="plan")
        try:
            while found := await plan.found.get():
                yield found
            await work
        finally:
            await end_tasks(work)


class _Plan:
    """One plan on its way. An empty message in `found` says that it has ended, well or not."""

    def __init__(self, policy: Policy, catalog: Catalog, replications: Replications, prunes: PrunePlanner) -> None:
        self.found: asyncio.Queue[list[Found]] = asyncio.Queue(MESSAGES_AHEAD)
        self._prunes = prunes
        self._listing_failed = False
        self._policy = policy
        self._catalog = catalog
        self._replications = replications
        self._slices: asyncio.Queue[tuple[Item, Sequence[Reference]] | None] = asyncio.Queue(SLICES_AHEAD)
        self._prepared: set[Place] = set()
        self._failed: dict[Place, Failure] = {}
        self._excluded: dict[Place, Failure] = {}
        self._created: set[tuple[str, str]] = set()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(PLANS_AT_ONCE):
                    group.create_task(self._ask())
                await self._list()
        except Exception:
            await self.found.put([])
            raise
        await self.found.put([])

    async def _list(self) -> None:
        """Lists the source, and puts everything into slices or, where nothing can be done of it, into actions."""
        rules = [await self._catalog.path_rule(each.registry) for each in self._policy.destinations]
        collisions = await self._collisions(rules)
        async with aclosing(self._items(rules)) as batches:
            async for items in batches:
                for item in await self._prepare(items):
                    await self._plan_item(*collisions.settle(item))
        for _ in range(PLANS_AT_ONCE):
            await self._slices.put(None)
        pruned = await self._prunes.plan(self._policy, lambda: self._items(rules), failures=self._listing_failed)
        await self._tell(pruned)

    async def _collisions(self, rules: Sequence[PathRule]) -> Collisions:
        """Where names may collide, the source is listed once more before: the first is to know of the last."""
        watch = CollisionWatch(self._policy)
        if self._policy.collisions_possible:
            async with aclosing(self._items(rules)) as batches:
                async for items in batches:
                    for item in items:
                        watch.see(item)
        return watch.found()

    async def _items(self, rules: Sequence[PathRule]) -> AsyncGenerator[list[Item], None]:
        async with aclosing(self._catalog.list_resources(self._policy)) as batches:
            async for batch in batches:
                yield map_batch(self._policy, rules, batch)

    async def _prepare(self, items: Sequence[Item]) -> list[Item]:
        wanted: dict[str, dict[str, None]] = {}
        for item in items:
            if not item.failure and item.place not in self._prepared:
                wanted.setdefault(item.destination_registry, {})[item.destination_repository] = None
        for registry, names in wanted.items():
            for some in _portions(list(names), NAMES_PER_PREPARE):
                await self._preview(registry, some)
        return settle_unprepared(items, self._failed, self._excluded)

    async def _preview(self, registry: str, names: Sequence[str]) -> None:
        told = await self._catalog.preview(registry, names)
        self._prepared |= {(registry, name) for name in names}
        self._failed |= {(registry, name): why for name, why in told.failures.items()}
        self._excluded |= {(registry, name): why for name, why in told.excluded.items()}
        # Since nothing is created, it is told of every repository that needs it.
        new = [each for each in told.created_namespaces if (registry, each) not in self._created]
        self._created |= {(registry, each) for each in new}
        await self._tell(
            [PlannedAction(destination_registry=registry, kind=NamespaceCreation(namespace=each)) for each in new]
        )

    async def _plan_item(self, item: Item, failed: Sequence[PlannedReference]) -> None:
        self._listing_failed |= bool(failed) or (item.failure is not None and not item.skipped)
        await self._tell([_action(item, each) for each in failed])
        if item.failure and item.skipped:
            await self._tell([_action(item, _skipped(each, item.failure)) for each in item.references])
        elif item.failure:
            await self._tell([_action(item, item.failure)])
        else:
            for some in _portions(item.references, REFERENCES_PER_PLAN):
                await self._slices.put((item, some))

    async def _ask(self) -> None:
        """Asks about one slice after the other. What is wrong with one is its repository's failure."""
        while portion := await self._slices.get():
            item, references = portion
            try:
                async with aclosing(self._replications.plan(self._policy, item, references)) as answers:
                    async for planned in answers:
                        await self._tell([_action(item, each) for each in planned])
            except ServiceError as error:
                if error.kind in _ENDS_THE_PLAN:
                    raise
                await self._tell([_action(item, Failure.of(error))])

    async def _tell(self, found: Sequence[Found]) -> None:
        for some in _portions(found, ACTIONS_PER_MESSAGE):
            await self.found.put(list(some))


def _action(item: Item, kind: PlannedReference | Failure) -> PlannedAction:
    return PlannedAction(
        destination_registry=item.destination_registry,
        source_repository=item.source_repository,
        destination_repository=item.destination_repository,
        kind=kind,
    )


def _skipped(reference: Reference, why: Failure) -> PlannedReference:
    return PlannedReference(
        tag=reference.tag,
        digest=reference.digest,
        destination_tag=reference.destination_tag or reference.tag,
        action=Action.SKIP,
        failure=why,
    )


def _portions(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
