"""Start, health, TLS and drain of a server."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc  # type: ignore[import-untyped]

from service_kit.channel import open_channel
from service_kit.errors import ServiceUnavailable, ShuttingDown
from service_kit.server import GrpcServer
from service_kit.status import remote_errors
from service_kit.tls import ClientTls, ServerTls
from tests.integration.service_kit.kettle import NAME, VALID, Kettle, add_kettle, answers, call

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def started(stack: AsyncExitStack, kettle: Kettle, tls: ServerTls | None = None) -> GrpcServer:
    server = GrpcServer("127.0.0.1:0", tls)
    server.add(add_kettle, kettle, NAME)
    await server.start()
    stack.push_async_callback(server.drain, 0.0)
    return server


async def opened(stack: AsyncExitStack, server: GrpcServer, tls: ClientTls | None = None) -> grpc.aio.Channel:
    return await stack.enter_async_context(open_channel(f"localhost:{server.port}" if tls else server.address, tls))


async def test_each_service_is_healthy_once_started(stack: AsyncExitStack) -> None:
    channel = await opened(stack, await started(stack, Kettle()))
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", NAME):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=service))
        assert answer.status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await health.Check(health_pb2.HealthCheckRequest(service="test.Unknown"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_lists_the_services(stack: AsyncExitStack) -> None:
    channel = await opened(stack, await started(stack, Kettle()))
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    replies = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(iter([asked]))
    names = [service.name async for reply in replies for service in reply.list_services_response.service]
    assert names == ["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", NAME]


async def test_a_port_of_another_program_is_told_at_the_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = GrpcServer(f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(OSError, match="cannot listen on"):
            await server.start()


async def test_a_drain_lets_a_running_call_finish(stack: AsyncExitStack) -> None:
    running, go_on = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        running.set()
        await go_on.wait()

    server = await started(stack, Kettle(work))
    channel = await opened(stack, server)
    task = asyncio.create_task(answers(channel, "unary_unary", VALID))
    await running.wait()
    drain = asyncio.create_task(server.drain(grace_s=30))
    await asyncio.sleep(0.05)
    go_on.set()
    assert await task == ["jobs/tea"]
    await asyncio.wait_for(drain, timeout=20)


@pytest.mark.parametrize("kind", ["unary_stream", "stream_stream"])
async def test_a_drain_ends_open_streams_so_that_their_clients_go_elsewhere(stack: AsyncExitStack, kind: str) -> None:
    running = asyncio.Event()

    async def work() -> None:
        running.set()
        await asyncio.Event().wait()

    server = await started(stack, Kettle(work))
    stream = call(await opened(stack, server), kind, VALID, VALID)
    await stream.read()
    await running.wait()
    drain = asyncio.create_task(server.drain(grace_s=60))
    with pytest.raises(ShuttingDown):
        async with remote_errors():
            await stream.read()
    await asyncio.wait_for(drain, timeout=20)


async def test_a_watcher_of_health_hears_of_the_drain(stack: AsyncExitStack) -> None:
    server = await started(stack, Kettle())
    channel = await opened(stack, server)
    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=NAME))
    assert (await watch.read()).status == SERVING
    drain = asyncio.create_task(server.drain(grace_s=60))
    assert (await watch.read()).status == NOT_SERVING
    await asyncio.wait_for(drain, timeout=20)


class Authority:
    """A certificate authority with files for a server and a client."""

    def __init__(self, folder: Path, name: str) -> None:
        self._ca = trustme.CA()
        self._folder = folder / name
        self._folder.mkdir()
        self.ca = self._folder / "ca.pem"
        self._ca.cert_pem.write_to_path(self.ca)

    def issue(self, *identities: str) -> dict[str, Any]:
        issued = self._ca.issue_cert(*identities)
        paths = {"cert": self._folder / f"{identities[0]}.pem", "key": self._folder / f"{identities[0]}.key"}
        issued.cert_chain_pems[0].write_to_path(paths["cert"])
        issued.private_key_pem.write_to_path(paths["key"])
        return paths


async def test_tls_serves_whoever_trusts_the_authority(stack: AsyncExitStack, tmp_path: Path) -> None:
    ours, other = Authority(tmp_path, "ours"), Authority(tmp_path, "other")
    server = await started(stack, Kettle(), ServerTls(**ours.issue("localhost")))
    assert await answers(await opened(stack, server, ClientTls(ca=ours.ca)), "unary_unary", VALID) == ["jobs/tea"]
    with pytest.raises(ServiceUnavailable):
        async with remote_errors():
            await answers(await opened(stack, server, ClientTls(ca=other.ca)), "unary_unary", VALID)


async def test_mutual_tls_turns_away_a_client_without_a_certificate(stack: AsyncExitStack, tmp_path: Path) -> None:
    ours = Authority(tmp_path, "ours")
    server = await started(stack, Kettle(), ServerTls(**ours.issue("localhost"), client_ca=ours.ca))
    known = ClientTls(ca=ours.ca, **ours.issue("client"))
    assert await answers(await opened(stack, server, known), "unary_unary", VALID) == ["jobs/tea"]
    with pytest.raises(ServiceUnavailable):
        async with remote_errors():
            await answers(await opened(stack, server, ClientTls(ca=ours.ca)), "unary_unary", VALID)
