"""The use cases on the store in memory."""

from collections.abc import AsyncIterator

import pytest

from execution_svc.domain.errors import PolicyDisabled, RequestIdReused
from execution_svc.domain.execution import UNSTORED, ExecutionFilter, ExecutionState
from execution_svc.domain.origin import BY_HAND, EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import JobKey, Operation, PlannedTask, Task, TaskFilter, TaskId
from execution_svc.domain.transfer import Failure, LogLine, Reference
from execution_svc.service import Executions
from execution_svc.signals import Changes
from service_kit.clock import FakeClock
from service_kit.errors import InvalidRequest, Kind, RemoteError
from tests.contract.execution_memory import MemoryStore

DOCUMENT = {"source_registry": "registries/a", "destinations": [{"registry": "registries/b"}]}
INLINE = Policy.of_document(DOCUMENT)


class FakePolicies:
    def __init__(self) -> None:
        self.asked = 0
        self.disabled = False

    async def get(self, name: str) -> Policy:
        self.asked += 1
        return Policy.of_document({**DOCUMENT, "name": name, "disabled": self.disabled})

    async def checked(self, policy: Policy) -> Policy:
        self.asked += 1
        return policy


class FakeLogs:
    """Has the log of a job from the third time on that it is asked."""

    def __init__(self, changes: Changes) -> None:
        self.asked: list[JobKey] = []
        self._changes = changes

    async def read_log(self, key: JobKey, *, after: int, follow: bool) -> AsyncIterator[list[LogLine]]:
        self.asked.append(key)
        if len(self.asked) < 3:
            self._changes.notify(None)
            raise RemoteError.of(Kind.NOT_FOUND, message="", reason="JOB_NOT_FOUND")
        yield [LogLine(sequence=after + 1, write_time=None, severity="SEVERITY_INFO", message="hello", fields={})]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def policies() -> FakePolicies:
    return FakePolicies()


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def executions(store: MemoryStore, policies: FakePolicies, changes: Changes, clock: FakeClock) -> Executions:
    return Executions(store, policies, FakeLogs(changes), changes, clock)


async def a_delegated_task(executions: Executions, store: MemoryStore, clock: FakeClock) -> Task:
    execution = await executions.start("policies/p", None, BY_HAND)
    lease = await store.claim_flow(token="t", now=clock.now(), until=clock.now())
    assert lease is not None
    planned = PlannedTask(
        id=TaskId("t"),
        operation=Operation.COPY,
        destination_index=0,
        source_registry="registries/a",
        source_repository="x",
        destination_registry="registries/b",
        destination_repository="x",
        references=(Reference(tag="1"),),
    )
    await store.write_tasks(lease, [planned], clock.now())
    await store.complete_listing(lease, clock.now())
    await store.claim_tasks(1, clock.now())
    return (await executions.list_tasks(TaskFilter(execution=execution.id), 0, 1))[0]


async def test_a_repetition_asks_for_no_policy(executions: Executions, policies: FakePolicies) -> None:
    first = await executions.start("policies/p", "r", BY_HAND)
    policies.disabled = True
    assert await executions.start("policies/p", "r", BY_HAND) == first
    assert policies.asked == 1


async def test_a_request_id_stands_for_one_given_policy(executions: Executions) -> None:
    other = Policy.of_document({**DOCUMENT, "override": True})
    first = await executions.start(INLINE, "r", BY_HAND)
    assert await executions.start(INLINE, "r", BY_HAND) == first
    with pytest.raises(RequestIdReused):
        await executions.start(other, "r", BY_HAND)


async def test_a_disabled_policy_is_not_started(executions: Executions, policies: FakePolicies) -> None:
    policies.disabled = True
    with pytest.raises(PolicyDisabled) as caught:
        await executions.start("policies/p", None, BY_HAND)
    assert caught.value.metadata == {"policy": "policies/p"}


async def test_what_is_only_validated_is_told_and_not_stored(executions: Executions) -> None:
    origin = Origin(trigger=Trigger.SCHEDULED, started_by="the schedule")
    execution = await executions.start("policies/p", "r", origin, validate_only=True)
    assert (execution.id, execution.origin, execution.state) == (UNSTORED, origin, ExecutionState.PENDING)
    assert not await executions.list_executions(ExecutionFilter(), None, 10)


async def test_validation_finds_what_a_start_would(executions: Executions, policies: FakePolicies) -> None:
    await executions.start(INLINE, "r", BY_HAND)
    with pytest.raises(RequestIdReused):
        await executions.start("policies/p", "r", BY_HAND, validate_only=True)
    policies.disabled = True
    with pytest.raises(PolicyDisabled):
        await executions.start("policies/p", None, BY_HAND, validate_only=True)


def test_resources_go_with_events_only() -> None:
    pushed = EventResource(operation=EventOperation.PUSH, repository="x", tag="1")
    assert Origin(trigger=Trigger.EVENT, event_resources=(pushed,)).event_resources == (pushed,)
    for trigger in (Trigger.MANUAL, Trigger.SCHEDULED):
        with pytest.raises(InvalidRequest) as caught:
            Origin(trigger=trigger, event_resources=(pushed,))
        assert [each.field for each in caught.value.violations] == ["event_resources"]


async def test_a_watch_tells_the_present_and_the_final_state(
    executions: Executions, store: MemoryStore, changes: Changes, clock: FakeClock
) -> None:
    execution = await executions.start("policies/p", None, BY_HAND)
    states = executions.watch(execution.id)
    assert (await anext(states)).state is ExecutionState.PENDING

    lease = await store.claim_flow(token="t", now=clock.now(), until=clock.now())
    assert lease is not None
    await store.fail_listing(lease, Failure(reason="CATALOG_UNSUPPORTED", message="no"), clock.now())
    changes.notify(execution.id)

    assert [each.state async for each in states] == [ExecutionState.FAILED]


async def test_a_log_that_is_followed_is_waited_for(
    executions: Executions, store: MemoryStore, clock: FakeClock
) -> None:
    task = await a_delegated_task(executions, store, clock)
    log = executions.read_task_log(task.execution, task.id, after=4, follow=True)
    lines = []
    async for batch in log:
        lines += batch
    assert [(line.sequence, line.message) for line in lines] == [(5, "hello")]


async def test_a_log_that_is_not_there_yet_is_empty(
    executions: Executions, store: MemoryStore, clock: FakeClock
) -> None:
    task = await a_delegated_task(executions, store, clock)
    assert not [batch async for batch in executions.read_task_log(task.execution, task.id, after=0, follow=False)]
