"""Two replicas of the service as two processes on one database."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from tests.integration.execution_svc.execution_peers import Peers, a_policy, a_resource, hangs, succeeds
from tests.integration.execution_svc.execution_process import a_process, expire_leases, its_service, peers, state_of
from tests.postgres import Database
from transship.execution.v1 import execution_pb2 as pb
from transship.policy.v1 import policy_pb2

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

__all__ = ["peers"]

STARTS = 10  # at each replica
_FEW_WAIT = """
SELECT FROM pg_stat_activity
 WHERE datname = current_database() AND wait_event_type = 'Lock'
   AND (query LIKE '%INSERT INTO executions%' OR query LIKE '%pg_advisory_xact_lock%')
HAVING count(*) < 4
"""
WAIT_S = 30.0  # the lock of a leader that was killed is free as soon as PostgreSQL sees its connection end


@pytest.fixture
async def url(database: Database) -> str:
    return await database("execution_svc")


@asynccontextmanager
async def a_replica(
    url: str, peers: Peers, directory: Path, end: signal.Signals = signal.SIGTERM
) -> AsyncIterator["ExecutionServiceAsyncStub"]:
    async with a_process(url, peers, directory, end) as address, its_service(address) as service:
        yield service


@pytest.fixture
async def two(url: str, peers: Peers, tmp_path: Path) -> AsyncIterator[list["ExecutionServiceAsyncStub"]]:
    async with a_replica(url, peers, tmp_path) as one, a_replica(url, peers, tmp_path) as other:
        yield [one, other]


async def all_started(
    services: list["ExecutionServiceAsyncStub"], requests: list[pb.StartExecutionRequest]
) -> list[list[pb.Execution]]:
    """Each request at each of the services, all at once; by service."""
    return await asyncio.gather(
        *(asyncio.gather(*(service.StartExecution(each) for each in requests)) for service in services)
    )


@asynccontextmanager
async def held_up(url: str) -> AsyncIterator[None]:
    """Nobody writes an execution before several are about to; then all may at once."""
    connect = psycopg.AsyncConnection.connect
    async with await connect(url) as holder, await connect(url, autocommit=True) as watcher:
        await holder.execute("LOCK TABLE execution.executions IN SHARE MODE")
        yield
        async with asyncio.timeout(WAIT_S):
            while await (await watcher.execute(_FEW_WAIT)).fetchone():  # noqa: ASYNC110 - a table notifies nobody
                await asyncio.sleep(0.05)


async def all_of(service: "ExecutionServiceAsyncStub") -> list[pb.Execution]:
    return list((await service.ListExecutions(pb.ListExecutionsRequest(page_size=1000))).executions)


async def seen(service: "ExecutionServiceAsyncStub", execution: pb.Execution, count: str) -> None:
    """Waits until a task of the execution is counted so."""
    async for each in service.WatchExecution(pb.WatchExecutionRequest(name=execution.name)):
        if getattr(each.execution.task_counts, count):
            return


async def test_a_request_id_that_comes_to_both_starts_once(
    url: str, two: list["ExecutionServiceAsyncStub"], peers: Peers
) -> None:
    names = [f"policies/p{n}" for n in range(STARTS)]
    peers.policies.stored |= {name: a_policy(name=name) for name in names}
    requests = [pb.StartExecutionRequest(policy=name, request_id=f"of {name}") for name in names]

    async with held_up(url):
        starts = asyncio.create_task(all_started(two, requests))
    here, there = await starts

    assert [each.name for each in here] == [each.name for each in there]
    assert len(await all_of(two[0])) == STARTS
    ends = [await state_of(two[0], each.name) for each in here]
    assert {each.state for each in ends} == {pb.Execution.STATE_SUCCEEDED}
    assert Counter(peers.jobs.submissions.values()) == {1: STARTS}


async def test_of_starts_at_both_one_runs_and_the_others_are_skipped(
    url: str, two: list["ExecutionServiceAsyncStub"], peers: Peers
) -> None:
    peers.policies.stored["policies/nightly"] = a_policy(overlap=policy_pb2.Policy.OVERLAP_SKIP)
    peers.jobs.work = hangs

    async with held_up(url):
        starts = asyncio.create_task(all_started(two, [pb.StartExecutionRequest(policy="policies/nightly")] * STARTS))
    started = await starts

    states = Counter(each.state for each in await all_of(two[1]))
    assert states[pb.Execution.STATE_SKIPPED] == 2 * STARTS - 1
    (only,) = [each for some in started for each in some if each.state != pb.Execution.STATE_SKIPPED]
    await seen(two[1], only, "running")
    peers.jobs.finish()
    assert (await state_of(two[0], only.name)).state == pb.Execution.STATE_SUCCEEDED
    assert Counter(peers.jobs.submissions.values()) == {1: 1}


async def test_what_the_killed_leader_was_at_is_carried_on_by_the_other(url: str, peers: Peers, tmp_path: Path) -> None:
    """It lists one execution and has jobs of another one; both are started there, so that it is at both."""
    peers.policies.stored["policies/listed"] = a_policy(name="policies/listed")
    peers.catalog.resources = [a_resource("a", *(f"v{n}" for n in range(150))), a_resource("b", "1")]
    peers.jobs.work = hangs
    async with AsyncExitStack() as stack:
        leader = await stack.enter_async_context(a_replica(url, peers, tmp_path, signal.SIGKILL))
        jobs = await leader.StartExecution(pb.StartExecutionRequest(policy="policies/nightly"))
        await seen(leader, jobs, "running")
        peers.catalog.hold.clear()
        listed = await leader.StartExecution(pb.StartExecutionRequest(policy="policies/listed"))
        await seen(leader, listed, "total")
        async with a_replica(url, peers, tmp_path) as other:
            assert peers.jobs.streams == 1
            await stack.aclose()
            peers.jobs.work = succeeds
            peers.jobs.finish()
            peers.catalog.hold.set()
            await expire_leases(url)

            async with asyncio.timeout(WAIT_S):
                ends = [await state_of(other, each.name) for each in (jobs, listed)]

    assert [each.state for each in ends] == [pb.Execution.STATE_SUCCEEDED] * 2
    assert peers.jobs.streams == 2
    assert set(peers.jobs.submissions.values()) == {1}
    assert (set(peers.jobs.copies().values()), len(peers.jobs.copies())) == ({2}, 151)  # once an execution
