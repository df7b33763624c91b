"""The execution service over loopback gRPC, with a real PostgreSQL and small working peers."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from service_kit.channel import open_channel
from service_kit.errors import Kind, RemoteError, ServiceError
from service_kit.status import remote_errors
from tests.integration.execution_svc.execution_peers import (
    Peers,
    a_policy,
    a_resource,
    fails,
    hangs,
    running_peers,
    running_server,
    running_service,
    succeeds,
)
from tests.postgres import Database
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1 import task_pb2
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from transship.job.v1 import job_pb2
from transship.policy.v1 import policy_pb2
from transship.sdk.executions import Executions
from transship.type.v1.transfer_pb2 import TransferOptions

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

Execution = pb.Execution
OPTIONS = TransferOptions(
    platforms=["linux/amd64"],
    referrers=True,
    referrer_types=["application/spdx+json"],
    foreign_layers=True,
    max_bytes_per_second=2**40,
)


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


async def test_an_execution_copies_each_reference_once(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.catalog.resources = [a_resource("library/nginx", *(f"v{n}" for n in range(250))), a_resource("a", "1")]

    last = await ended(service, await start(service))

    assert last.state == Execution.STATE_SUCCEEDED
    assert last.task_counts == pb.TaskCounts(total=4, succeeded=4)
    assert (last.progress.references_copied, last.progress.bytes_copied) == (251, 2510)
    assert set(peers.jobs.copies().values()) == {1}
    assert len(peers.jobs.copies()) == 251
    assert peers.catalog.prepared == {"library/nginx": 1, "a": 1}


@pytest.mark.parametrize("subject", [{"policy": "policies/thin"}, {"inline_policy": a_policy(options=OPTIONS)}])
async def test_jobs_learn_how_artifacts_are_copied(
    service: "ExecutionServiceAsyncStub", peers: Peers, subject: dict[str, Any]
) -> None:
    peers.policies.stored["policies/thin"] = a_policy(name="policies/thin", options=OPTIONS)

    await ended(service, await service.StartExecution(pb.StartExecutionRequest(**subject)))

    (job,) = peers.jobs.jobs.values()
    assert job.replicate.options == OPTIONS


async def test_nothing_to_replicate_is_a_success(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.catalog.resources = []

    last = await ended(service, await start(service))

    assert (last.state, last.state_message) == (
        Execution.STATE_SUCCEEDED,
        "no resources need to be replicated",
    )


async def test_a_repeated_request_is_the_same_execution(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    """Whatever has become of the policy since."""
    first = await start(service, request_id="once")
    peers.policies.stored.clear()

    assert (await start(service, request_id="once")).name == first.name
    with pytest.raises(ServiceError) as caught:
        async with remote_errors():
            await start(service, request_id="once", policy="policies/other")
    assert caught.value.reason == "REQUEST_ID_REUSED"


async def test_errors_of_the_policy_reach_the_caller(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.policies.stored["policies/off"] = a_policy(name="policies/off", disabled=True)
    reasons = []
    for policy in ("policies/none", "policies/off"):
        with pytest.raises(ServiceError) as caught:
            async with remote_errors():
                await start(service, policy=policy)
        reasons.append(caught.value.reason)
    assert reasons == ["POLICY_NOT_FOUND", "POLICY_DISABLED"]


async def test_an_inline_policy_is_checked_and_has_no_name(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    request = pb.StartExecutionRequest(inline_policy=a_policy(name=""))

    last = await ended(service, await service.StartExecution(request))

    assert (last.state, last.policy) == (Execution.STATE_SUCCEEDED, "")
    assert [each.validate_only for each in peers.policies.checked] == [True]


async def test_what_started_an_execution_is_shown(service: "ExecutionServiceAsyncStub") -> None:
    pushed = pb.EventResource(operation=pb.EventResource.OPERATION_PUSH, repository="library/nginx", tag="1")
    request = pb.StartExecutionRequest(
        policy="policies/nightly", trigger=Execution.TRIGGER_EVENT, started_by="hub", event_resources=[pushed]
    )

    last = await ended(service, await service.StartExecution(request))

    assert (last.trigger, last.started_by, list(last.event_resources)) == (Execution.TRIGGER_EVENT, "hub", [pushed])
    assert last.bytes_per_second > 0
    request.trigger = Execution.TRIGGER_MANUAL
    with pytest.raises(ServiceError) as caught:
        async with remote_errors():
            await service.StartExecution(request)
    assert [each.field for each in caught.value.violations] == ["event_resources"]


async def test_a_validated_start_has_no_name_and_is_not_stored(service: "ExecutionServiceAsyncStub") -> None:
    request = pb.StartExecutionRequest(policy="policies/nightly", validate_only=True, request_id="r")
    execution = await service.StartExecution(request)
    assert (execution.name, execution.state) == ("", Execution.STATE_PENDING)
    assert execution.policy_snapshot.destinations[0].registry == "registries/mirror"
    assert execution.trigger == Execution.TRIGGER_MANUAL
    assert not (await service.ListExecutions(pb.ListExecutionsRequest())).executions
    assert (await start(service, request_id="r")).name


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


async def test_what_is_wrong_with_an_item_fails_that_item_only(
    service: "ExecutionServiceAsyncStub", peers: Peers
) -> None:
    peers.registries.max_path_components = 2
    peers.catalog.resources = [a_resource("a/b/c", "1"), a_resource("good/one", "1"), a_resource("bad/one", "1")]
    peers.catalog.unlistable = ["secret/one"]
    peers.catalog.unpreparable = {"bad/one"}

    last = await ended(service, await start(service))

    assert last.task_counts == pb.TaskCounts(total=4, succeeded=1, failed=3)
    assert {task.source_repository: task.failure.reason for task in await tasks_of(service, last)} == {
        "a/b/c": "PATH_RULE_VIOLATED",
        "good/one": "",
        "bad/one": "ACCESS_DENIED",
        "secret/one": "ACCESS_DENIED",
    }
    assert set(peers.jobs.copies()) == {("registries/mirror", "good/one", "1")}


async def test_what_is_for_a_proxy_cache_is_skipped(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.catalog.resources = [a_resource("good/one", "1"), a_resource("cache/one", "1", "2")]
    peers.catalog.excluded = {"cache/one"}

    last = await ended(service, await start(service))

    assert (last.state, last.task_counts) == (Execution.STATE_SUCCEEDED, pb.TaskCounts(total=2, succeeded=1, skipped=1))
    assert last.progress.references_skipped == 2
    skipped = task_pb2.ListTasksRequest(parent=last.name, states=[task_pb2.Task.STATE_SKIPPED])
    (task,) = (await service.ListTasks(skipped)).tasks
    assert (task.source_repository, task.failure.reason) == ("cache/one", "PROXY_CACHE_PROJECT")
    assert set(peers.jobs.copies()) == {("registries/mirror", "good/one", "1")}
    with pytest.raises(ServiceError) as caught:
        async with remote_errors():
            await service.RetryExecution(pb.RetryExecutionRequest(name=last.name))
    assert caught.value.reason == "NOTHING_TO_RETRY"


@pytest.mark.parametrize(
    ("source_type", "namespace", "public"),
    [
        ("harbor", None, {"open/one"}),
        ("harbor", "m", set()),  # what is private may meet it there
        ("docker-hub", None, set()),  # the next repository of the namespace may be private
    ],
)
async def test_a_project_is_made_public_only_when_all_of_it_is(
    service: "ExecutionServiceAsyncStub", peers: Peers, source_type: str, namespace: str | None, public: set[str]
) -> None:
    peers.registries.type = source_type
    destination = policy_pb2.Destination(registry="registries/mirror", namespace=namespace)
    peers.policies.stored["policies/nightly"] = a_policy(destinations=[destination])
    peers.catalog.resources = [a_resource("open/one", "1"), a_resource("secret/two", "1"), a_resource("c/three", "1")]
    peers.catalog.resources[0].public = True
    peers.catalog.resources[1].public = False

    last = await ended(service, await start(service))

    assert (last.task_counts.succeeded, peers.catalog.public) == (3, public)


async def test_two_repositories_on_one_name_are_both_left_alone(
    service: "ExecutionServiceAsyncStub", peers: Peers
) -> None:
    mirror = policy_pb2.Destination(registry="registries/mirror", namespace="m")
    peers.policies.stored["policies/nightly"] = a_policy(destinations=[mirror])
    peers.catalog.resources = [a_resource("x/nginx", "1"), a_resource("x/redis", "1"), a_resource("y/nginx", "2")]

    last = await ended(service, await start(service))

    assert last.task_counts == pb.TaskCounts(total=3, succeeded=1, failed=2)
    collided = [task.failure for task in await tasks_of(service, last) if task.failure.reason]
    assert {each.reason for each in collided} == {"DESTINATION_COLLISION"}
    assert collided[0].metadata == {"repository": "m/nginx", "sources": "x/nginx, y/nginx"}
    assert set(peers.jobs.copies()) == {("registries/mirror", "m/redis", "1")}


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


async def test_a_rejected_job_fails_its_task(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.jobs.rejected = True

    last = await ended(service, await start(service))

    assert last.state == Execution.STATE_FAILED
    assert [task.failure.reason for task in await tasks_of(service, last)] == ["JOB_KEY_REUSED"]


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


def test_states_of_jobs_are_states_of_tasks() -> None:
    assert set(job_pb2.Job.State.items()) <= set(task_pb2.Task.State.items())
