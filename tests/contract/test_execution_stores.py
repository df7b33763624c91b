"""What the stores of the execution service promise to the API, in memory as in PostgreSQL."""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta

import psycopg
import pytest

from execution_svc.domain.errors import ExecutionNotFound, RequestIdReused, TaskNotFound
from execution_svc.domain.execution import ExecutionFilter, ExecutionId, ExecutionState
from execution_svc.domain.origin import EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.task import TaskFilter, TaskId, TaskState
from execution_svc.postgres import PostgresExecutionStore
from service_kit.database import open_pool
from tests.contract.execution_stores import (
    DENIED,
    LATER,
    NOW,
    POLICY,
    E,
    Stores,
    a_request,
    a_task,
    listed,
    present,
    stores,
)
from tests.postgres import Database

__all__ = ["stores"]


async def test_a_new_execution_waits(stores: Stores) -> None:
    execution = await stores.executions.create(a_request())
    assert execution == await present(stores)
    assert (execution.state, execution.create_time, execution.policy) == (ExecutionState.PENDING, NOW, POLICY)


async def test_what_started_an_execution_is_kept(stores: Stores) -> None:
    pushed = EventResource(operation=EventOperation.PUSH, repository="x", tag="1", digest="sha256:1")
    origin = Origin(trigger=Trigger.EVENT, started_by="hub", event_resources=(pushed,))
    await stores.executions.create(replace(a_request(), origin=origin))
    assert (await present(stores)).origin == origin


async def test_a_request_id_starts_once(stores: Stores) -> None:
    requests = [a_request(f"e{n}", request_id="r") for n in range(5)]
    started = await asyncio.gather(*map(stores.executions.create, requests))
    assert len({each.id for each in started}) == 1
    assert await stores.executions.started_by("r", "s") == started[0]
    assert await stores.executions.started_by("other", "s") is None
    with pytest.raises(RequestIdReused):
        await stores.executions.create(a_request("e9", request_id="r", subject="other"))


async def test_without_a_request_id_each_start_is_one(stores: Stores) -> None:
    started = [await stores.executions.create(a_request(name)) for name in ("a", "b")]
    assert [each.id for each in started] == ["a", "b"]


async def test_executions_are_listed_newest_first_after_a_cursor(stores: Stores) -> None:
    for name in ("a", "b", "c"):
        origin = Origin(trigger=Trigger.EVENT)
        await stores.executions.create(a_request(name, origin=origin, now=NOW if name != "c" else LATER))

    async def ids(after: tuple[datetime, ExecutionId] | None = None, **wanted: object) -> list[str]:
        found = await stores.executions.list_executions(ExecutionFilter(**wanted), after, 2)  # type: ignore[arg-type]
        return [each.id for each in found]

    assert await ids() == ["c", "b"]
    assert await ids((NOW, ExecutionId("b"))) == ["a"]
    assert await ids(policy="policies/other") == []
    assert await ids(states=(ExecutionState.FAILED,)) == []
    assert await ids(policy="policies/p", states=(ExecutionState.PENDING,)) == ["c", "b"]


async def test_executions_are_picked_by_trigger_and_time_and_come_in_either_order(stores: Stores) -> None:
    triggers = {"a": Trigger.MANUAL, "b": Trigger.SCHEDULED, "c": Trigger.EVENT, "d": Trigger.SCHEDULED}
    times = {name: NOW + timedelta(seconds=second) for second, name in enumerate(triggers)}
    for name, trigger in triggers.items():
        request = replace(a_request(name, now=times[name]), origin=Origin(trigger=trigger))
        await stores.executions.create(request)

    async def ids(after: tuple[datetime, ExecutionId] | None = None, **wanted: object) -> str:
        found = await stores.executions.list_executions(ExecutionFilter(**wanted), after, 3)  # type: ignore[arg-type]
        return "".join(each.id for each in found)

    assert await ids(oldest_first=True) == "abc"
    assert await ids((times["c"], ExecutionId("c")), oldest_first=True) == "d"
    assert await ids(triggers=(Trigger.SCHEDULED,)) == "db"
    assert await ids(triggers=(Trigger.SCHEDULED, Trigger.EVENT), oldest_first=True) == "bcd"
    assert await ids(created_since=times["b"], created_before=times["d"]) == "cb"
    assert await ids((times["b"], ExecutionId("b")), oldest_first=True, created_before=times["d"]) == "c"


async def test_what_is_not_there_is_not_found(stores: Stores) -> None:
    await listed(stores, a_task("t"))
    with pytest.raises(ExecutionNotFound):
        await stores.executions.get(ExecutionId("none"))
    with pytest.raises(TaskNotFound):
        await stores.executions.task(ExecutionId("none"), TaskId("t"))


async def test_tasks_are_listed_in_order_by_state_and_page(stores: Stores) -> None:
    await listed(stores, a_task("b"), a_task("a"), a_task("bad", failure=DENIED))
    first, second = await stores.executions.list_tasks(TaskFilter(execution=E), 0, 2)
    rest = await stores.executions.list_tasks(TaskFilter(execution=E), second.sequence, 2)
    failed = await stores.executions.list_tasks(TaskFilter(execution=E, states=(TaskState.FAILED,)), 0, 2)
    assert ([first.id, second.id], [each.id for each in rest], failed) == (["b", "a"], ["bad"], rest)


async def test_the_table_forbids_nonsense(database: Database) -> None:
    url = await database("execution_svc")
    async with open_pool(url, schema="execution") as pool:
        store = PostgresExecutionStore(pool)
        await store.create(a_request())
        for statement in (
            "UPDATE executions SET state = 'SUCCEEDED'",
            "UPDATE executions SET end_time = now()",
            "UPDATE executions SET tasks_total = 1",
            "UPDATE executions SET flow_token = 'x'",
        ):
            with pytest.raises(psycopg.errors.CheckViolation):
                async with pool.connection() as conn:
                    await conn.execute(statement)
