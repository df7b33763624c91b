"""The services around events, small and working, and able to misbehave."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc

from policy_svc.events.dispatcher import Dispatcher
from policy_svc.events.gateways import GrpcExecutions
from policy_svc.events.postgres import PostgresOutbox
from service_kit.clock import SystemClock
from service_kit.database import Pool
from service_kit.errors import DOMAIN, Kind, RemoteError, ServiceError, ServiceUnavailable
from service_kit.tasks import end_tasks
from service_kit.testing import served
from tests.events import FakeSubscribers
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceServicer, add_ExecutionServiceServicer_to_server

END_TIMEOUT_S = 30.0  # ends a test that hangs, and measures nothing
UIDS = {"registries/0b8f6a52-6f3a-4b0e-9a53-0a3d1c0f6a11": "registries/hub"}


class FakeRegistries:
    """Knows two registries, one of them by its uid too."""

    async def find(self, name: str) -> str | None:
        true_name = UIDS.get(name, name)
        return true_name if true_name in {"registries/hub", "registries/backup"} else None


@dataclass
class Misdeed:
    """What goes wrong with the starts of a policy: so many times, before or after the execution is there."""

    times: int
    error: ServiceError = field(default_factory=lambda: ServiceUnavailable(service="execution"))
    after_start: bool = False


class FakeExecutionService(ExecutionServiceServicer):
    """Starts an execution for each request id, as the real one does, and remembers every call."""

    def __init__(self) -> None:
        self.calls: list[pb.StartExecutionRequest] = []
        self.started: dict[str, pb.StartExecutionRequest] = {}
        self.misdeeds: dict[str, Misdeed] = {}
        self.hold = asyncio.Event()
        self.hold.set()
        self._changed = asyncio.Condition()

    async def StartExecution(self, request: pb.StartExecutionRequest, context: object) -> pb.Execution:
        self.calls.append(request)
        misdeed = self.misdeeds.get(request.policy)
        if misdeed and misdeed.times:
            misdeed.times -= 1
            if misdeed.after_start:
                await self._start(request)
            raise misdeed.error
        await self._start(request)
        await self.hold.wait()
        return pb.Execution(name=f"executions/{list(self.started).index(request.request_id) + 1}")

    async def until(self, executions: int) -> list[pb.StartExecutionRequest]:
        """What has started so many executions, once they are there."""
        async with asyncio.timeout(END_TIMEOUT_S), self._changed:
            await self._changed.wait_for(lambda: len(self.started) >= executions)
        return list(self.started.values())

    async def _start(self, request: pb.StartExecutionRequest) -> None:
        if known := self.started.get(request.request_id):
            assert known == request, "a request id means one thing"
        async with self._changed:
            self.started[request.request_id] = request
            self._changed.notify_all()


@asynccontextmanager
async def execution_service() -> AsyncIterator[tuple[FakeExecutionService, grpc.aio.Channel]]:
    fake = FakeExecutionService()  # type: ignore[abstract]  # what nobody calls is left out
    async with served(add_ExecutionServiceServicer_to_server, fake) as channel:
        yield fake, channel


@asynccontextmanager
async def dispatching(pool: Pool, channel: grpc.aio.Channel, subscribers: FakeSubscribers) -> AsyncIterator[Dispatcher]:
    """A dispatcher that works until the block ends; cancelled then, whatever it is doing."""
    dispatcher = Dispatcher(PostgresOutbox(pool), subscribers, GrpcExecutions(channel), SystemClock())
    task = asyncio.create_task(dispatcher.run())
    try:
        yield dispatcher
    finally:
        await end_tasks(task)


def no_policy() -> RemoteError:
    return RemoteError.of(Kind.NOT_FOUND, reason="POLICY_NOT_FOUND", domain=DOMAIN, message="There is no such policy.")
