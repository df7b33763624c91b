"""A schedule starts a policy by itself, over the real services, and a policy can be tried before it does."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from oci_client.testing import FakeRegistry
from oci_client.testing.effects import Stall
from oci_client.testing.faults import Match
from oci_client.testing.messages import Action
from tests.e2e.stack import Stack, finished, register, state_of
from transship.execution.v1.execution_pb2 import Execution
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk import TransshipClient, destination, name_filter, scheduled

pytestmark = pytest.mark.e2e

SOON = timedelta(seconds=3)
POLL_INTERVAL_S = 0.2
TIMEOUT_S = 30.0  # generous: it ends a test that hangs


async def test_a_schedule_copies_what_a_trial_has_shown(client: TransshipClient) -> None:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        source.push_image("library/app", "1")
        source.push_image("other/app", "1")
        soon = (datetime.now(UTC) + SOON).replace(microsecond=0)
        policy = await client.policies.create(
            "by-the-clock",
            source_registry=await register(client, source.url),
            destinations=[destination(await register(client, goal.url), namespace="mirror")],
            filters=[name_filter("library/**")],
            trigger=scheduled(f"{soon.second} {soon.minute} {soon.hour} {soon.day} {soon.month} *"),
        )
        assert policy.next_run_time.ToDatetime(UTC) == soon

        trial = [each async for each in client.policies.test(policy.name, include_rejected=True)]
        execution = await _first_execution(client, policy.name)
        ended = await finished(client, execution.name)

        matches = [match for each in trial for match in each.matches]
        assert [(each.repository, each.tag, each.targets[0].repository) for each in matches] == [
            ("library/app", "1", "mirror/app")
        ]
        assert [each.repository for answer in trial for each in answer.rejections] == ["other/app"]
        assert (state_of(ended), ended.trigger) == ("SUCCEEDED", Execution.TRIGGER_SCHEDULED)
        assert ended.started_by == f"schedule of {policy.name}"
        assert goal.store.names == ["mirror/app"]
        after = await client.policies.get(policy.name)
        assert after.next_run_time.ToDatetime(UTC).year == soon.year + 1


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose schedules may be fast."""
    stack = Stack(tmp_path / "fast", TRANSSHIP_POLICY_FAST_SCHEDULES="true")
    answer = stack.run("up", "--detach")
    assert answer.code == 0, f"{answer}\n{stack.logs()}"
    yield stack
    stack.down()


async def test_a_schedule_fires_again_and_again_and_is_skipped_while_a_run_goes_on(fast: Stack) -> None:
    stall = Stall()
    async with fast.client() as client, FakeRegistry() as source, FakeRegistry() as goal:
        digest = source.push_image("library/app", "1")
        source.misbehave(stall, match=Match(action=Action.BLOB))
        policy = await client.policies.create(
            "every-second",
            source_registry=await register(client, source.url),
            destinations=[destination(await register(client, goal.url))],
            trigger=scheduled("* * * * * *"),
            overlap=Policy.OVERLAP_SKIP,
        )
        async with asyncio.timeout(TIMEOUT_S):
            await stall.reached()
            await _until(client, policy.name, "SKIPPED", 1)
            assert (await _states(client, policy.name)).keys() == {"RUNNING", "SKIPPED"}
            stall.release()
            await _until(client, policy.name, "SUCCEEDED", 2)
        await client.policies.update(policy.name, disabled=True)

        assert goal.store.repository("library/app").tags == {"1": digest}
        found = [each async for each in client.executions.list(policy=policy.name, oldest_first=True)]
        assert {each.trigger for each in found} == {Execution.TRIGGER_SCHEDULED}
        assert (state_of(found[0]), state_of(found[1]), "FAILED" in map(state_of, found)) == (
            "SUCCEEDED",
            "SKIPPED",
            False,
        )
        assert found[1].state_message


async def _until(client: TransshipClient, policy: str, state: str, count: int) -> None:
    """Returns when so many executions are in the state."""
    while (await _states(client, policy))[state] < count:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(POLL_INTERVAL_S)


async def _states(client: TransshipClient, policy: str) -> Counter[str]:
    return Counter([state_of(each) async for each in client.executions.list(policy=policy)])


async def _first_execution(client: TransshipClient, policy: str) -> Execution:
    while True:
        async for execution in client.executions.list(policy=policy):
            return execution
        await asyncio.sleep(POLL_INTERVAL_S)
