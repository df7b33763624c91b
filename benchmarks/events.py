"""`python -m benchmarks.events`: how long after a push or a deletion at a real registry the destination has followed.

A docker-registry with notifications switched on tells the stack, whose policy copies to another one and deletes there.
It is asked every few milliseconds whether that has happened, from the moment at which the source answered.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.corpus import Corpus, Pusher, Sizes, many_repositories
from benchmarks.endpoints import Endpoint
from benchmarks.ours import Ours
from benchmarks.registries import Notify, free_host, running_registry
from oci_client.client import RegistryClient
from oci_client.http import HttpClient
from transship.local.state import LocalStack, StateDir
from transship.policy.v1.policy_pb2 import Deletion
from transship.sdk import TransshipClient, destination, on_event

ROUNDS: Final = 10
_POLL_S: Final = 0.005
_GIVE_UP_S: Final = 60.0
_TYPE: Final = "docker-registry"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.events", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="default: %(default)s")
    pushes, deletions = asyncio.run(_measure(parser.parse_args().rounds))
    for what, seconds in (("copied after a push", pushes), ("deleted after a deletion", deletions)):
        print(f"{what:25} median {median(seconds):.2f} s, longest {max(seconds):.2f} s, {len(seconds)} rounds")


async def _measure(rounds: int) -> tuple[list[float], list[float]]:
    async with AsyncExitStack() as stack:
        state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="transship-bench-stack-")))
        await stack.enter_async_context(Ours.running(state))
        client = await stack.enter_async_context(TransshipClient.from_local_stack(state))
        goal = stack.enter_context(running_registry()).endpoint
        host = free_host()
        notify = await _follow(client, Endpoint(host=host), goal, LocalStack.load(StateDir(state)).events_url or "")
        source = stack.enter_context(running_registry(host=host, notify=notify)).endpoint
        corpus = many_repositories(Sizes.quick(), Path(stack.enter_context(tempfile.TemporaryDirectory())))
        http = await stack.enter_async_context(HttpClient())
        here, there = (RegistryClient(each.url, http=http) for each in (source, goal))
        pushes, deletions = [], []
        for repository, tag in _tags(corpus)[:rounds]:
            async with Pusher.at(source) as pusher:
                await pusher.push(Corpus(images={repository: {tag: corpus.images[repository][tag]}}))
            pushes.append(await _until(there, repository, tag, exists=True))
            pushed = await here.head_manifest(repository, tag)
            assert pushed is not None
            await here.delete_manifest(repository, pushed.digest)
            deletions.append(await _until(there, repository, tag, exists=False))
        return pushes, deletions


async def _follow(client: TransshipClient, source: Endpoint, goal: Endpoint, events_url: str) -> Notify:
    """Makes the policy, and returns where the source is to tell its news."""
    registered = await client.registries.create("source", type=_TYPE, url=source.url, skip_check=True)
    target = await client.registries.create("destination", type=_TYPE, url=goal.url)
    await client.policies.create(
        "follow",
        source_registry=registered.name,
        destinations=[destination(target.name)],
        override=True,
        trigger=on_event(),
        deletion=Deletion(on_event=True),
    )
    event_source = await client.event_sources.create(registered.name)
    return Notify(url=f"{events_url}{event_source.path}", authorization=f"Bearer {event_source.secret}")


def _tags(corpus: Corpus) -> Sequence[tuple[str, str]]:
    return [(repository, tag) for repository, images in corpus.images.items() for tag in images]


async def _until(registry: RegistryClient, repository: str, tag: str, *, exists: bool) -> float:
    """Seconds until the tag is there, or is not."""
    began = time.monotonic()
    async with asyncio.timeout(_GIVE_UP_S):
        while (await registry.head_manifest(repository, tag) is not None) != exists:  # noqa: ASYNC110 - a registry is asked
            await asyncio.sleep(_POLL_S)
    return time.monotonic() - began


if __name__ == "__main__":
    main()
