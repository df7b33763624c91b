"""PlanExecution over loopback gRPC: what it tells, and that it leaves nothing behind."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from execution_svc.domain.policy import Policy
from execution_svc.domain.transfer import Reference
from execution_svc.flows.planning import Item
from execution_svc.gateways import RemoteJobs
from service_kit.channel import open_channel
from service_kit.errors import Kind, RemoteError, ServiceError
from service_kit.status import remote_errors
from tests.integration.execution_svc.execution_calls import peers, service, url
from tests.integration.execution_svc.execution_peers import Peers, a_policy, a_resource
from transship.execution.v1 import execution_pb2 as pb
from transship.policy.v1 import policy_pb2
from transship.type.v1 import transfer_pb2

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub


__all__ = ["peers", "service", "url"]


async def planned(
    service: "ExecutionServiceAsyncStub", timeout_s: float = 60.0, **subject: Any
) -> list[pb.PlanExecutionResponse]:
    request = pb.PlanExecutionRequest(**(subject or {"policy": "policies/nightly"}))
    async with remote_errors():
        return [each async for each in service.PlanExecution(request, timeout=timeout_s)]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)


async def test_a_plan_tells_everything_and_touches_nothing(
    service: "ExecutionServiceAsyncStub", peers: Peers, url: str
) -> None:
    peers.catalog.resources = [
        a_resource("library/nginx", "1", "2"),
        a_resource("library/x", "1"),
        a_resource("y", "1"),
    ]
    peers.catalog.unlistable = ["secret/one"]
    peers.catalog.unpreparable = {"y"}

    messages = await planned(service)

    assert messages[-1].summary == pb.PlanSummary(
        references_to_copy=3, failures=2, namespaces_to_create=1, bytes_to_move=30
    )
    actions = [each for message in messages for each in message.actions]
    assert Counter(each.WhichOneof("kind") for each in actions) == {
        "reference": 3,
        "created_namespace": 1,
        "failure": 2,
    }
    assert {each.source_repository: each.failure.reason for each in actions if each.HasField("failure")} == {
        "y": "ACCESS_DENIED",
        "secret/one": "ACCESS_DENIED",
    }
    copied = transfer_pb2.PlannedReference.ACTION_COPY
    assert {
        (each.destination_repository, each.reference.tag) for each in actions if each.reference.action == copied
    } == {
        ("library/nginx", "1"),
        ("library/nginx", "2"),
        ("library/x", "1"),
    }
    assert (peers.catalog.previewed, peers.catalog.prepared) == ({"library/nginx": 1, "library/x": 1, "y": 1}, {})
    assert peers.jobs.jobs == {}
    async with await psycopg.AsyncConnection.connect(url, options="-c search_path=execution") as conn:
        row = await (
            await conn.execute("SELECT (SELECT count(*) FROM executions), (SELECT count(*) FROM tasks)")
        ).fetchone()
    assert row == (0, 0)


async def test_a_plan_of_nothing_has_its_sums(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.catalog.resources = []
    assert await planned(service) == [pb.PlanExecutionResponse(summary=pb.PlanSummary())]


async def test_what_cannot_start_can_be_planned_and_what_is_not_stored_is_checked(
    service: "ExecutionServiceAsyncStub", peers: Peers
) -> None:
    peers.policies.stored["policies/off"] = a_policy(name="policies/off", disabled=True)
    for subject in ({"policy": "policies/off"}, {"inline_policy": a_policy(name="")}):
        assert (await planned(service, **subject))[-1].summary.references_to_copy == 2
    assert [each.validate_only for each in peers.policies.checked] == [True]


async def test_collisions_are_known_before_anything_is_told(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    mirror = policy_pb2.Destination(registry="registries/mirror", namespace="m")
    peers.policies.stored["policies/nightly"] = a_policy(destinations=[mirror])
    peers.catalog.resources = [a_resource("x/nginx", "1"), a_resource("x/redis", "1"), a_resource("y/nginx", "2")]

    messages = await planned(service)

    assert messages[-1].summary.references_to_copy == 1
    actions = [each for message in messages for each in message.actions]
    assert {each.source_repository for each in actions if each.failure.reason == "DESTINATION_COLLISION"} == {
        "x/nginx",
        "y/nginx",
    }


async def test_errors_of_policy_and_listing_reach_the_caller(
    service: "ExecutionServiceAsyncStub", peers: Peers
) -> None:
    reasons = []
    for policy, failing in (
        ("policies/none", []),
        (
            "policies/nightly",
            [RemoteError.of(Kind.FAILED_PRECONDITION, message="no", reason="CATALOG_UNSUPPORTED", domain="transship")],
        ),
    ):
        peers.catalog.failing = list(failing)
        with pytest.raises(ServiceError) as caught:
            await planned(service, policy=policy)
        reasons.append((caught.value.kind, caught.value.reason))
    assert reasons == [
        (Kind.NOT_FOUND, "POLICY_NOT_FOUND"),
        (Kind.FAILED_PRECONDITION, "CATALOG_UNSUPPORTED"),
    ]


async def test_a_call_that_is_cancelled_ends_all_below_it(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.catalog.resources = [a_resource(f"r{n}", "1", "2") for n in range(2000)]
    peers.jobs.hold_plans.clear()
    call = service.PlanExecution(pb.PlanExecutionRequest(policy="policies/nightly"))
    await anext(aiter(call))
    await until(lambda: peers.jobs.plans == 8)
    assert peers.catalog.listings == 1

    call.cancel()

    await until(lambda: peers.jobs.plans == 0 and peers.catalog.listings == 0)


async def test_the_deadline_of_the_caller_ends_all_below_it(service: "ExecutionServiceAsyncStub", peers: Peers) -> None:
    peers.jobs.hold_plans.clear()
    with pytest.raises(ServiceError) as caught:
        await planned(service, timeout_s=1.0)
    assert caught.value.kind is Kind.DEADLINE_EXCEEDED
    await until(lambda: peers.jobs.plans == 0 and peers.catalog.listings == 0)


async def test_a_replica_that_goes_away_is_replaced_and_nothing_is_told_twice(peers: Peers) -> None:
    policy = Policy.of_document(
        {"source_registry": "registries/hub", "destinations": [{"registry": "registries/mirror"}]}
    )
    references = tuple(Reference(tag=f"v{n}") for n in range(5))
    item = Item(
        destination_index=0,
        destination_registry="registries/mirror",
        source_repository="x",
        destination_repository="x",
        references=references,
    )
    async with AsyncExitStack() as stack:
        channels = [await stack.enter_async_context(open_channel(peers.address)) for _ in range(2)]
        jobs = RemoteJobs(channels)
        peers.jobs.plan_breaks = [3]
        told = [each.tag async for batch in jobs.plan(policy, item, references) for each in batch]
        assert told == [each.tag for each in references]
        peers.jobs.plan_breaks = [3, 3]
        with pytest.raises(ServiceError) as caught:
            [batch async for batch in jobs.plan(policy, item, references)]
        assert caught.value.kind is Kind.UNAVAILABLE
