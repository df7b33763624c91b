"""The life of a service process: logs, start, signals, drain, exit."""

import asyncio
import gc
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final, TypeVar

import structlog
import uvloop

from service_kit.config import ServiceConfig
from service_kit.logging import configure_logging
from service_kit.server import GrpcServer

EXIT_MARGIN_S: Final = 10.0  # after the drain, for pools and threads to close
EXIT_STUCK: Final = 70

# Python looks for cycles among new objects after every 700 of them, which under many requests at once cost a worker a
# third of its CPU. With these it does so some times a second at the most; what is not in a cycle goes at once anyway.
GC_THRESHOLDS: Final = (50_000, 20, 50)

log: structlog.stdlib.BoundLogger = structlog.get_logger()

_Config = TypeVar("_Config", bound=ServiceConfig)


def run_service(name: str, config: _Config, app: Callable[[_Config, AsyncExitStack], Awaitable[GrpcServer]]) -> None:
    """Runs a service until SIGTERM or SIGINT, then drains it.

    `app` opens what the service needs on the stack and returns the server, not yet started; the stack is closed after
    the drain. Whatever hangs, the process ends within `drain_timeout_s` and a margin.
    """
    configure_logging(service=name, log_format=config.log_format, level=config.log_level)
    uvloop.run(_run(config, app))


async def _run(config: _Config, app: Callable[[_Config, AsyncExitStack], Awaitable[GrpcServer]]) -> None:
    stop = _stop_signal()
    async with AsyncExitStack() as stack:
        server = await app(config, stack)
        await server.start()
        _settle_memory()
        log.info("serving", address=server.address)
        if config.port_file is not None:
            write_port_file(config.port_file, server.address)
        try:
            await stop.wait()
        finally:
            _exit_within(config.drain_timeout_s + EXIT_MARGIN_S)
            log.info("draining", timeout_s=config.drain_timeout_s)
            await server.drain(config.drain_timeout_s)
    log.info("stopped")


def _settle_memory() -> None:
    """Modules, descriptors and pools are there for good: no collection looks at them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def write_port_file(path: Path, address: str) -> None:
    """Whoever sees the file sees the whole address."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_text(f"{address}\n")
    unfinished.replace(path)


def _exit_within(seconds: float) -> None:
    """A watchdog, because the poller thread of gRPC can hang in its join at exit, and so can a thread of ours."""
    watchdog = threading.Timer(seconds, os._exit, args=(EXIT_STUCK,))
    watchdog.daemon = True
    watchdog.start()
