"""What comes of interruptions: listings, streams, services, replicas and connections that go away."""

from collections import Counter
from typing import TYPE_CHECKING

import psycopg
import pytest

from service_kit.errors import Kind, RemoteError
from tests.integration.execution_svc.execution_calls import Execution, ended, peers, service, start, until, url
from tests.integration.execution_svc.execution_peers import (
    Peers,
    a_policy,
    a_resource,
    hangs,
    running_service,
    succeeds,
)
from transship.execution.v1 import execution_pb2 as pb
from transship.sdk.executions import Executions

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

__all__ = ["peers", "service", "url"]


async def test_a_listing_that_is_interrupted_is_repeated(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    """The second listing begins with a tag that the first did not have."""
    peers.catalog.resources = [a_resource("a", *(f"v{n}" for n in range(150))), a_resource("b", "1")]
    peers.catalog.failing = [RemoteError.of(Kind.UNAVAILABLE, message="restarting")]
    execution = await start(service)
    peers.catalog.resources[0].references.insert(0, a_resource("a", "new").references[0])

    last = await ended(service, execution)

    assert last.state == Execution.STATE_SUCCEEDED
    assert set(peers.jobs.copies().values()) == {1}
    assert len(peers.jobs.copies()) in {151, 152}  # "new" may have come in time for the first listing


async def test_a_listing_that_cannot_be_had_fails_the_execution_and_can_be_retried(
    service: "ExecutionServiceAsyncStub", peers: Peers
) -> None:
    peers.catalog.failing = [RemoteError.of(Kind.FAILED_PRECONDITION, message="no", reason="CATALOG_UNSUPPORTED")]

    failed = await ended(service, await start(service))
    again = await service.RetryExecution(pb.RetryExecutionRequest(name=failed.name))
    last = await ended(service, again)

    assert (failed.state, failed.failure.reason) == (Execution.STATE_FAILED, "CATALOG_UNSUPPORTED")
    assert again.state == Execution.STATE_RUNNING
    assert (last.state, last.failure.reason) == (Execution.STATE_SUCCEEDED, "")
    assert set(peers.jobs.copies().values()) == {1}


@pytest.mark.parametrize("messages", range(12))
async def test_the_stream_may_break_at_any_message(
    service: "ExecutionServiceAsyncStub", peers: Peers, messages: int
) -> None:
    peers.jobs.break_streams()
    peers.jobs.breaks = [messages, messages]
    peers.jobs.stale_again = True
    peers.catalog.resources = [a_resource("a", *(f"v{n}" for n in range(120))), a_resource("b", "1")]

    last = await ended(service, await start(service))

    assert last.task_counts == pb.TaskCounts(total=3, succeeded=3)
    assert last.progress.references_copied == 121
    assert set(peers.jobs.copies().values()) == {1}


async def test_jobs_that_were_forgotten_are_submitted_again(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    """The new job's revisions begin below those that were seen of the old one."""
    peers.jobs.work = hangs
    execution = await start(service)
    await until(service, execution, running=1)
    for _ in range(5):
        peers.jobs.finish(hangs)

    peers.jobs.work = succeeds
    peers.jobs.forget()
    peers.jobs.break_streams()

    assert (await ended(service, execution)).state == Execution.STATE_SUCCEEDED
    assert set(peers.jobs.submissions.values()) == {2}


async def test_a_restarted_service_goes_on(url: str, peers: Peers) -> None:
    peers.jobs.work = hangs
    async with running_service(url, peers) as service:
        execution = await start(service)
        await until(service, execution, running=1)
    peers.jobs.finish()

    async with running_service(url, peers) as service:
        assert (await ended(service, execution)).state == Execution.STATE_SUCCEEDED
    assert set(peers.jobs.submissions.values()) == {1}


async def test_peers_that_restart_while_listing_lose_nothing(
    service: "ExecutionServiceAsyncStub", peers: Peers
) -> None:
    peers.catalog.resources = [a_resource("a", *(f"v{n}" for n in range(150))), a_resource("b", "1")]
    peers.catalog.hold.clear()
    execution = await start(service)
    async for each in service.WatchExecution(pb.WatchExecutionRequest(name=execution.name)):
        if each.execution.task_counts.total:
            break
    await peers.stop()
    peers.catalog.hold.set()
    await peers.start()

    assert (await ended(service, execution)).task_counts == pb.TaskCounts(total=3, succeeded=3)
    assert set(peers.jobs.copies().values()) == {1}


async def test_two_replicas_submit_each_job_once(url: str, peers: Peers) -> None:
    peers.catalog.resources = [a_resource(f"r{n}", "1") for n in range(50)]
    async with running_service(url, peers) as one, running_service(url, peers) as other:
        peers.policies.stored["policies/weekly"] = a_policy(name="policies/weekly")
        executions = [await start(one), await start(other, "policies/weekly")]
        assert {(await ended(one, each)).state for each in executions} == {Execution.STATE_SUCCEEDED}

    assert Counter(peers.jobs.submissions.values()) == {1: 100}
    assert peers.jobs.streams == 1


async def test_lost_database_connections_lose_nothing(
    service: "ExecutionServiceAsyncStub", peers: Peers, url: str
) -> None:
    peers.jobs.work = hangs
    execution = await start(service)
    await until(service, execution, running=1)

    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
        await conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
    peers.jobs.finish()

    # A call that gets one of the lost connections is told to try again, and the client's library does.
    assert (await Executions(service).wait(execution.name)).state == Execution.STATE_SUCCEEDED
