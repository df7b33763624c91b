"""Whatever is killed in the middle of a run, the run ends by itself and is right. A stop is heard."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from oci_client.testing import Action, FakeRegistry, Match, Stall
from tests.e2e.stack import Stack, a_policy, finished, register, state_of, tags_in_results, tasks_of
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk import TransshipClient, destination

pytestmark = pytest.mark.e2e

_REPOSITORIES = 6
_TAGS = 3
# Where in its life a run is caught: the source answers so many of these requests and holds back all others. Some
# repositories are listed then, or some tags have arrived, and most have not.
_STAGES = {"listing": (Action.TAGS, 2), "copying": (Action.BLOB, 8)}
_SERVICES = ("registry_svc", "policy_svc", "execution_svc", "jobservice", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Two registries and the policy between them."""

    source: FakeRegistry
    goal: FakeRegistry
    policy: Policy

    @property
    def pushed(self) -> dict[str, str]:
        return _tags(self.source)

    @property
    def arrived(self) -> dict[str, str]:
        return _tags(self.goal)

    async def start(self, client: TransshipClient, stage: str) -> tuple[str, Stall]:
        """The name of an execution that has come as far as this, and what holds it there."""
        action, let_through = _STAGES[stage]
        stall = Stall()
        self.source.misbehave(stall, match=Match(action=action), skip=let_through)
        execution = await client.executions.start(self.policy)
        async with asyncio.timeout(30):
            await stall.reached()
        return execution.name, stall


@pytest.fixture
async def scene(client: TransshipClient) -> AsyncIterator[Scene]:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        for number in range(_REPOSITORIES):
            for tag in range(_TAGS):
                source.push_image(f"library/app-{number}", f"v{tag}", [20_000, 500], seed=number * _TAGS + tag)
        to = destination(await register(client, goal.url))
        policy = a_policy(await register(client, source.url), to)
        yield Scene(source=source, goal=goal, policy=policy)


@pytest.mark.parametrize(
    ("victim", "stage"),
    [
        *((victim, "copying") for victim in _SERVICES),
        *((victim, "listing") for victim in ("registry_svc", "execution_svc", "postgres")),
    ],
)
async def test_an_execution_survives_the_killing_of(
    victim: str, stage: str, stack: Stack, client: TransshipClient, scene: Scene
) -> None:
    await stack.serves()
    before = stack.processes()
    execution, stall = await scene.start(client, stage)

    os.kill(before[victim], signal.SIGKILL)
    stall.release()
    ended = await finished(client, execution)

    assert state_of(ended) == "SUCCEEDED"
    assert scene.arrived == scene.pushed
    tasks = await tasks_of(client, execution)
    assert tags_in_results(tasks) == dict.fromkeys(scene.pushed, 1)
    assert ended.task_counts.succeeded == ended.task_counts.total == _REPOSITORIES
    await stack.serves()
    after = stack.processes()
    assert after[victim] != before[victim]
    assert {name for name in before if after[name] != before[name]} == {victim}


@pytest.mark.parametrize("stage", ["listing", "copying"])
async def test_a_stop_in_the_middle_of_a_run_is_heard(stage: str, client: TransshipClient, scene: Scene) -> None:
    execution, stall = await scene.start(client, stage)

    await client.executions.stop(execution)
    async with asyncio.timeout(10):  # the source still holds everything back
        ended = await client.executions.wait(execution)

    assert state_of(ended) == "STOPPED"
    assert ended.task_counts.stopped > 0 or stage == "listing"
    assert ended.task_counts.failed == ended.task_counts.running == ended.task_counts.pending == 0
    assert scene.arrived.items() < scene.pushed.items()
    asked = len(scene.source.requests)
    stall.release()
    assert state_of(await client.executions.get(execution)) == "STOPPED"
    assert scene.source.log.entries[asked:] == []


def _tags(registry: FakeRegistry) -> dict[str, str]:
    repositories = map(registry.store.repository, registry.store.names)
    return {f"{each.name}:{tag}": digest for each in repositories for tag, digest in each.tags.items()}
