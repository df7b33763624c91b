"""What is read of executions and tasks: pages, logs, watches."""

from typing import TYPE_CHECKING

import pytest

from service_kit.channel import open_channel
from service_kit.errors import ServiceError
from service_kit.status import remote_errors
from tests.integration.execution_svc.execution_calls import ended, peers, rest, service, start, tasks_of, until, url
from tests.integration.execution_svc.execution_peers import Peers, a_resource, hangs, running_server, succeeds
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1 import task_pb2
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceStub

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

__all__ = ["peers", "service", "url"]


async def test_the_remaining_time_is_told_while_tasks_run(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.catalog.resources = [a_resource("a", "1"), a_resource("b", "1")]
    peers.jobs.work = lambda spec: (succeeds if spec.replicate.source_repository == "a" else hangs)(spec)
    execution = await start(service)
    await until(service, execution, running=1)

    async for each in service.WatchExecution(pb.WatchExecutionRequest(name=execution.name)):
        if each.execution.listing_complete and each.execution.progress.references_copied:
            assert each.execution.HasField("remaining_duration")
            break
    peers.jobs.finish()

    assert not (await ended(service, execution)).HasField("remaining_duration")


async def test_pages_of_executions_come_newest_first(service: "ExecutionServiceAsyncStub") -> None:
    names = [(await start(service)).name for _ in range(3)]
    seen: list[str] = []
    token = ""
    while True:
        request = pb.ListExecutionsRequest(page_size=2, page_token=token, policy="policies/nightly")
        response = await service.ListExecutions(request)
        seen += [each.name for each in response.executions]
        if not (token := response.next_page_token):
            break
    assert seen == names[::-1]
    none = await service.ListExecutions(pb.ListExecutionsRequest(policy="policies/other"))
    assert not none.executions


async def test_pages_of_tasks_come_in_the_order_of_creation(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.catalog.resources = [a_resource(f"r{n}", "1") for n in range(5)]
    last = await ended(service, await start(service))
    first = await service.ListTasks(task_pb2.ListTasksRequest(parent=last.name, page_size=3))
    second = await service.ListTasks(
        task_pb2.ListTasksRequest(parent=last.name, page_size=3, page_token=first.next_page_token)
    )
    names = [task.source_repository for task in [*first.tasks, *second.tasks]]
    assert (names, second.next_page_token) == ([f"r{n}" for n in range(5)], "")
    failed = task_pb2.ListTasksRequest(parent=last.name, states=[task_pb2.Task.STATE_FAILED])
    assert not (await service.ListTasks(failed)).tasks


async def test_the_log_of_a_task_is_read_on_after_a_line(service: "ExecutionServiceAsyncStub") -> None:
    last = await ended(service, await start(service))
    task = (await tasks_of(service, last))[0]
    request = task_pb2.ReadTaskLogRequest(name=task.name, after_sequence=1, follow=True)

    lines = [entry.message async for response in service.ReadTaskLog(request) for entry in response.entries]

    assert lines == ["line 2", "line 3"]


async def test_a_watch_ends_when_the_server_drains(url: str, peers: Peers) -> None:
    peers.jobs.work = hangs
    async with running_server(url, peers) as server, open_channel(server.address) as channel:
        service = ExecutionServiceStub(channel)
        execution = await start(service)
        call = service.WatchExecution(pb.WatchExecutionRequest(name=execution.name))
        states = aiter(call)
        await anext(states)
        await server.drain(5.0)
        with pytest.raises(ServiceError) as caught:
            await rest(states)
    assert caught.value.reason == "SHUTTING_DOWN"


async def test_what_is_not_there_is_not_found(service: "ExecutionServiceAsyncStub") -> None:
    reasons = []
    for call in (
        service.GetExecution(pb.GetExecutionRequest(name="executions/none")),
        service.ListTasks(task_pb2.ListTasksRequest(parent="executions/none")),
        service.GetTask(task_pb2.GetTaskRequest(name="executions/none/tasks/none")),
    ):
        with pytest.raises(ServiceError) as caught:
            async with remote_errors():
                await call
        reasons.append(caught.value.reason)
    assert reasons == ["EXECUTION_NOT_FOUND", "EXECUTION_NOT_FOUND", "TASK_NOT_FOUND"]
