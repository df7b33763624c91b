"""What `transship up`, `down` and `status` do."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

import psycopg

from transship.local.database import embedded_postgres
from transship.local.errors import StackAlreadyRunning, StackNotRunning, StackStartFailed, StackStopFailed
from transship.local.files import tail
from transship.local.health import Health, check
from transship.local.state import LocalStack, Phase, ServiceRecord, StateDir
from transship.local.supervisor import Supervisor

DATABASE_URL_VARIABLE: Final = "TRANSSHIP_DATABASE_URL"
# Stopping five processes one after the other, each within its bound.
DOWN_TIMEOUT_S: Final = 120.0
_DETACHED_LOG: Final = "up"
_POLL_S: Final = 0.1


class PostgresState(StrEnum):
    """EXTERNAL: a database from elsewhere, which is not ours to look after."""

    RUNNING = "RUNNING"
    UNREACHABLE = "UNREACHABLE"
    EXTERNAL = "EXTERNAL"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One process of a service; uptime is that of its newest start."""

    name: str
    endpoint: str
    pid: int | None
    health: Health
    uptime_s: float
    restarts: int
    http_endpoint: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """A running stack, as asked just now."""

    pid: int
    phase: Phase
    uptime_s: float
    postgres: PostgresState
    postgres_pid: int | None
    services: tuple[ServiceStatus, ...]


async def up(
    state: StateDir,
    *,
    on_ready: Callable[[LocalStack], None],
    database_url: str | None = None,
    detach: bool = False,
    jobservice_processes: int = 1,
) -> None:
    """Runs a stack until SIGINT or SIGTERM; on_ready is called when it serves. Detached, returns then and leaves it.

    Raises StackAlreadyRunning, StackStartFailed, StateDirNotPrivate, PostgresFailed or PostgresVersionMismatch.
    """
    if state.is_locked():
        raise StackAlreadyRunning(state_dir=state.path)
    if detach:
        on_ready(await _start_detached(state, database_url, jobservice_processes))
        return
    supervisor = Supervisor(state, database_url=database_url, jobservice_processes=jobservice_processes)
    await _until_signalled(asyncio.create_task(supervisor.run(on_ready)))


async def down(state: StateDir) -> None:
    """Stops the stack and returns when nothing of it is left. Raises StackNotRunning or StackStopFailed."""
    stack = LocalStack.load(state)
    os.kill(stack.pid, signal.SIGTERM)
    try:
        async with asyncio.timeout(DOWN_TIMEOUT_S):
            while state.is_locked():  # noqa: ASYNC110 - the lock of another process wakes nobody
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        raise StackStopFailed(state_dir=state.path, pid=stack.pid, waited_s=DOWN_TIMEOUT_S) from None


async def status(state: StateDir) -> StackStatus:
    """How the stack is now. Raises StackNotRunning."""
    stack = LocalStack.load(state)
    healths = await asyncio.gather(*(check(each.endpoint) for each in stack.services))
    return StackStatus(
        pid=stack.pid,
        phase=stack.phase,
        uptime_s=_since(stack.started_at),
        postgres=await _postgres_state(state, stack),
        postgres_pid=stack.postgres_pid,
        services=tuple(_service_status(*pair) for pair in zip(stack.services, healths, strict=True)),
    )


async def _until_signalled(run: asyncio.Task[None]) -> None:
    """Cancels the run once, however often it is asked to: a second Ctrl-C must not interrupt the clean-up."""
    asked = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    waiting = asyncio.create_task(asked.wait())
    await asyncio.wait({run, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    run.cancel()
    try:
        await run
    except asyncio.CancelledError:
        if not asked.is_set():
            raise


async def _start_detached(state: StateDir, database_url: str | None, jobservice_processes: int) -> LocalStack:
    """The stack once it serves. Each step of a start has a bound of its own, so the process says when it failed."""
    state.prepare()
    pid = _spawn_detached(state, database_url, jobservice_processes)
    while not _has_ended(pid):
        with suppress(StackNotRunning):
            stack = LocalStack.load(state)
            if stack.pid == pid and stack.phase is Phase.READY:
                return stack
        await asyncio.sleep(_POLL_S)
    raise StackStartFailed(state_dir=state.path, cause=tail(state.log(_DETACHED_LOG)))


def _spawn_detached(state: StateDir, database_url: str | None, jobservice_processes: int) -> int:
    """The process id of a supervisor in a session of its own; it outlives us, so no Popen looks after it."""
    # Not in the arguments, which everybody on the machine may read.
    secret = {} if database_url is None else {DATABASE_URL_VARIABLE: database_url}
    argv = [sys.executable, "-m", "transship.local", str(state.path), str(jobservice_processes)]
    log = os.open(state.rotate_log(_DETACHED_LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return os.posix_spawn(
            sys.executable,
            argv,
            {**os.environ, **secret},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setsid=True,
        )
    finally:
        os.close(log)


def _has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG) != (0, 0)


async def _postgres_state(state: StateDir, stack: LocalStack) -> PostgresState:
    if stack.postgres_pid is None:
        return PostgresState.EXTERNAL
    try:
        async with await psycopg.AsyncConnection.connect(embedded_postgres(state).url("postgres"), connect_timeout=2):
            return PostgresState.RUNNING
    except psycopg.OperationalError:
        return PostgresState.UNREACHABLE


def _service_status(record: ServiceRecord, health: Health) -> ServiceStatus:
    return ServiceStatus(
        name=record.name,
        endpoint=record.endpoint,
        pid=record.pid,
        health=health,
        uptime_s=_since(record.started_at) if record.started_at else 0.0,
        restarts=record.restarts,
        http_endpoint=record.http_endpoint,
    )


def _since(then: datetime) -> float:
    return (datetime.now(UTC) - then).total_seconds()
