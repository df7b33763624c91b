"""Our own stack as a contender: from StartExecution to the final state, as a client sees it."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from benchmarks.contenders import Run
from benchmarks.corpus import Corpus
from benchmarks.endpoints import Endpoint, Route
from benchmarks.measure import COMMAND_TIMEOUT_S, Meter, RunFailed, Usage
from transship.execution.v1.execution_pb2 import Execution
from transship.local.services import JOBSERVICE
from transship.local.state import LocalStack, StateDir
from transship.local.supervisor import Supervisor
from transship.registry.v1.registry_pb2 import Registry
from transship.sdk import TransshipClient, destination, literal, name_filter

WORKER: Final = "worker"
SERVICES: Final = "services"
POSTGRES: Final = "postgres"
_TYPE: Final = "docker-registry"


class Ours:
    """A stack that runs on. Each preparation registers its registries anew, so nothing is remembered of older ones."""

    name = "transship"
    copies = True

    def __init__(self, client: TransshipClient, stack: LocalStack) -> None:
        self._client = client
        self._stack = stack
        self._numbers = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def running(cls, directory: Path) -> AsyncIterator["Ours"]:
        """Starts the stack in the directory, and stops it. Call it from the main thread."""
        state = StateDir(directory)
        ready: asyncio.Future[LocalStack] = asyncio.get_running_loop().create_future()
        supervisor = asyncio.create_task(Supervisor(state).run(ready.set_result))
        try:
            supervisor.add_done_callback(lambda _: ready.cancel())
            with suppress(asyncio.CancelledError):
                await ready
            if supervisor.done():
                supervisor.result()
            async with TransshipClient.from_local_stack(directory) as client:
                yield cls(client, ready.result())
        finally:
            supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await supervisor

    @asynccontextmanager
    async def prepared(self, route: Route, corpus: Corpus, scratch: Path) -> AsyncIterator[Run]:  # noqa: ARG002
        number = next(self._numbers)
        source = await self._register(f"source-{number}", route.source)
        target = await self._register(f"destination-{number}", route.destination)
        policy = await self._client.policies.create(
            f"policy-{number}",
            source_registry=source.name,
            destinations=[destination(target.name)],
            filters=[name_filter(literal(name)) for name in corpus.repositories],
            override=True,
        )
        try:
            yield lambda: self._measured(policy.name)
        finally:
            await self._client.policies.delete(policy.name)
            await self._client.registries.delete(source.name)
            await self._client.registries.delete(target.name)

    async def _register(self, registry_id: str, endpoint: Endpoint) -> Registry:
        authority = endpoint.ca.read_text() if endpoint.ca else ""
        return await self._client.registries.create(registry_id, type=_TYPE, url=endpoint.url, ca_certificate=authority)

    async def _measured(self, policy: str) -> Usage:
        meter = Meter(roots=self._processes())
        with meter.measuring():
            final = await self._execute(policy)
        if final.state != Execution.STATE_SUCCEEDED:
            raise RunFailed(await self._why(final))
        assert meter.usage is not None
        return meter.usage

    async def _execute(self, policy: str) -> Execution:
        execution = await self._client.executions.start(policy)
        async with asyncio.timeout(COMMAND_TIMEOUT_S):
            async for seen in self._client.executions.watch(execution.name):
                execution = seen
        return execution

    async def _why(self, execution: Execution) -> str:
        failures = [execution.failure.message] if execution.HasField("failure") else []
        failures += [task.failure.message async for task in self._client.executions.tasks(execution.name)]
        return f"{Execution.State.Name(execution.state)}: {next(filter(None, failures), 'no failure told')}"

    def _processes(self) -> dict[str, list[int]]:
        """The worker apart from the other services, since it is the one that there are many of."""
        pids = {
            WORKER: [each.pid for each in self._stack.services if each.service == JOBSERVICE],
            SERVICES: [each.pid for each in self._stack.services if each.service != JOBSERVICE],
            POSTGRES: [self._stack.postgres_pid],
        }
        return {part: [pid for pid in found if pid is not None] for part, found in pids.items()}
