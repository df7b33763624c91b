"""Stop and Retry over loopback gRPC, with jobs that run."""

import asyncio
from typing import TYPE_CHECKING

import pytest

from service_kit.errors import ServiceError
from service_kit.status import remote_errors
from tests.integration.execution_svc.execution_calls import (
    Execution,
    ended,
    peers,
    service,
    start,
    tasks_of,
    until,
    url,
)
from tests.integration.execution_svc.execution_peers import Peers, a_policy, a_resource, fails, hangs, succeeds
from transship.execution.v1 import execution_pb2 as pb
from transship.policy.v1 import policy_pb2

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

__all__ = ["peers", "service", "url"]


async def test_retry_runs_what_failed_under_a_new_key(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.jobs.work = fails
    failed = await ended(service, await start(service))
    peers.jobs.work = succeeds

    await service.RetryExecution(pb.RetryExecutionRequest(name=failed.name))
    last = await ended(service, failed)

    assert (failed.state, last.state) == (Execution.STATE_FAILED, Execution.STATE_SUCCEEDED)
    task = (await tasks_of(service, last))[0].name.rpartition("/")[2]
    assert sorted(peers.jobs.jobs) == [f"{task}-1", f"{task}-2"]
    with pytest.raises(ServiceError) as caught:
        async with remote_errors():
            await service.RetryExecution(pb.RetryExecutionRequest(name=failed.name))
    assert caught.value.reason == "NOTHING_TO_RETRY"


async def test_stop_reaches_jobs_that_run(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.jobs.work = hangs
    execution = await start(service)
    await until(service, execution, running=1)

    stopping = await service.StopExecution(pb.StopExecutionRequest(name=execution.name))
    last = await ended(service, execution)

    assert stopping.state == Execution.STATE_STOPPING
    assert (last.state, last.task_counts.stopped) == (Execution.STATE_STOPPED, 1)


async def test_stop_while_the_jobservice_is_away(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.jobs.work = hangs
    execution = await start(service)
    await until(service, execution, running=1)
    await peers.stop()

    await service.StopExecution(pb.StopExecutionRequest(name=execution.name))
    await peers.start()

    assert (await ended(service, execution)).state == Execution.STATE_STOPPED


async def test_stop_while_listing_ends_it_at_once(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    """Names may collide, so no task has a job before the listing has ended."""
    mirror = policy_pb2.Destination(registry="registries/mirror", namespace="m")
    peers.policies.stored["policies/nightly"] = a_policy(destinations=[mirror])
    peers.catalog.hold.clear()
    execution = await start(service)
    async for each in service.WatchExecution(pb.WatchExecutionRequest(name=execution.name)):
        if each.execution.task_counts.pending:
            break

    stopped = await service.StopExecution(pb.StopExecutionRequest(name=execution.name))
    peers.catalog.hold.set()

    assert (stopped.state, stopped.task_counts.stopped) == (Execution.STATE_STOPPED, 1)
    assert not peers.jobs.jobs
    with pytest.raises(ServiceError) as caught:
        async with remote_errors():
            await service.StopExecution(pb.StopExecutionRequest(name=execution.name))
    assert caught.value.metadata["state"] == "STOPPED"


async def test_stops_amid_everything_leave_each_execution_ended(
    service: "ExecutionServiceAsyncStub", peers: Peers
) -> None:
    """Claims, folds and stops lock the same rows: in another order they would wait for each other."""
    peers.catalog.resources = [a_resource(f"r{n}", "1") for n in range(40)]
    names = [f"policies/p{n}" for n in range(8)]
    peers.policies.stored |= {name: a_policy(name=name) for name in names}
    executions = [await start(service, name) for name in names]
    stops = [service.StopExecution(pb.StopExecutionRequest(name=each.name)) for each in executions[::2]]
    await asyncio.gather(*stops, return_exceptions=True)  # some may have finished before
    lasts = await asyncio.gather(*(ended(service, each) for each in executions))

    assert {last.state for last in lasts} <= {Execution.STATE_SUCCEEDED, Execution.STATE_STOPPED}
    assert all(last.state == Execution.STATE_SUCCEEDED for last in lasts[1::2])
    assert all(last.task_counts.pending + last.task_counts.running == 0 for last in lasts)
