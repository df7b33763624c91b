"""Two policies with one tag at one destination: it stays for as long as one of the two sources has it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from execution_svc.domain.execution import Execution
from execution_svc.domain.plan import Action
from execution_svc.domain.policy import Policy
from service_kit.database import open_pool
from tests.integration.execution_svc.execution_world import World, reasons
from tests.integration.execution_svc.test_execution_plan_prune import planned_actions
from tests.postgres import Database

ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield World(pool=pool)


def two(world: World, **deletion: Any) -> tuple[Policy, Policy]:
    """From two sources to one destination."""
    return world.policy("p", "a", "c", deletion=deletion), world.policy("q", "b", "c", deletion=deletion)


async def pruning(world: World, **prune: int) -> tuple[Policy, Policy]:
    """Both have v1 there, the first has written it; v2 and v3 are the first one's alone."""
    p, q = two(world, prune=prune or {"max_percent": 100})
    world.push("a", "x", v1=ONE, v2=ONE, v3=ONE)
    world.push("b", "x", v1=ONE)
    await world.run(p)
    await world.run(q)
    assert len(world.copied) == 3
    return p, q


async def why(world: World, execution: Execution) -> dict[str, str]:
    (failure,) = [each.failure for each in await world.tasks(execution) if each.failure]
    assert failure.reason == "TAG_OF_ANOTHER_POLICY"
    return dict(failure.metadata)


async def test_prune_leaves_what_another_policy_has_there_and_says_so(world: World) -> None:
    p, _ = await pruning(world)
    world.delete("a", "x", "v1", "v2")

    plan = await planned_actions(world, p)
    execution = await world.run(p)

    assert plan == {("x", "v1"): (Action.SKIP, "TAG_OF_ANOTHER_POLICY"), ("x", "v2"): (Action.DELETE, "")}
    assert set(world.tags("c", "x")) == {"v1", "v3"}
    assert await why(world, execution) == {"repository": "x", "policy": "policies/uid-q"}
    assert (execution.progress.references_skipped, execution.task_counts.skipped) == (1, 1)


async def test_when_the_other_source_has_lost_it_too_who_wrote_it_prunes_it(world: World) -> None:
    p, q = await pruning(world)
    world.delete("a", "x", "v1")
    await world.run(p)
    world.delete("b", "x", "v1")
    await world.run(q)
    assert world.deleted == []  # it has found it there, no more
    await world.run(p)
    assert [tag for *_, tag in world.deleted] == ["v1"]


async def test_of_two_that_wrote_it_the_last_to_miss_it_prunes_it(world: World) -> None:
    p, q = two(world, prune={"max_percent": 100})
    world.push("a", "x", v1=ONE)
    await world.run(p)
    world.tags("c", "x").clear()  # somebody deletes it there
    world.push("b", "x", v1=ONE)
    await world.run(q)
    assert len(world.copied) == 2

    world.delete("b", "x", "v1")
    await world.run(q)
    assert world.deleted == []
    world.delete("a", "x", "v1")
    await world.run(p)
    assert [tag for *_, tag in world.deleted] == ["v1"]


async def test_what_stays_is_no_matter_for_the_guard(world: World) -> None:
    p, _ = await pruning(world, max_tags=1)
    world.delete("a", "x", "v1", "v2")
    assert len(await planned_actions(world, p)) == 2
    await world.run(p)
    assert [tag for *_, tag in world.deleted] == ["v2"]


async def test_a_source_that_has_it_again_keeps_it(world: World) -> None:
    p, q = await pruning(world)
    world.delete("b", "x", "v1")
    await world.run(q)
    world.push("b", "x", v1=ONE)
    await world.run(q)
    world.delete("a", "x", "v1")
    await world.run(p)
    assert world.deleted == []


async def test_what_was_found_there_is_not_pruned(world: World) -> None:
    policy = world.policy("p", "a", "c", deletion={"prune": {"max_percent": 100}})
    world.push("a", "x", v1=ONE, v2=ONE)
    world.push("c", "x", v1=ONE, v2=TWO)
    await world.run(policy)
    assert [tag for *_, tag in world.copied] == ["v2"]
    await world.run(policy)  # finds both, and has written one of them
    world.delete("a", "x", "v1", "v2")

    plan = await planned_actions(world, policy)
    await world.run(policy)

    assert (list(plan), [tag for *_, tag in world.deleted]) == ([("x", "v2")], ["v2"])


async def test_what_somebody_else_put_there_is_found_and_not_written(world: World) -> None:
    policy = world.policy("p", "a", "c", deletion={"prune": {"max_percent": 100}})
    world.push("a", "x", v1=ONE)
    await world.run(policy)
    world.push("a", "x", v1=TWO)
    world.push("c", "x", v1=TWO)
    await world.run(policy)
    world.delete("a", "x", "v1")
    await world.run(policy)
    assert world.tags("c", "x") == {"v1": TWO}


@pytest.mark.parametrize("by_digest", [False, True])
async def test_an_event_deletes_what_no_other_policy_has_there(world: World, by_digest: bool) -> None:
    two(world, on_event=True)
    world.push("a", "x", v1=ONE, v2=ONE)
    await world.deliver()
    world.push("b", "x", v1=ONE)
    await world.deliver()

    world.delete("a", "x", "v1", "v2", by_digest=by_digest)
    executions = await world.deliver()
    assert world.tags("c", "x") == {"v1": ONE}
    assert {"SKIPPED": "TAG_OF_ANOTHER_POLICY"} in [reasons(await world.tasks(each)) for each in executions]

    world.delete("b", "x", "v1", by_digest=by_digest)
    await world.deliver()
    assert world.tags("c", "x") == {}


async def test_an_event_ends_a_claim_to_what_another_policy_prunes(world: World) -> None:
    p, _ = await pruning(world)
    q = world.policy("q", "b", "c", deletion={"on_event": True})
    world.events.clear()
    world.delete("b", "x", "v1")
    told = [each.resource for each in world.events]
    execution = await world.run(q, *told)
    assert await why(world, execution) == {"repository": "x", "policy": "policies/uid-p"}
    world.delete("a", "x", "v1")
    await world.run(p)
    assert [tag for *_, tag in world.deleted] == ["v1"]


async def test_an_inline_policy_keeps_nothing(world: World) -> None:
    p, q = two(world, prune={"max_percent": 100})
    world.push("a", "x", v1=ONE)
    world.push("b", "x", v1=ONE)
    await world.run(p)
    await world.run(Policy.of_document({**q.document, "name": "", "uid": ""}))
    world.delete("a", "x", "v1")
    await world.run(p)
    assert [tag for *_, tag in world.deleted] == ["v1"]
