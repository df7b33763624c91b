"""A source of 10,000 repositories: what is listed, planned and copied passes through, and no service holds it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from oci_client.testing import FakeRegistry, an_image
from oci_client.testing.content import put_into
from tests.e2e.stack import Stack, a_policy, register, state_of
from transship.execution.v1.execution_pb2 import Execution, PlanSummary
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk import TransshipClient, destination

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

REPOSITORIES: Final = 10_000
MISSING: Final = 5
MOST_RSS_BYTES: Final = 150 * 1000**2
END_TIMEOUT_S: Final = 300.0  # bounds a test that hangs


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Stack]:
    """A stack of its own: the peak of a process is that of all it has ever done."""
    stack = Stack(tmp_path / "stack")
    answer = stack.run("up", "--detach")
    assert answer.code == 0, f"{answer}\n{stack.logs()}"
    yield stack
    stack.down()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Two registries that differ in a few of very many repositories, and the policy between them."""

    source: FakeRegistry
    goal: FakeRegistry
    client: TransshipClient
    policy: Policy


@pytest.fixture
async def scene(fresh: Stack) -> AsyncIterator[Scene]:
    image = an_image([2_000])
    async with FakeRegistry() as source, FakeRegistry() as goal, fresh.client() as client:
        for number in range(REPOSITORIES):
            name = f"library/app-{number:05}"
            put_into(source.store.repository(name), image, "1")
            if number >= MISSING:
                put_into(goal.store.repository(name), image, "1")
        to = destination(await register(client, goal.url))
        yield Scene(source=source, goal=goal, client=client, policy=a_policy(await register(client, source.url), to))


async def test_a_plan_of_10000_repositories_stays_small(scene: Scene, fresh: Stack) -> None:
    """The plan tells every repository, touches nothing, and no service grows beyond its bound."""
    told, summary = 0, PlanSummary()
    async with asyncio.timeout(END_TIMEOUT_S):
        async for response in scene.client.executions.plan(scene.policy):
            told += len(response.actions)
            summary = response.summary

    assert (told, summary.references_to_copy, summary.references_unchanged) == (
        REPOSITORIES,
        MISSING,
        REPOSITORIES - MISSING,
    )
    assert {each.method for each in scene.goal.log.entries} <= {"GET", "HEAD"}
    assert large_services(fresh) == {}


async def test_an_execution_over_10000_repositories_stays_small(scene: Scene, fresh: Stack) -> None:
    """Every repository has its task, the few that were missing are there, and no service grows beyond its bound."""
    started = await scene.client.executions.start(scene.policy)
    async with asyncio.timeout(END_TIMEOUT_S):
        execution = await scene.client.executions.wait(started.name)

    assert execution.state == Execution.STATE_SUCCEEDED, state_of(execution)
    assert execution.task_counts.succeeded == REPOSITORIES
    assert (execution.progress.references_copied, execution.progress.references_unchanged) == (
        MISSING,
        REPOSITORIES - MISSING,
    )
    assert len(scene.goal.store.names) == REPOSITORIES
    assert large_services(fresh) == {}


def large_services(stack: Stack) -> dict[str, int]:
    """The services whose resident set was ever larger than its bound, and how large."""
    peaks = {name: _peak_rss_bytes(pid) for name, pid in stack.processes().items() if name != "postgres"}
    return {name: peak for name, peak in peaks.items() if peak > MOST_RSS_BYTES}


def _peak_rss_bytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
