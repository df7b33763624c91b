"""A service as a process: it says where it serves, and SIGTERM ends it in good order."""

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from service_kit.channel import open_channel
from tests.integration.service_kit.kettle import VALID, answers

SCRIPT = """
from contextlib import AsyncExitStack
from tests.integration.service_kit.kettle import NAME, Kettle, add_kettle
from pydantic_settings import SettingsConfigDict
from service_kit.config import ServiceConfig, load
from service_kit.run import run_service
from service_kit.server import GrpcServer

class Config(ServiceConfig):
    model_config = SettingsConfigDict(env_prefix="TEST_KETTLE_")

async def app(config: Config, stack: AsyncExitStack) -> GrpcServer:
    stack.callback(print, "closed", flush=True)
    server = GrpcServer(config.listen, config.server_tls())
    server.add(add_kettle, Kettle(), NAME)
    return server

run_service("kettle_svc", load(Config), app)
"""


async def start(port_file: Path, listen: str = "127.0.0.1:0") -> Process:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TEST_KETTLE_DATABASE_URL": "postgresql://unused",
        "TEST_KETTLE_PORT_FILE": str(port_file),
        "TEST_KETTLE_LISTEN": listen,
    }
    return await asyncio.create_subprocess_exec(sys.executable, "-c", SCRIPT, env=environment, stdout=PIPE, stderr=PIPE)


def address(port_file: Path) -> str:
    """What the process wrote; blocks until it has, as nothing else happens in these tests."""
    for _ in range(1200):
        if port_file.exists():
            return port_file.read_text().strip()
        time.sleep(0.05)
    raise TimeoutError


async def test_a_service_serves_where_its_port_file_says_until_sigterm(tmp_path: Path) -> None:
    process = await start(tmp_path / "port")
    async with open_channel(address(tmp_path / "port")) as channel:
        assert await answers(channel, "unary_unary", VALID) == ["jobs/tea"]
        process.send_signal(signal.SIGTERM)
        out, err = await process.communicate()
    assert process.returncode == 0
    assert out == b"closed\n"
    events = [line for line in err.decode().splitlines() if '"service": "kettle_svc"' in line]
    assert ['"event": "stopped"' in line for line in events][-1]


async def test_a_service_that_cannot_listen_closes_what_it_opened_and_fails(tmp_path: Path) -> None:
    process = await start(tmp_path / "port", listen="256.0.0.1:1")
    out, err = await process.communicate()
    assert process.returncode == 1
    assert out == b"closed\n"
    assert b"cannot listen on 256.0.0.1:1" in err
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240
