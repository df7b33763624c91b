"""The engine and a real registry, which cancels an upload at the slightest disagreement."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobservice.transfer import Outcome
from oci_client.testing import Action, FakeRegistry, Match, effects
from tests.engine_kit import MIB, Memory, Worker, until
from tests.registries import DockerRegistry


@pytest.fixture
def docker_registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path) as registry:
        yield registry


async def test_there_and_back(source: FakeRegistry, destination: FakeRegistry, docker_registry: DockerRegistry) -> None:
    digest = source.push_index("library/app", "1")
    source.push_image("library/app", "2", [5 * MIB, 900_000], seed=9)
    async with Worker(source, docker_registry) as worker:
        there = await worker.copy("1", "2")
        again = await worker.copy("1", "2")
        mounted = await worker.copy("2", to="library/other")
    async with Worker(docker_registry, destination) as worker:
        back = await worker.copy("1", "2")

    assert [one.outcome for one in [*there, *mounted, *back]] == [Outcome.COPIED] * 5
    assert [one.outcome for one in again] == [Outcome.UNCHANGED] * 2
    assert destination.store.repository("library/app").tags["1"] == digest


async def test_a_successor_goes_on(source: FakeRegistry, docker_registry: DockerRegistry) -> None:
    memory = Memory()
    source.push_image("library/app", "1", [5 * MIB])
    # The source goes silent in the third chunk, so that the worker is lost between two chunks or within one.
    silent = source.misbehave(effects.drip(1.0), match=Match(action=Action.BLOB), times=1, skip=2)
    source.misbehave(effects.cut_download(2 * MIB), match=Match(action=Action.BLOB), times=2)
    async with Worker(source, docker_registry, memory=memory) as worker:
        task = asyncio.create_task(worker.copy("1"))
        await until(lambda: silent.hits and memory.uploads.saved)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async with Worker(source, docker_registry, memory=memory) as worker:
        [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert memory.uploads.kept == {}
