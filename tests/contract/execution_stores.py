"""Stores of the execution service, in memory and in PostgreSQL, and what their tests are made of."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from execution_svc.domain.execution import Execution, ExecutionId, FlowLease, StartRequest
from execution_svc.domain.origin import BY_HAND, Origin
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import Job, JobKey, JobStatus, Operation, PlannedTask, TaskId, TaskState
from execution_svc.domain.transfer import Failure, Reference, Side
from execution_svc.postgres import (
    PostgresDelegationStore,
    PostgresExecutionStore,
    PostgresFlowStore,
    PostgresRetentionStore,
)
from execution_svc.store import DelegationStore, ExecutionStore, FlowStore, RetentionStore
from service_kit.database import open_pool
from tests.contract.execution_memory import MemoryStore
from tests.postgres import Database

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=15)
E = ExecutionId("e")
POLICY = Policy.of_document(
    {
        "name": "policies/p",
        "source_registry": "registries/a",
        "destinations": [{"registry": "registries/b"}],
        "override": True,
        "backup_tag": "{tag}-old",
        "options": {"platforms": ["linux/amd64"], "max_bytes_per_second": "10"},
    }
)
DENIED = Failure(
    reason="ACCESS_DENIED", message="no", side=Side.SOURCE, registry_code="DENIED", http_status=403, metadata={"a": "b"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    executions: ExecutionStore
    flows: FlowStore
    jobs: DelegationStore
    retention: RetentionStore


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Stores]:
    if request.param == "memory":
        memory = MemoryStore()
        yield Stores(executions=memory, flows=memory, jobs=memory, retention=memory)
        return
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield Stores(
            executions=PostgresExecutionStore(pool),
            flows=PostgresFlowStore(pool),
            jobs=PostgresDelegationStore(pool),
            retention=PostgresRetentionStore(pool),
        )


def a_request(
    name: str = E,
    *,
    request_id: str | None = None,
    subject: str = "s",
    policy: Policy = POLICY,
    origin: Origin = BY_HAND,
    now: datetime = NOW,
) -> StartRequest:
    return StartRequest(
        id=ExecutionId(name), request_id=request_id, subject=subject, policy=policy, origin=origin, now=now
    )


def a_task(
    name: str,
    *,
    source: str = "x",
    failure: Failure | None = None,
    skipped: bool = False,
    operation: Operation = Operation.COPY,
    after_copies: bool = False,
) -> PlannedTask:
    return PlannedTask(
        id=TaskId(name),
        operation=operation,
        destination_index=0,
        source_registry="registries/a",
        source_repository=source,
        destination_registry="registries/b",
        destination_repository="x",
        references=(Reference(tag=f"{name}-1"), Reference(tag=f"{name}-2", digest="sha256:2", destination_tag="d")),
        failure=failure,
        skipped=skipped,
        after_copies=after_copies,
    )


def a_status(key: JobKey, state: TaskState, revision: int = 1) -> JobStatus:
    failure = DENIED if state is TaskState.FAILED else None
    return JobStatus(key=key, revision=revision, state=state, attempt=1, failure=failure)


async def claimed(stores: Stores, now: datetime = NOW) -> FlowLease:
    lease = await stores.flows.claim_flow(token=f"token {now}", now=now, until=now + timedelta(seconds=10))
    assert lease is not None
    return lease


async def listed(stores: Stores, *tasks: PlannedTask, name: str = E, policy: Policy = POLICY) -> None:
    """An execution whose listing brought these tasks."""
    await stores.executions.create(a_request(name, policy=policy))
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, tasks, NOW)
    await stores.flows.complete_listing(lease, NOW)


async def delegated(stores: Stores, *tasks: PlannedTask) -> list[Job]:
    await listed(stores, *tasks)
    return await stores.jobs.claim_tasks(100, NOW)


async def present(stores: Stores) -> Execution:
    return await stores.executions.get(E)
