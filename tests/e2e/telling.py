"""Real registries that tell the stack what happens to them, and policies that listen."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import httpx

from tests.e2e.content import RealRegistry, need
from tests.e2e.stack import ADAPTER, END_TIMEOUT_S, Stack, finished
from tests.registries import DockerRegistry, Notify, free_host
from transship.execution.v1.execution_pb2 import Execution
from transship.local.state import LocalStack
from transship.policy.v1 import event_pb2 as pb
from transship.policy.v1.policy_pb2 import Deletion
from transship.sdk import TransshipClient, destination, on_event
from transship.type.v1.filter_pb2 import Filter
from transship.type.v1.transfer_pb2 import TransferOptions

_POLL_S = 0.05


async def follow(
    client: TransshipClient,
    source: str,
    goal: str,
    *,
    filters: Sequence[Filter] = (),
    deletion: Deletion | None = None,
    options: TransferOptions | None = None,
) -> str:
    """Creates a policy that waits for the events of the source, and returns its name."""
    policy = await client.policies.create(
        f"events-{uuid4().hex[:12]}",
        source_registry=source,
        destinations=[destination(goal)],
        filters=filters,
        override=True,
        trigger=on_event(),
        deletion=deletion,
        options=options,
    )
    return policy.name


async def told(client: TransshipClient, registry: str, *, at_least: int = 1) -> list[pb.Event]:
    """All that the registry has told, the newest first, once it is so much and every policy has got it."""
    async with asyncio.timeout(END_TIMEOUT_S):
        while True:
            found = [each async for each in client.events.list(registry=registry)]
            if len(found) >= at_least and all(each.state == pb.Event.STATE_DELIVERED for each in found):
                return found
            await asyncio.sleep(_POLL_S)


@asynccontextmanager
async def telling(client: TransshipClient, stack: Stack, directory: Path) -> AsyncIterator[tuple[RealRegistry, str]]:
    """A registry that tells the stack what happens to it, and its name there."""
    host, name = free_host(), f"telling-{uuid4().hex[:12]}"
    registered = await client.registries.create(name, type=ADAPTER, url=f"http://{host}", skip_check=True)
    source = await client.event_sources.create(registered.name)
    notify = Notify(
        url=f"{LocalStack.load(stack.state).events_url}{source.path}", authorization=f"Bearer {source.secret}"
    )
    with _server(directory, notify, host) as server:
        yield RealRegistry(server=server), registered.name


def _server(directory: Path, notify: Notify, host: str) -> DockerRegistry:
    need("docker-registry")
    need("skopeo")
    directory.mkdir()
    return DockerRegistry(directory, notify=notify, host=host)


async def until(registry: RealRegistry, holds: Callable[[Mapping[str, str]], bool]) -> dict[str, str]:
    """The registry's tags and digests, once they are so."""
    async with asyncio.timeout(END_TIMEOUT_S):
        while True:
            with suppress(httpx.HTTPStatusError):  # it lists a tag a moment before it has the manifest
                if holds(tags := await asyncio.to_thread(registry.tags)):
                    return tags
            await asyncio.sleep(_POLL_S)


async def executions_of(client: TransshipClient, policy: str) -> list[Execution]:
    """All of them, ended, the oldest first."""
    found = [each.name async for each in client.executions.list(policy=policy)]
    return [await finished(client, name) for name in reversed(found)]
