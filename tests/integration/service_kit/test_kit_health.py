"""`python -m service_kit.health`, as a container runs it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

from service_kit.server import GrpcServer


def run(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "service_kit.health", *arguments], check=False).returncode


async def test_a_service_that_serves_is_well_and_one_that_is_gone_is_not() -> None:
    server = GrpcServer("127.0.0.1:0")
    await server.start()
    try:
        assert await asyncio.to_thread(run, server.address) == 0
    finally:
        await server.drain(0)
    assert await asyncio.to_thread(run, server.address) == 1


def test_without_an_address_it_says_how_it_is_used() -> None:
    assert run() == 2
