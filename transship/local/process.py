"""One service process that is kept running."""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from transship.local.leash import leashed
from transship.local.services import Launch
from transship.local.state import ServiceRecord

FIRST_DELAY_S: Final = 0.2
MAX_DELAY_S: Final = 5.0
STEADY_AFTER_S: Final = 30.0  # One that ran this long does not fail at its start; the delays begin anew.
STOP_TIMEOUT_S: Final = 20.0  # The drain of a service (services.DRAIN_TIMEOUT_S) and its own margin of 10 s to exit.

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def next_delay(previous_s: float | None, uptime_s: float) -> float:
    """How long to wait before the next start of a process that ended after uptime_s."""
    if previous_s is None or uptime_s >= STEADY_AFTER_S:
        return FIRST_DELAY_S
    return min(previous_s * 2, MAX_DELAY_S)


class KeptProcess:
    """Runs a launch, and again whenever it ends."""

    def __init__(self, launch: Launch, log_file: Path, *, changed: Callable[[], None]) -> None:
        self.launch = launch
        self.log_file = log_file
        self.restarts = 0
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._started_at: datetime | None = None

    def record(self) -> ServiceRecord:
        return ServiceRecord(
            name=self.launch.name,
            service=self.launch.service,
            endpoint=self.launch.endpoint,
            http_endpoint=self.launch.http_endpoint,
            pid=self._process.pid if self._process else None,
            started_at=self._started_at,
            restarts=self.restarts,
        )

    async def keep(self) -> None:
        """Keeps the process until cancelled; then asks it to end, waits, and kills what is left of it."""
        delay_s = None
        while True:
            began = time.monotonic()
            code = await self._run_once()
            delay_s = next_delay(delay_s, time.monotonic() - began)
            log.warning("service ended", process=self.launch.name, exit_code=code, restart_in_s=delay_s)
            await asyncio.sleep(delay_s)
            self.restarts += 1

    async def _run_once(self) -> int:
        with self.log_file.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *leashed(list(self.launch.argv), death_signal=signal.SIGKILL),
                env={**os.environ, **self.launch.env},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops the services in order.
            )
        try:
            self._set(process)
            return await process.wait()
        finally:
            await _end(process)
            self._set(None)

    def _set(self, process: asyncio.subprocess.Process | None) -> None:
        self._process = process
        self._started_at = datetime.now(UTC) if process else None
        self._changed()


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.terminate()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_TIMEOUT_S):
                await process.wait()
    with suppress(ProcessLookupError):  # Its session is its own: whatever it started and left behind ends too.
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()
