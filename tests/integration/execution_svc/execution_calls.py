"""A running service, and calls that tests make of it."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from service_kit.status import remote_errors
from tests.integration.execution_svc.execution_peers import Peers, running_peers, running_service
from tests.postgres import Database
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1 import task_pb2

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

Execution = pb.Execution


@pytest.fixture
async def url(database: Database) -> str:
    return await database("execution_svc")


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    async with running_peers() as peers:
        yield peers


@pytest.fixture
async def service(url: str, peers: Peers) -> AsyncIterator["ExecutionServiceAsyncStub"]:
    async with running_service(url, peers) as stub:
        yield stub


async def start(
    service: "ExecutionServiceAsyncStub", policy: str = "policies/nightly", request_id: str = ""
) -> Execution:
    return await service.StartExecution(pb.StartExecutionRequest(policy=policy, request_id=request_id))


async def watched(service: "ExecutionServiceAsyncStub", name: str) -> list[Execution]:
    return [each.execution async for each in service.WatchExecution(pb.WatchExecutionRequest(name=name))]


async def ended(service: "ExecutionServiceAsyncStub", execution: Execution) -> Execution:
    return (await watched(service, execution.name))[-1]


async def until(service: "ExecutionServiceAsyncStub", execution: Execution, *, running: int) -> None:
    """Waits until so many tasks run."""
    call = service.WatchExecution(pb.WatchExecutionRequest(name=execution.name))
    async for each in call:
        if each.execution.task_counts.running == running:
            call.cancel()
            return


async def rest(states: AsyncIterator[pb.WatchExecutionResponse]) -> list[pb.WatchExecutionResponse]:
    async with remote_errors():
        return [each async for each in states]


async def tasks_of(service: "ExecutionServiceAsyncStub", execution: Execution) -> list[task_pb2.Task]:
    response = await service.ListTasks(task_pb2.ListTasksRequest(parent=execution.name, page_size=1000))
    return list(response.tasks)
