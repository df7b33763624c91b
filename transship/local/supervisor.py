"""Starts a stack, keeps it running, and leaves nothing behind."""

import asyncio
import os
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

from service_kit.migrations import migrate
from transship.local.database import KeptPostgres
from transship.local.errors import StackAlreadyRunning, StackStartFailed
from transship.local.files import Locked, tail
from transship.local.health import Health, check
from transship.local.process import KeptProcess
from transship.local.services import JOBSERVICE, SERVICES, Launch, Service, plan
from transship.local.state import LocalStack, Phase, StateDir

READY_TIMEOUT_S: Final = 60.0
# A service waits for its peers, so one that ends this often at its start is misconfigured.
MAX_RESTARTS_AT_START: Final = 3
_POLL_S: Final = 0.1


class Supervisor:
    """The stack of one state directory: PostgreSQL (unless a database is given) and the services as processes."""

    def __init__(
        self,
        state: StateDir,
        *,
        database_url: str | None = None,
        jobservice_processes: int = 1,
        services: Sequence[Service] = SERVICES,
    ) -> None:
        self._state = state
        self._database_url = database_url
        self._jobservice_processes = jobservice_processes
        self._services = services
        self._phase = Phase.STARTING
        self._started_at = datetime.now(UTC)
        self._postgres: KeptPostgres | None = None
        self._kept: list[KeptProcess] = []
        self._keepers: list[asyncio.Task[None]] = []

    async def run(self, on_ready: Callable[[LocalStack], None]) -> None:
        """Starts everything, calls on_ready, and keeps it until cancelled; then all of it is stopped in reverse order.

        Call this from the main thread: the services end with the thread of the event loop.

        Raises StackAlreadyRunning, StackStartFailed, or what the database and the migrations raise.
        """
        self._state.prepare()
        async with AsyncExitStack() as stack:
            self._take_lock(stack)
            self._publish()
            url = self._database_url or await self._start_postgres(stack)
            for service in self._services:
                await migrate(url, schema=service.schema, package=service.package)
            self._start_services(stack, url)
            await self._wait_serving()
            self._enter(Phase.READY)
            stack.callback(self._enter, Phase.STOPPING)
            on_ready(self._described())
            # No keeper ends by itself, but for a mistake in it.
            for failed in (await asyncio.wait(self._keepers, return_when=asyncio.FIRST_COMPLETED))[0]:
                failed.result()

    def _take_lock(self, stack: AsyncExitStack) -> None:
        try:
            stack.enter_context(self._state.lock())
        except Locked:
            raise StackAlreadyRunning(state_dir=self._state.path) from None
        stack.callback(self._state.record.unlink, missing_ok=True)

    async def _start_postgres(self, stack: AsyncExitStack) -> str:
        self._state.rotate_log("postgres")
        self._postgres = KeptPostgres(self._state, changed=self._publish)
        stack.push_async_callback(self._postgres.stop)
        await self._postgres.start()
        self._keep(stack, self._postgres.keep(), name="keep postgres")
        return self._postgres.url

    def _start_services(self, stack: AsyncExitStack, url: str) -> None:
        counts = {each.package: 1 for each in self._services} | {JOBSERVICE: self._jobservice_processes}
        endpoints = {package: stack.enter_context(_reserved_endpoints(count)) for package, count in counts.items()}
        with_http = [each.package for each in self._services if each.http_listen]
        launches = plan(
            self._services,
            endpoints,
            http_endpoints=dict(zip(with_http, stack.enter_context(_reserved_endpoints(len(with_http))), strict=True)),
            database_url=url,
            credential_keys=self._state.credential_keys,
        )
        self._kept = [self._kept_process(launch) for launch in launches]
        for each in self._kept:
            self._keep(stack, each.keep(), name=f"keep {each.launch.name}")

    def _keep(self, stack: AsyncExitStack, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Runs the work until the stack is left."""
        task = asyncio.create_task(work, name=name)
        self._keepers.append(task)

        async def end() -> None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

        stack.push_async_callback(end)

    def _kept_process(self, launch: Launch) -> KeptProcess:
        return KeptProcess(launch, self._state.rotate_log(launch.name), changed=self._publish)

    async def _wait_serving(self) -> None:
        for each in self._kept:  # All are starting already.
            await self._wait_for(each)

    async def _wait_for(self, process: KeptProcess) -> None:
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                while await check(process.launch.endpoint) is not Health.SERVING:
                    if process.restarts >= MAX_RESTARTS_AT_START:
                        raise self._failed(process, "ends again and again")
                    await asyncio.sleep(_POLL_S)
        except TimeoutError:
            raise self._failed(process, f"does not serve after {READY_TIMEOUT_S:.0f} s") from None

    def _failed(self, process: KeptProcess, what: str) -> StackStartFailed:
        cause = f"{process.launch.name} {what}\n{tail(process.log_file)}"
        return StackStartFailed(state_dir=self._state.path, cause=cause)

    def _enter(self, phase: Phase) -> None:
        self._phase = phase
        self._publish()

    def _publish(self) -> None:
        self._described().save(self._state)

    def _described(self) -> LocalStack:
        return LocalStack(
            pid=os.getpid(),
            started_at=self._started_at,
            phase=self._phase,
            postgres_pid=self._postgres.pid if self._postgres else None,
            services=tuple(each.record() for each in self._kept),
        )


@contextmanager
def _reserved_endpoints(count: int) -> Iterator[list[str]]:
    """Free loopback endpoints that stay ours: a service finds its port again after a restart, and nobody else does.

    A socket that is bound but does not listen gets no connections, and SO_REUSEPORT, which the services set too, lets
    them bind beside it.
    """
    with ExitStack() as stack:
        endpoints = []
        for _ in range(count):
            reserved = stack.enter_context(socket.socket())
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind(("127.0.0.1", 0))
            endpoints.append(f"127.0.0.1:{reserved.getsockname()[1]}")
        yield endpoints
