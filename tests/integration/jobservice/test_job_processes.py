"""Whole job service processes on a real PostgreSQL with a real procrastinate."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import psycopg
import pytest

from jobservice.app import Equipment, JobServer, build_with
from jobservice.config import JobConfig
from jobservice.transfer import DeleteWork
from service_kit.channel import open_channel
from tests.jobs import Plans, Script, failed
from tests.postgres import Database
from transship.job.v1 import job_pb2 as pb
from transship.job.v1 import job_pb2_grpc

PATIENCE_S = 30
FINAL = {pb.Job.STATE_SUCCEEDED, pb.Job.STATE_FAILED, pb.Job.STATE_STOPPED}


@pytest.fixture
async def url(database: Database) -> str:
    return await database("jobservice")


@asynccontextmanager
async def process(
    url: str, handler: Script, *, workers: int = 4, plans: Plans | None = None
) -> AsyncIterator[JobServer]:
    """A process of the job service whose jobs are done by the handler."""
    config = JobConfig.model_validate({"database_url": url, "registry_target": "127.0.0.1:1", "workers": workers})
    async with AsyncExitStack() as stack:
        equipment = Equipment(handlers={DeleteWork: handler}, planner=plans or Plans())
        server = await build_with(config, stack, lambda _pool: equipment)
        await server.start()
        try:
            yield server
        finally:
            await server.drain(0)


@asynccontextmanager
async def stub_of(server: JobServer) -> AsyncIterator[job_pb2_grpc.JobServiceAsyncStub]:
    async with open_channel(server.address) as channel:
        yield job_pb2_grpc.JobServiceStub(channel)


def spec(key: str, group: str = "policies/p") -> pb.JobSpec:
    delete = pb.DeleteWork(
        registry="registries/r", repository="library/nginx", references=[pb.DeleteReference(tag="1")]
    )
    return pb.JobSpec(key=key, fairness_group=group, delete=delete)


def submit(*specs: pb.JobSpec) -> pb.DelegateRequest:
    return pb.DelegateRequest(submit=pb.SubmitJobs(jobs=specs))


class Client:
    """One Delegate stream, with the newest status of each key."""

    def __init__(self, stub: job_pb2_grpc.JobServiceAsyncStub) -> None:
        self.call: Any = stub.Delegate()
        self.accepted: list[str] = []
        self.rejected: dict[str, str] = {}
        self.unknown: list[str] = []
        self.statuses: dict[str, pb.JobStatus] = {}
        self.history: list[pb.JobStatus] = []

    async def say(self, *requests: pb.DelegateRequest) -> None:
        for request in requests:
            await self.call.write(request)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._take(await self.call.read())

    async def until_ended(self, *keys: str) -> None:
        await self.until(lambda: all(key in self.statuses and self.statuses[key].state in FINAL for key in keys))

    def _take(self, response: pb.DelegateResponse) -> None:
        self.accepted += response.accepted.keys
        self.unknown += response.unknown.keys
        if response.HasField("rejected"):
            self.rejected[response.rejected.key] = response.rejected.failure.reason
        for status in response.changed.statuses:
            self.statuses[status.key] = status
            self.history.append(status)

    def state(self, key: str) -> str:
        return pb.Job.State.Name(self.statuses[key].state).removeprefix("STATE_")


async def test_a_submitted_job_is_done(url: str) -> None:
    handler = Script()
    handler.steps = 7
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(spec("a")))
        await client.until_ended("a")

        assert client.accepted == ["a"]
        assert client.state("a") == "SUCCEEDED"
        assert client.statuses["a"].progress.bytes_copied == 7
        assert client.statuses["a"].results[0].outcome == 1
        lines = [
            entry.message
            async for part in stub.ReadJobLog(pb.ReadJobLogRequest(name="jobs/a"))
            for entry in part.entries
        ]
        assert lines == ["begun"]


async def test_a_job_submitted_twice_is_done_once(url: str) -> None:
    handler = Script()
    async with process(url, handler) as server, stub_of(server) as stub:
        first, second = Client(stub), Client(stub)
        await first.say(submit(spec("a")), submit(spec("a")))
        await first.until_ended("a")
        await second.say(submit(spec("a")))
        await second.until_ended("a")

        assert second.accepted == ["a"]
        assert handler.begun == [("a", 1)]


async def test_other_work_under_the_same_key_is_rejected(url: str) -> None:
    async with process(url, Script()) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(spec("a")), submit(spec("a", group="policies/other"), spec("b")))
        await client.until_ended("b")
        assert client.rejected == {"a": "JOB_KEY_REUSED"}


async def test_revisions_only_grow(url: str) -> None:
    async with process(url, Script([failed(retry_after_s="0")])) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(spec("a")))
        await client.until_ended("a")
        revisions = [status.revision for status in client.history]
        assert revisions == sorted(set(revisions))


async def test_a_broken_stream_loses_nothing(url: str) -> None:
    handler = Script()
    handler.blocking = True
    async with process(url, handler) as server, process(url, Script()) as other:
        async with stub_of(server) as stub:
            client = Client(stub)
            await client.say(submit(spec("a"), spec("b")))
            await client.until(lambda: bool(client.accepted))
            client.call.cancel()
        handler.released.set()
        async with stub_of(other) as stub:
            again = Client(stub)
            await again.say(pb.DelegateRequest(follow=pb.FollowJobs(keys=["a", "b", "never-seen"])))
            await again.until_ended("a", "b")
            assert again.unknown == ["never-seen"]


async def test_a_transient_failure_is_tried_again(url: str) -> None:
    handler = Script([failed(retry_after_s="0")], RuntimeError("a fault"))
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(spec("a")))
        await client.until_ended("a")

        assert client.state("a") == "SUCCEEDED"
        assert handler.begun == [("a", 1), ("a", 2), ("a", 3)]


async def test_a_running_job_is_stopped(url: str) -> None:
    handler = Script()
    handler.blocking = True
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(spec("a")))
        await handler.began.wait()
        await client.say(pb.DelegateRequest(stop=pb.StopJobs(keys=["a"])))
        await client.until_ended("a")

        assert client.state("a") == "STOPPED"
        assert handler.cancelled == ["a"]


async def test_thousands_that_wait_are_stopped(url: str) -> None:
    handler = Script()
    handler.blocking = True
    keys = [f"job-{number}" for number in range(2000)]
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        for first in range(0, 2000, 100):
            await client.say(submit(*(spec(key) for key in keys[first : first + 100])))
        await client.until(lambda: len(client.accepted) == 2000)
        for first in range(0, 2000, 1000):
            await client.say(pb.DelegateRequest(stop=pb.StopJobs(keys=keys[first : first + 1000])))
        await client.until_ended(*keys)

        assert {client.state(key) for key in keys} == {"STOPPED"}
        assert len(handler.begun) <= 4 + 4  # those that ran, and at most those that took their slots before the stop


async def test_few_jobs_do_not_wait_for_many(url: str) -> None:
    handler = Script()
    many = [f"many-{number:04}" for number in range(1000)]
    few = ["few-1", "few-2", "few-3"]
    handler.blocking = True
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        for first in range(0, 1000, 100):
            await client.say(submit(*(spec(key, "policies/many") for key in many[first : first + 100])))
        await client.until(lambda: len(client.accepted) == 1000)
        await client.say(submit(*(spec(key, "policies/few") for key in few)))
        await client.until(lambda: len(client.accepted) == 1003)
        handler.blocking = False
        handler.released.set()
        await client.until_ended(*few)

        last = max(place for place, (key, _) in enumerate(handler.begun) if key in few)
        assert last < 40  # behind the slots and the window that the first jobs have taken, before the other 960


async def test_a_drained_process_gives_its_jobs_to_another(url: str) -> None:
    first, second = Script(), Script()
    first.blocking = True
    second.blocking = True  # so that it cannot take everything
    keys = [f"job-{number}" for number in range(20)]
    async with process(url, second) as other, stub_of(other) as stub:
        client = Client(stub)
        async with process(url, first, workers=100) as draining:
            await client.say(submit(*map(spec, keys)))
            await first.began.wait()
            second.blocking = False
            second.released.set()
            await draining.drain(0)
        await client.until_ended(*keys)

        assert {client.state(key) for key in keys} == {"SUCCEEDED"}
        assert first.cancelled
        assert {key for key, attempt in second.begun if attempt == 2} >= set(first.cancelled)


async def persistently_done(stub: job_pb2_grpc.JobServiceAsyncStub, key: str) -> Client:
    """Submits a job as a client does that opens another stream when one breaks."""
    while True:
        client = Client(stub)
        try:
            await client.say(submit(spec(key)))
            await client.until_ended(key)
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return client


async def test_a_worker_recovers_when_the_database_cuts_its_connections(url: str) -> None:
    handler = Script()
    handler.blocking = True
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(spec("long")))
        await handler.began.wait()
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        handler.blocking = False
        async with asyncio.timeout(PATIENCE_S):
            again = await persistently_done(stub, "after")
        handler.released.set()
        await again.say(pb.DelegateRequest(follow=pb.FollowJobs(keys=["long"])))
        await again.until_ended("long")

        assert handler.begun == [("long", 1), ("after", 1)]
        assert again.state("long") == "SUCCEEDED"


async def test_a_watch_ends_with_the_job(url: str) -> None:
    handler = Script()
    handler.blocking = True
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(spec("a")))
        await handler.began.wait()
        states = []
        async for response in stub.WatchJob(pb.WatchJobRequest(name="jobs/a")):
            states.append(response.status.state)
            handler.released.set()
        assert states == [pb.Job.STATE_RUNNING, pb.Job.STATE_SUCCEEDED]


async def test_a_followed_log_ends_with_the_job(url: str) -> None:
    handler = Script()
    handler.blocking = True
    async with process(url, handler) as server, stub_of(server) as stub:
        await Client(stub).say(submit(spec("a")))
        await handler.began.wait()
        lines = []
        async for part in stub.ReadJobLog(pb.ReadJobLogRequest(name="jobs/a", follow=True)):
            lines += [entry.message for entry in part.entries]
            handler.released.set()
        assert lines == ["begun"]


async def test_jobs_are_listed_and_stopped_by_name(url: str) -> None:
    handler = Script()
    handler.blocking = True
    async with process(url, handler) as server, stub_of(server) as stub:
        client = Client(stub)
        await client.say(submit(*(spec(f"job-{number}") for number in range(3))))
        await client.until(lambda: len(client.accepted) == 3)
        first = await stub.ListJobs(pb.ListJobsRequest(page_size=2))
        rest = await stub.ListJobs(pb.ListJobsRequest(page_size=2, page_token=first.next_page_token))
        assert [job.name for job in [*first.jobs, *rest.jobs]] == ["jobs/job-2", "jobs/job-1", "jobs/job-0"]
        assert rest.next_page_token == ""

        await stub.StopJob(pb.StopJobRequest(name="jobs/job-0"))
        await client.until_ended("job-0")
        assert (await stub.GetJob(pb.GetJobRequest(name="jobs/job-0"))).status.stop_requested


def a_plan(*tags: str) -> pb.PlanReplicationRequest:
    work = pb.ReplicateWork(
        source_registry="registries/a",
        source_repository="library/nginx",
        destination_registry="registries/b",
        destination_repository="mirror/nginx",
        references=[pb.ReplicateReference(tag=tag) for tag in tags],
    )
    return pb.PlanReplicationRequest(replicate=work)


async def test_a_plan_is_streamed_and_leaves_no_job(url: str) -> None:
    async with process(url, Script()) as server, stub_of(server) as stub:
        told = [each async for part in stub.PlanReplication(a_plan("1", "2")) for each in part.references]

        assert [(each.tag, each.destination_tag, each.bytes_to_move) for each in told] == [("1", "1", 7), ("2", "2", 7)]
        assert list((await stub.ListJobs(pb.ListJobsRequest())).jobs) == []


async def test_a_plan_of_nothing_is_refused(url: str) -> None:
    async with process(url, Script()) as server, stub_of(server) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.PlanReplication(a_plan()).read()

        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_plan_ends_with_its_caller(url: str) -> None:
    plans = Plans(stalls=True)
    async with process(url, Script(), plans=plans) as server, stub_of(server) as stub:
        call: Any = stub.PlanReplication(a_plan("1", "2"))
        await call.read()
        call.cancel()
        async with asyncio.timeout(PATIENCE_S):
            await plans.ended.wait()


async def test_a_plan_ends_when_the_replica_goes_down(url: str) -> None:
    plans = Plans(stalls=True)
    async with process(url, Script(), plans=plans) as server, stub_of(server) as stub:
        call: Any = stub.PlanReplication(a_plan("1", "2"))
        await call.read()
        draining = asyncio.create_task(server.drain(PATIENCE_S))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        await draining

        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert plans.ended.is_set()
