"""The service as a process, as production runs it."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest

from service_kit.channel import open_channel
from tests.integration.execution_svc.execution_peers import Peers, running_peers
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceStub

if TYPE_CHECKING:  # the stubs know it, the module does not
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

START_TIMEOUT_S = 30.0


@pytest.fixture
async def peers() -> AsyncIterator[Peers]:
    async with running_peers() as peers:
        yield peers


@asynccontextmanager
async def a_process(url: str, peers: Peers, directory: Path, end: signal.Signals) -> AsyncIterator[str]:
    """Runs `python -m execution_svc`, gives its address, and sends it the signal at last."""
    port_file = directory / f"port-{uuid.uuid4()}"
    settings = {
        "DATABASE_URL": url,
        "REGISTRY_TARGET": peers.address,
        "POLICY_TARGET": peers.address,
        "JOB_TARGETS": peers.address,
        "PORT_FILE": str(port_file),
    }
    environment = os.environ | {f"TRANSSHIP_EXECUTION_{name}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "execution_svc", env=environment, stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not port_file.exists():  # noqa: ASYNC110 - a file notifies nobody
                await asyncio.sleep(0.05)
        yield port_file.read_text().strip()
    finally:
        process.send_signal(end)
        code = await process.wait()
    assert code == (0 if end is signal.SIGTERM else -end)


@asynccontextmanager
async def its_service(address: str) -> AsyncIterator["ExecutionServiceAsyncStub"]:
    async with open_channel(address) as channel:
        yield ExecutionServiceStub(channel)


async def state_of(service: "ExecutionServiceAsyncStub", name: str) -> pb.Execution:
    states = [each.execution async for each in service.WatchExecution(pb.WatchExecutionRequest(name=name))]
    return states[-1]


async def expire_leases(url: str) -> None:
    """Spares the test the seconds that a lease lasts."""
    async with await psycopg.AsyncConnection.connect(url, options="-c search_path=execution") as conn:
        await conn.execute(
            "UPDATE executions SET flow_leased_until = now() - interval '1 second' WHERE flow_token IS NOT NULL"
        )
