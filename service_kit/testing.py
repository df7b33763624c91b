"""For tests of servicers: a real server on a loopback socket with all interceptors."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import grpc

from service_kit.channel import open_channel
from service_kit.server import GrpcServer

_Servicer = TypeVar("_Servicer")


@asynccontextmanager
async def served(add_fn: Callable[[_Servicer, Any], None], servicer: _Servicer) -> AsyncIterator[grpc.aio.Channel]:
    """Serves the servicer until the block ends; gives a channel to it."""
    server = GrpcServer("127.0.0.1:0")
    server.add(add_fn, servicer, service_name="under.test")
    await server.start()
    try:
        async with open_channel(server.address) as channel:
            yield channel
    finally:
        await server.drain(grace_s=0.0)
