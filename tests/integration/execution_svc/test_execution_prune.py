"""Pruning: what goes, and above all what stays."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from execution_svc.domain.execution import ExecutionState
from execution_svc.domain.policy import Policy
from execution_svc.flows.copy import CopyFlow
from service_kit.database import open_pool
from tests.integration.execution_svc.execution_world import World, reasons
from tests.integration.execution_svc.test_execution_flow_crashes import Crashing, Killed
from tests.postgres import Database

ANY = {"max_percent": 100}


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield World(pool=pool)


def pruning(world: World, **changes: Any) -> Policy:
    prune = changes.pop("prune", ANY)
    return world.policy("p", "a", "b", deletion={"prune": prune}, **changes)


async def mirrored(world: World, count: int = 10, **changes: Any) -> Policy:
    """The policy, after a run that has copied so many tags."""
    policy = pruning(world, **changes)
    world.push("a", "x", **{f"v{n}": f"d{n}" for n in range(count)})
    await world.run(policy)
    assert len(world.copied) == count
    return policy


async def test_what_the_source_no_longer_has_goes_after_the_copies(world: World) -> None:
    policy = await mirrored(world)
    world.push("b", "x", own="d0")
    world.delete("a", "x", "v1", "v2")
    world.push("a", "x", new="d")
    await world.start(policy)
    await world.list_one()
    first = await world.jobs.claim_tasks(100, world.clock.now())
    assert {job.operation.value for job in first} == {"COPY"}
    for job in first:
        await world.finish(job)
    await world.work()
    assert set(world.tags("b", "x")) == {"own", "new", "v0", *(f"v{n}" for n in range(3, 10))}
    assert sorted(tag for *_, tag in world.deleted) == ["v1", "v2"]


async def test_a_repository_that_is_gone_goes_and_what_was_deleted_is_not_deleted_again(world: World) -> None:
    policy = await mirrored(world, 3)
    world.registries["registries/a"].clear()
    await world.run(policy)
    assert (world.tags("b", "x"), len(world.deleted)) == ({}, 3)
    again = await world.run(policy)
    assert again.task_counts.total == 0


async def test_a_filter_that_became_narrower_deletes_nothing(world: World) -> None:
    await mirrored(world)
    narrow = pruning(world, filters=[{"dimension": "DIMENSION_TAG", "glob": "v1"}])
    await world.run(narrow)
    none = pruning(world, filters=[{"dimension": "DIMENSION_NAME", "glob": "other"}])
    await world.run(none)
    assert world.deleted == []


async def test_what_was_changed_there_since_stays(world: World) -> None:
    policy = await mirrored(world)
    world.push("b", "x", v1="changed")
    world.delete("a", "x", "v1", "v2")
    await world.run(policy)
    assert [tag for *_, tag in world.deleted] == ["v2"]
    assert (await world.run(policy)).task_counts.total == 1  # what is not ours any more is not looked at again


async def test_what_was_deleted_there_by_others_is_done_with(world: World) -> None:
    policy = await mirrored(world)
    world.delete("a", "x", "v1")
    world.delete("b", "x", "v1")
    first, second = await world.run(policy), await world.run(policy)
    assert (first.task_counts.succeeded, second.task_counts.succeeded, world.deleted) == (2, 1, [])


async def test_what_others_wrote_stays(world: World) -> None:
    await mirrored(world)
    other = world.policy("q", "a", "b", deletion={"prune": ANY})
    world.delete("a", "x", "v1")
    await world.run(other)
    inline = Policy.of_document({**other.document, "name": "", "uid": ""})
    await world.run(inline)
    assert world.deleted == []


async def test_a_tag_is_missed_for_as_long_as_the_policy_says(world: World) -> None:
    policy = await mirrored(world, prune={**ANY, "grace_period": "3600s"})
    world.delete("a", "x", "v1", "v2")
    await world.run(policy)
    world.push("a", "x", v2="d2")  # is there again for a while
    world.clock.advance(timedelta(minutes=50))
    await world.run(policy)
    world.delete("a", "x", "v2")
    world.clock.advance(timedelta(minutes=30))
    await world.run(policy)
    assert [tag for *_, tag in world.deleted] == ["v1"]
    world.clock.advance(timedelta(hours=1))
    await world.run(policy)
    assert [tag for *_, tag in world.deleted] == ["v1", "v2"]


@pytest.mark.parametrize("prune", [{"max_percent": 19}, {"max_tags": 1}, {}, {"max_percent": 50, "max_tags": 1}])
async def test_the_guard_lets_nothing_go_and_says_so(world: World, prune: dict[str, int]) -> None:
    policy = await mirrored(world, prune=prune)
    world.delete("a", "x", "v1", "v2")

    execution = await world.run(policy)

    assert world.deleted == []
    assert (execution.state, execution.state_message) == (
        ExecutionState.SUCCEEDED,
        "Nothing was pruned, since more is missing at the source than the policy's guard allows.",
    )
    assert reasons(await world.tasks(execution)) == {"SKIPPED": "PRUNE_GUARDED"}


@pytest.mark.parametrize("prune", [{"max_percent": 20}, {"max_tags": 2}, {"max_percent": 20, "max_tags": 2}])
async def test_up_to_the_guard_all_goes(world: World, prune: dict[str, int]) -> None:
    policy = await mirrored(world, prune=prune)
    world.delete("a", "x", "v1", "v2")
    await world.run(policy)
    assert len(world.deleted) == 2


async def test_a_listing_with_failures_deletes_nothing(world: World) -> None:
    policy = await mirrored(world)
    world.push("a", "y", v1="d")
    world.delete("a", "x", "v1")
    world.unreadable = {"y"}
    failed = await world.run(policy)
    assert (world.deleted, failed.state_message) == ([], "Nothing was pruned, since the listing had failures.")

    world.unreadable = set()
    await world.executions.retry(failed.id, world.clock.now())
    await world.work()
    assert [tag for *_, tag in world.deleted] == ["v1"]


async def test_a_copy_that_failed_keeps_all(world: World) -> None:
    policy = await mirrored(world)
    world.push("a", "x", new="d")
    world.delete("a", "x", "v1")
    world.failing = True
    failed = await world.run(policy)
    assert (failed.state, failed.task_counts.failed, failed.task_counts.stopped) == (ExecutionState.FAILED, 1, 1)
    world.failing = False
    await world.executions.retry(failed.id, world.clock.now())
    await world.work()
    assert [tag for *_, tag in world.deleted] == ["v1"]
    assert (await world.executions.get(failed.id)).state is ExecutionState.SUCCEEDED


async def test_a_stopped_execution_deletes_nothing(world: World) -> None:
    policy = await mirrored(world)
    world.delete("a", "x", "v1")
    execution = await world.start(policy)
    await world.list_one()
    await world.executions.stop(execution.id, world.clock.now())
    await world.work()
    assert (world.deleted, (await world.executions.get(execution.id)).state) == ([], ExecutionState.STOPPED)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", range(1, 13))
async def test_a_flow_killed_at_any_call_prunes_the_same(world: World, call: int, after: bool) -> None:
    """The second run of the flow decides anew; what the first wanted to delete and is there again stays."""
    policy = await mirrored(world)
    world.delete("a", "x", "v1", "v2")
    await world.start(policy)
    now = world.clock.now()
    lease = await world.flows.claim_flow(token="first", now=now, until=now + timedelta(seconds=15))
    assert lease
    calls = [call]
    flow = CopyFlow(
        lease,
        Crashing(world.flows, calls, after=after),
        world,
        Crashing(world.history, calls, after=after),
        world.clock,
    )
    with suppress(Killed):
        await flow.run()
    killed = calls[0] <= 0 and not await world.flows.claim_flow(token="early", now=now, until=now)
    if killed:
        world.push("a", "x", v2="d2")
    world.clock.advance(timedelta(seconds=16))
    await world.work()
    gone = sorted(tag for *_, tag in world.deleted)
    completed = gone == ["v1", "v2"]  # the last call had been made
    assert completed or gone == ["v1"]
    assert set(world.tags("b", "x")) == {f"v{n}" for n in range(10)} - set(gone)


@pytest.mark.parametrize("after_jobs", [False, True])
async def test_a_retry_looks_again_whether_it_is_still_missing(world: World, after_jobs: bool) -> None:
    policy = await mirrored(world)
    world.delete("a", "x", "v1", "v2")
    if not after_jobs:
        world.push("a", "x", new="d")  # and its copy fails, so that nothing is deleted
    world.failing = True
    failed = await world.run(policy)
    assert failed.state is ExecutionState.FAILED
    world.failing = False
    world.push("a", "x", v1="d1")

    await world.executions.retry(failed.id, world.clock.now())
    await world.work()

    assert [tag for *_, tag in world.deleted] == ["v2"]
    assert (await world.executions.get(failed.id)).state is ExecutionState.SUCCEEDED


async def test_what_another_repository_brings_to_the_same_place_stays(world: World) -> None:
    """The repository has a new name at the source, and the mapping leads from both to one place."""
    policy = await mirrored(world, 3, mapping={"namespace": "m"}, prune={"max_percent": 50, "grace_period": "3600s"})
    world.registries["registries/a"] = {"team/x": dict(world.tags("a", "x"))}
    for _ in range(3):
        execution = await world.run(policy)
        world.clock.advance(timedelta(hours=2))
    assert (execution.state, world.deleted, len(world.tags("b", "m/x"))) == (ExecutionState.SUCCEEDED, [], 3)

    world.delete("a", "team/x", "v1")
    await world.run(policy)
    assert world.deleted == []  # the time begins now
    world.clock.advance(timedelta(hours=2))
    await world.run(policy)
    assert [tag for *_, tag in world.deleted] == ["v1"]


async def test_what_another_repository_brings_is_seen_in_the_first_run(world: World) -> None:
    policy = await mirrored(world, 3, mapping={"namespace": "m"})
    world.registries["registries/a"] = {"team/x": dict(world.tags("a", "x"))}
    await world.run(policy)
    assert (world.deleted, len(world.tags("b", "m/x"))) == ([], 3)
