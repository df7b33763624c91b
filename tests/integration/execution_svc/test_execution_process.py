"""The service as a process: it starts, is killed at any moment, and the next one carries on."""

import signal
from pathlib import Path

from tests.integration.execution_svc.execution_peers import Peers, a_resource, hangs
from tests.integration.execution_svc.execution_process import a_process, expire_leases, its_service, peers, state_of
from tests.postgres import Database
from transship.execution.v1 import execution_pb2 as pb

__all__ = ["peers"]


async def test_a_process_killed_while_it_lists_is_succeeded(database: Database, peers: Peers, tmp_path: Path) -> None:
    url = await database("execution_svc")
    peers.catalog.resources = [a_resource("a", *(f"v{n}" for n in range(150))), a_resource("b", "1")]
    peers.catalog.hold.clear()
    async with a_process(url, peers, tmp_path, signal.SIGKILL) as address, its_service(address) as service:
        execution = await service.StartExecution(pb.StartExecutionRequest(policy="policies/nightly"))
        async for each in service.WatchExecution(pb.WatchExecutionRequest(name=execution.name)):
            if each.execution.task_counts.succeeded:
                break
    peers.catalog.hold.set()
    await expire_leases(url)

    async with a_process(url, peers, tmp_path, signal.SIGTERM) as address, its_service(address) as service:
        last = await state_of(service, execution.name)

    assert last.task_counts == pb.TaskCounts(total=3, succeeded=3)
    assert set(peers.jobs.copies().values()) == {1}


async def test_a_process_killed_while_jobs_run_is_succeeded(database: Database, peers: Peers, tmp_path: Path) -> None:
    url = await database("execution_svc")
    peers.jobs.work = hangs
    async with a_process(url, peers, tmp_path, signal.SIGKILL) as address, its_service(address) as service:
        execution = await service.StartExecution(pb.StartExecutionRequest(policy="policies/nightly"))
        async for each in service.WatchExecution(pb.WatchExecutionRequest(name=execution.name)):
            if each.execution.task_counts.running:
                break
    peers.jobs.finish()

    async with a_process(url, peers, tmp_path, signal.SIGTERM) as address, its_service(address) as service:
        last = await state_of(service, execution.name)

    assert last.state == pb.Execution.STATE_SUCCEEDED
    assert set(peers.jobs.submissions.values()) == {1}
