"""The execution service over loopback gRPC, with a real PostgreSQL and small working peers."""

from typing import TYPE_CHECKING, Any

import pytest

from service_kit.errors import ServiceError
from service_kit.status import remote_errors
from tests.integration.execution_svc.execution_calls import Execution, ended, peers, service, start, tasks_of, url
from tests.integration.execution_svc.execution_peers import Peers, a_policy, a_resource
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1 import task_pb2
from transship.job.v1 import job_pb2
from transship.policy.v1 import policy_pb2
from transship.type.v1.transfer_pb2 import TransferOptions

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

__all__ = ["peers", "service", "url"]

OPTIONS = TransferOptions(
    platforms=["linux/amd64"],
    referrers=True,
    referrer_types=["application/spdx+json"],
    foreign_layers=True,
    max_bytes_per_second=2**40,
)


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


async def test_a_rejected_job_fails_its_task(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.jobs.rejected = True

    last = await ended(service, await start(service))

    assert last.state == Execution.STATE_FAILED
    assert [task.failure.reason for task in await tasks_of(service, last)] == ["JOB_KEY_REUSED"]


def test_states_of_jobs_are_states_of_tasks() -> None:
    assert set(job_pb2.Job.State.items()) <= set(task_pb2.Task.State.items())
