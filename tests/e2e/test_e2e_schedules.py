"""A schedule starts a policy by itself, over the real services, and a policy can be tried before it does."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from oci_client.testing import FakeRegistry
from tests.e2e.stack import finished, register, state_of
from transship.execution.v1.execution_pb2 import Execution
from transship.sdk import TransshipClient, destination, name_filter, scheduled

pytestmark = pytest.mark.e2e

SOON = timedelta(seconds=3)
POLL_INTERVAL_S = 0.2


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


async def _first_execution(client: TransshipClient, policy: str) -> Execution:
    while True:
        async for execution in client.executions.list(policy=policy):
            return execution
        await asyncio.sleep(POLL_INTERVAL_S)
