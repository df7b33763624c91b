"""`python -m policy_svc` serves while the registry service is away, and says what is wrong with its configuration."""

import asyncio
import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import grpc
import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from policy_svc.domain.policy import Policy
from policy_svc.domain.trigger import ScheduledTrigger
from policy_svc.postgres import PostgresPolicyStore
from service_kit.channel import open_channel
from service_kit.database import open_pool
from service_kit.errors import Kind
from service_kit.server import GrpcServer
from service_kit.status import from_rpc_error
from tests.policies import a_spec
from tests.postgres import Database
from transship.execution.v1 import execution_pb2
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceServicer, add_ExecutionServiceServicer_to_server
from transship.policy.v1 import event_pb2
from transship.policy.v1 import policy_pb2 as pb
from transship.policy.v1.event_pb2_grpc import EventServiceStub
from transship.policy.v1.policy_pb2_grpc import PolicyServiceStub

NOBODY = "127.0.0.1:1"
POLL_INTERVAL_S = 0.05


async def test_it_serves_without_its_peers_and_drains(database: Database, tmp_path: Path) -> None:
    port_file, events_port_file = tmp_path / "port", tmp_path / "events port"
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "policy_svc",
        env=os.environ
        | {
            "TRANSSHIP_POLICY_DATABASE_URL": await database("policy_svc"),
            "TRANSSHIP_POLICY_REGISTRY_TARGET": NOBODY,
            "TRANSSHIP_POLICY_EXECUTION_TARGET": NOBODY,
            "TRANSSHIP_POLICY_PORT_FILE": str(port_file),
            "TRANSSHIP_POLICY_EVENTS_PORT_FILE": str(events_port_file),
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        while not port_file.exists():
            assert process.returncode is None
            await asyncio.sleep(POLL_INTERVAL_S)
        async with open_channel(port_file.read_text().strip()) as channel:
            await _is_serving(channel)
            await _needs_the_registry_service(channel)
            await _takes_events(channel, events_port_file.read_text().strip())
    finally:
        process.send_signal(signal.SIGTERM)
        code = await process.wait()
    assert code == 0


async def _is_serving(channel: grpc.aio.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    answer = await health.Check(health_pb2.HealthCheckRequest(service="transship.policy.v1.PolicyService"))
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    assert not (await PolicyServiceStub(channel).ListPolicies(pb.ListPoliciesRequest())).policies


async def _needs_the_registry_service(channel: grpc.aio.Channel) -> None:
    policy = pb.Policy(source_registry="registries/a", destinations=[pb.Destination(registry="registries/b")])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await PolicyServiceStub(channel).CreatePolicy(pb.CreatePolicyRequest(policy_id="x", policy=policy))
    error = from_rpc_error(caught.value)
    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")


async def _takes_events(channel: grpc.aio.Channel, address: str) -> None:
    assert not (await EventServiceStub(channel).ListEvents(event_pb2.ListEventsRequest())).events
    async with httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http:
        answer = await http.post("/v1/events/hub", headers={"Authorization": "Bearer x"})
    assert (answer.status_code, answer.json()["reason"]) == (404, "EVENT_SOURCE_NOT_FOUND")


async def test_a_missing_setting_is_named() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRANSSHIP_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "policy_svc", env=environment, stderr=asyncio.subprocess.PIPE
    )

    _, complaint = await process.communicate()

    assert process.returncode == 2
    assert b"TRANSSHIP_POLICY_DATABASE_URL" in complaint
    assert b"TRANSSHIP_POLICY_REGISTRY_TARGET" in complaint
    assert b"TRANSSHIP_POLICY_EXECUTION_TARGET" in complaint


async def test_it_starts_what_its_schedules_say(database: Database) -> None:
    """The process by itself, before a fake execution service."""
    url = await database("policy_svc")
    executions = _Executions()  # type: ignore[abstract]  # nobody calls the rest
    server = GrpcServer("127.0.0.1:0")
    server.add(add_ExecutionServiceServicer_to_server, executions, "under.test")
    await server.start()
    async with open_pool(url, schema="policy") as pool:
        spec = replace(a_spec(), trigger=ScheduledTrigger(cron="* * * * * *"))
        await PostgresPolicyStore(pool).add(Policy.new("every-second", "uid", spec, datetime.now(UTC)))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "policy_svc",
        env=os.environ
        | {
            "TRANSSHIP_POLICY_DATABASE_URL": url,
            "TRANSSHIP_POLICY_REGISTRY_TARGET": NOBODY,
            "TRANSSHIP_POLICY_EXECUTION_TARGET": server.address,
            "TRANSSHIP_POLICY_FAST_SCHEDULES": "true",
        },
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        first, second = await executions.calls.get(), await executions.calls.get()
    finally:
        process.send_signal(signal.SIGTERM)
        code = await process.wait()
        await server.drain(0.0)
    assert (first.policy, first.trigger) == ("policies/uid", execution_pb2.Execution.TRIGGER_SCHEDULED)
    assert first.request_id < second.request_id
    assert code == 0


class _Executions(ExecutionServiceServicer):
    def __init__(self) -> None:
        self.calls: asyncio.Queue[execution_pb2.StartExecutionRequest] = asyncio.Queue()

    async def StartExecution(
        self, request: execution_pb2.StartExecutionRequest, context: object
    ) -> execution_pb2.Execution:
        self.calls.put_nowait(request)
        return execution_pb2.Execution(name="executions/1")
