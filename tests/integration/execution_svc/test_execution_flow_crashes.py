"""The copy flow, killed at every call that it makes, and carried on by another worker."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from execution_svc.domain.errors import LeaseLost
from execution_svc.domain.execution import ExecutionId, ExecutionState, FlowLease, StartRequest
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Preparation, Resource, ResourceBatch
from execution_svc.domain.transfer import Reference
from execution_svc.flows.copy import CopyFlow
from execution_svc.flows.planning import REFERENCES_PER_TASK
from execution_svc.postgres import PostgresDelegationStore, PostgresExecutionStore, PostgresFlowStore, PostgresHistory
from replication.mapping import PathRule
from service_kit.clock import FakeClock
from service_kit.database import Pool, open_pool
from tests.postgres import Database

EXECUTION = ExecutionId("e")
POLICY = Policy.of_document(
    {
        "name": "policies/p",
        "source_registry": "registries/a",
        "destinations": [
            {"registry": "registries/b", "namespace": "m"},
            {"registry": "registries/c"},
        ],
    }
)
LEASE = timedelta(seconds=15)


class Killed(Exception):
    """The process is gone."""


class Crashing:
    """Passes calls on until so many have been made; the last is lost before it was made, or after."""

    def __init__(self, inner: object, calls: list[int], *, after: bool) -> None:
        self._inner = inner
        self._calls = calls
        self._after = after

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            self._calls[0] -= 1
            if self._calls[0] == 0 and not self._after:
                raise Killed
            result = await getattr(self._inner, name)(*args, **kwargs)
            if self._calls[0] == 0:
                raise Killed
            return result

        return call


class Listing:
    """A catalog of batches."""

    def __init__(self, *batches: Resource) -> None:
        self.batches = batches

    async def list_resources(self, policy: Policy, within: Sequence[Resource] = ()) -> AsyncIterator[ResourceBatch]:
        for resource in self.batches:
            yield ResourceBatch(resources=(resource,))

    async def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncIterator[ResourceBatch]:
        for resource in self.batches:
            if resource.repository in {each.repository for each in within}:
                yield ResourceBatch(resources=(resource,))

    async def path_rule(self, registry: str) -> PathRule:
        return PathRule()

    async def has_projects(self, registry: str) -> bool:
        return False

    async def prepare(self, registry: str, repositories: Sequence[str], *, public: bool) -> Preparation:
        return Preparation()


def a_resource(repository: str, *tags: str) -> Resource:
    return Resource(repository=repository, references=tuple(Reference(tag=tag) for tag in tags))


def tags(first: int, last: int) -> list[str]:
    return [f"v{n}" for n in range(first, last)]


LISTING = (a_resource("x/one", *tags(0, 150)), a_resource("x/one", *tags(150, 260)), a_resource("x/two", "1"))
# The same registry a moment later: tags have come and gone, and all slices have shifted.
CHANGED = (a_resource("x/one", "new", *tags(10, 170)), a_resource("x/one", *tags(170, 260)), a_resource("x/two", "1"))


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield pool


async def started(pool: Pool, clock: FakeClock) -> None:
    request = StartRequest(id=EXECUTION, request_id=None, subject="s", policy=POLICY, now=clock.now())
    await PostgresExecutionStore(pool).create(request)


async def claimed(pool: Pool, clock: FakeClock, token: str) -> FlowLease:
    lease = await PostgresFlowStore(pool).claim_flow(token=token, now=clock.now(), until=clock.now() + LEASE)
    assert lease is not None
    return lease


async def copies(pool: Pool) -> Counter[tuple[str, str]]:
    jobs = await PostgresDelegationStore(pool).claim_tasks(1000, FakeClock().now())
    return Counter(
        (job.destination_registry + job.source_repository, each.tag) for job in jobs for each in job.references
    )


async def run_until_killed(pool: Pool, clock: FakeClock, listing: Listing, *, call: int, after: bool) -> None:
    """One worker's life; the next one has to wait for its lease to run out."""
    store = PostgresFlowStore(pool)
    lease = await store.claim_flow(token=f"{clock.now()}", now=clock.now(), until=clock.now() + LEASE)
    if lease is None:
        return
    with suppress(Killed):
        await CopyFlow(lease, Crashing(store, [call], after=after), listing, PostgresHistory(pool), clock).run()
    clock.advance(LEASE + timedelta(seconds=1))


# A first run makes 6 calls, a later one up to 6 more to see what is written.
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("first", "second"), [*((n, 99) for n in range(1, 8)), *((4, n) for n in range(1, 13))])
async def test_a_flow_killed_at_any_call_is_carried_on(pool: Pool, first: int, second: int, after: bool) -> None:
    clock = FakeClock()
    await started(pool, clock)
    await run_until_killed(pool, clock, Listing(*LISTING), call=first, after=after)
    await run_until_killed(pool, clock, Listing(*CHANGED), call=second, after=after)
    await run_until_killed(pool, clock, Listing(*CHANGED), call=99, after=after)

    found = await copies(pool)
    assert set(found.values()) == {1}
    for registry in ("registries/b", "registries/c"):
        listed = {tag for place, tag in found if place == f"{registry}x/one"}
        assert listed >= set(tags(10, 260))
        assert (f"{registry}x/two", "1") in found
    execution = await PostgresExecutionStore(pool).get(EXECUTION)
    assert (execution.listing_complete, execution.task_counts.total) == (True, execution.task_counts.pending)


async def test_a_worker_that_lost_its_lease_writes_nothing(pool: Pool) -> None:
    clock, store = FakeClock(), PostgresFlowStore(pool)
    await started(pool, clock)
    first = await claimed(pool, clock, "first")
    assert await store.claim_flow(token="early", now=clock.now(), until=clock.now()) is None
    clock.advance(LEASE + timedelta(seconds=1))
    second = await claimed(pool, clock, "second")

    with pytest.raises(LeaseLost):
        await CopyFlow(first, store, Listing(*LISTING), PostgresHistory(pool), clock).run()
    await store.release(first)

    await store.renew(second, clock.now() + LEASE)
    assert (await PostgresExecutionStore(pool).get(EXECUTION)).task_counts.total == 0


async def test_a_stopped_execution_takes_no_more_tasks(pool: Pool) -> None:
    clock, store = FakeClock(), PostgresFlowStore(pool)
    await started(pool, clock)
    lease = await claimed(pool, clock, "first")
    stopped = await PostgresExecutionStore(pool).stop(EXECUTION, clock.now())

    with pytest.raises(LeaseLost):
        await CopyFlow(lease, store, Listing(*LISTING), PostgresHistory(pool), clock).run()
    assert stopped.state is ExecutionState.STOPPED


class Endless(Listing):
    """Makes up the tags of a huge repository, and counts how many are neither written nor given up."""

    def __init__(self, count: int, store: PostgresFlowStore) -> None:
        super().__init__()
        self.held = self.most_held = 0
        self._count = count
        self._store = store

    async def list_resources(self, policy: Policy, within: Sequence[Resource] = ()) -> AsyncIterator[ResourceBatch]:
        for start in range(0, self._count, 1000):
            self.held += 1000
            self.most_held = max(self.most_held, self.held)
            yield ResourceBatch(resources=(a_resource("huge", *tags(start, start + 1000)),))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write_tasks(self, lease: FlowLease, tasks: Sequence[Any], now: Any) -> None:
        await self._store.write_tasks(lease, tasks, now)
        self.held -= sum(len(task.references) for task in tasks) // len(POLICY.destinations)


async def test_a_hundred_thousand_tags_are_held_a_batch_at_a_time(pool: Pool) -> None:
    clock, store = FakeClock(), PostgresFlowStore(pool)
    await started(pool, clock)
    listing = Endless(100_000, store)

    await CopyFlow(await claimed(pool, clock, "t"), listing, listing, PostgresHistory(pool), clock).run()

    execution = await PostgresExecutionStore(pool).get(EXECUTION)
    assert (listing.most_held, listing.held) == (1000, 0)
    assert execution.task_counts.pending == 2 * 100_000 // REFERENCES_PER_TASK
    assert execution.progress.references_total == 200_000
