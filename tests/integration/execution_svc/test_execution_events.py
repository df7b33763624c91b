"""What events bring about, between registries that tell of everything: copies, deletions, and no circles."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from execution_svc.domain.execution import ExecutionState
from execution_svc.domain.origin import EventOperation, EventResource
from execution_svc.domain.task import Operation
from execution_svc.domain.transfer import Reference
from service_kit.database import open_pool
from tests.integration.execution_svc.execution_world import World, reasons
from tests.postgres import Database

DELETES = {"deletion": {"on_event": True}}
ONE, TWO = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield World(pool=pool)


def event(operation: str, tag: str = "", digest: str = "", repository: str = "x") -> EventResource:
    return EventResource(operation=EventOperation(operation), repository=repository, tag=tag, digest=digest)


def a_filter(dimension: str, glob: str) -> dict[str, Any]:
    return {"dimension": f"DIMENSION_{dimension}", "glob": glob}


async def test_what_an_event_names_is_copied_and_nothing_else(world: World) -> None:
    policy = world.policy("p", "a", "b", filters=[a_filter("NAME", "x"), a_filter("TAG", "v*")])
    world.push("a", "x", v1=ONE, v2=ONE, latest=ONE)
    world.push("a", "y", v1=ONE)

    resources = [event("PUSH", "v1"), event("PUSH", "latest"), event("PUSH", "v1", repository="y")]
    execution = await world.run(policy, *resources)

    assert world.tags("b", "x") == {"v1": ONE}
    assert (execution.state, execution.task_counts.total) == (ExecutionState.SUCCEEDED, 1)


async def test_of_several_events_the_last_one_counts(world: World) -> None:
    policy = world.policy("p", "a", "b", **DELETES)
    world.push("a", "x", v1=TWO)
    world.push("b", "x", v2=ONE)
    told = [event("PUSH", "v1", ONE), event("DELETE", "v1"), event("PUSH", "v1", ONE), event("PUSH", "v2")]

    await world.run(policy, *told, event("DELETE", "v2"))

    assert world.tags("b", "x") == {"v1": TWO}  # as it is at the source now


@pytest.mark.parametrize("rule", [{"filters": [a_filter("LABEL", "*")]}, {"newest": {"order": "ORDER_SEMVER"}}])
async def test_what_only_the_registry_knows_is_asked_of_it(world: World, rule: dict[str, Any]) -> None:
    policy = world.policy("p", "a", "b", **rule)
    world.push("a", "x", v1=ONE, v2=ONE)
    execution = await world.run(policy, event("PUSH", "v1"), event("PUSH", "gone"))
    assert (world.tags("b", "x"), execution.state) == ({"v1": ONE}, ExecutionState.SUCCEEDED)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"filters": [{**a_filter("TAG", "*-rc"), "action": "ACTION_EXCLUDE"}]},
        {"options": {"platforms": ["linux/amd64"]}},
        {"options": {"referrers": True, "platforms": ["linux/amd64"]}},
        {"options": {"referrers": True, "referrer_types": ["application/spdx+json"]}},
    ],
)
async def test_parts_and_signatures_do_not_go_without_what_they_belong_to(
    world: World, document: dict[str, Any]
) -> None:
    """What was pushed by its digest alone is copied when the registry lists it as an artifact of its own."""
    policy = world.policy("p", "a", "b", **document)
    world.push("a", "x", v1=ONE)

    await world.start(policy, event("PUSH", digest=TWO), event("PUSH", "v1", ONE))
    await world.list_one()

    (job,) = await world.jobs.claim_tasks(10, world.clock.now())
    assert job.references == (Reference(tag="v1"),)


async def test_who_takes_all_of_a_repository_takes_signatures_that_come_later(world: World) -> None:
    policy = world.policy("p", "a", "b", options={"referrers": True})

    await world.start(policy, event("PUSH", digest=TWO))
    await world.list_one()

    (job,) = await world.jobs.claim_tasks(10, world.clock.now())
    assert job.references == (Reference(digest=TWO),)


async def test_nothing_that_passes_is_a_success(world: World) -> None:
    policy = world.policy("p", "a", "b", filters=[a_filter("TAG", "v*")])
    execution = await world.run(policy, event("PUSH", "latest"))
    assert (execution.state, execution.state_message) == (
        ExecutionState.SUCCEEDED,
        "no resources need to be replicated",
    )


@pytest.mark.parametrize("mapping", [{}, {"namespace": "m"}, {"template": "{registry}/{path}"}])
async def test_two_policies_against_each_other_copy_once(world: World, mapping: dict[str, str]) -> None:
    world.policy("there", "a", "b", mapping=mapping)
    world.policy("back", "b", "a", mapping=mapping)
    world.push("a", "x", v1=ONE)

    executions = await world.deliver()

    assert len(world.copied) == 1
    assert [registry for registry, *_ in world.copied] == ["registries/b"]
    there, back = executions
    assert back.state is ExecutionState.SUCCEEDED
    (echo,) = await world.tasks(back)
    assert (echo.run, reasons([echo]), there.task_counts.succeeded) == (0, {"SKIPPED": "EVENT_RETURNS"}, 1)


async def test_a_chain_is_gone_along_and_ends_where_it_began(world: World) -> None:
    for source, destination in (("a", "b"), ("b", "c"), ("c", "a")):
        world.policy(source, source, destination)
    world.push("a", "x", v1=ONE)

    *_, last = await world.deliver()

    assert [registry for registry, *_ in world.copied] == ["registries/b", "registries/c"]
    assert reasons(await world.tasks(last)) == {"SKIPPED": "EVENT_RETURNS"}


async def test_what_somebody_else_pushes_over_our_copy_goes_back(world: World) -> None:
    world.policy("there", "a", "b")
    world.policy("back", "b", "a")
    world.push("a", "x", v1=ONE)
    await world.deliver()
    world.push("b", "x", v1=TWO)
    await world.deliver()
    assert (world.tags("a", "x"), world.tags("b", "x")) == ({"v1": TWO}, {"v1": TWO})
    assert len(world.copied) == 2


async def test_an_echo_that_is_faster_than_its_cause_waits_for_it(world: World) -> None:
    there, back = world.policy("there", "a", "b"), world.policy("back", "b", "a")
    world.push("a", "x", v1=ONE)
    await world.start(there, event("PUSH", "v1", ONE))
    await world.list_one()
    (job,) = await world.jobs.claim_tasks(10, world.clock.now())
    echo = await world.start(back, event("PUSH", "v1", ONE))

    listing = asyncio.create_task(world.list_one())
    done, _ = await asyncio.wait([listing], timeout=0.5)
    assert not done
    await world.finish(job)
    await listing

    assert reasons(await world.tasks(echo)) == {"SKIPPED": "EVENT_RETURNS"}


async def test_a_deletion_is_followed_and_does_not_come_back(world: World) -> None:
    world.policy("there", "a", "b", **DELETES)
    back = world.policy("back", "b", "a", **DELETES)
    world.push("a", "x", v1=ONE, v2=ONE)
    await world.deliver()

    world.delete("a", "x", "v1")
    executions = await world.deliver()

    assert (world.tags("b", "x"), world.deleted) == ({"v2": ONE}, [("registries/b", "x", "v1")])
    assert [reasons(await world.tasks(each)) for each in executions if each.policy == back] == [
        {"SKIPPED": "EVENT_RETURNS"}
    ]


async def test_the_echo_of_a_deletion_does_not_take_what_was_pushed_meanwhile(world: World) -> None:
    there, back = world.policy("there", "a", "b", **DELETES), world.policy("back", "b", "a", **DELETES)
    world.push("a", "x", v1=ONE)
    await world.deliver()
    world.delete("a", "x", "v1")
    await world.run(there, event("DELETE", "v1"))
    world.push("a", "x", v1=TWO)

    await world.run(back, event("DELETE", "v1"))

    assert world.tags("a", "x") == {"v1": TWO}


@pytest.mark.parametrize("again", [ONE, TWO])
async def test_a_deletion_by_somebody_else_is_not_taken_for_ours(world: World, again: str) -> None:
    """We deleted it once; then it was pushed there and copied back, and now its owner deletes it."""
    world.policy("there", "a", "b", **DELETES)
    world.policy("back", "b", "a", **DELETES)
    world.push("a", "x", v1=ONE)
    await world.deliver()
    world.delete("a", "x", "v1")
    await world.deliver()
    world.push("b", "x", v1=again)
    await world.deliver()
    assert world.tags("a", "x") == {"v1": again}

    world.delete("b", "x", "v1")
    await world.deliver()

    assert world.tags("a", "x") == {}


async def test_a_deletion_is_mapped_like_a_copy(world: World) -> None:
    mapping = {"namespace": "m", "tag": "{name}-{tag}"}
    policy = world.policy("p", "a", "b", mapping=mapping, filters=[a_filter("TAG", "v*")], **DELETES)
    world.push("b", "m/x", **{"x-v1": ONE, "x-latest": ONE})

    execution = await world.run(policy, event("DELETE", "v1"), event("DELETE", "latest"))

    assert world.tags("b", "m/x") == {"x-latest": ONE}
    (task,) = await world.tasks(execution)
    assert (task.operation, task.source_repository, task.destination_repository) == (Operation.DELETE, "x", "m/x")


async def test_without_the_policys_word_nothing_is_deleted(world: World) -> None:
    policy = world.policy("p", "a", "b")
    world.push("b", "x", v1=ONE)
    execution = await world.run(policy, event("DELETE", "v1"))
    assert (world.tags("b", "x"), execution.task_counts.total) == ({"v1": ONE}, 0)


async def test_what_is_at_the_source_again_stays(world: World) -> None:
    policy = world.policy("p", "a", "b", **DELETES)
    world.push("a", "x", v1=TWO)
    world.push("b", "x", v1=ONE)
    await world.run(policy, event("DELETE", "v1", ONE))
    assert world.tags("b", "x") == {"v1": ONE}


async def test_what_cannot_be_looked_up_fails_and_stays(world: World) -> None:
    policy = world.policy("p", "a", "b", **DELETES)
    world.push("a", "x", other=ONE)
    world.push("b", "x", v1=ONE)
    world.unreadable = {"x"}
    execution = await world.run(policy, event("DELETE", "v1"))
    assert (world.tags("b", "x"), reasons(await world.tasks(execution))) == ({"v1": ONE}, {"FAILED": "ACCESS_DENIED"})


async def test_a_digest_that_was_deleted_takes_the_tags_with_it_that_we_brought(world: World) -> None:
    """And those that we found there; less the one that was changed there, and the one that the source still has."""
    policy = world.policy("p", "a", "b", mapping={"tag": "{tag}-x"}, **DELETES)
    world.push("b", "x", **{"v0-x": ONE})
    world.push("a", "x", v0=ONE, v1=ONE, v2=ONE, v3=ONE, w=TWO)
    await world.deliver()
    world.push("b", "x", **{"v2-x": TWO, "own": ONE})
    world.delete("a", "x", "v0", "v1", "v2", by_digest=True)

    await world.run(policy, event("DELETE", digest=ONE))

    assert world.tags("b", "x") == {"v2-x": TWO, "v3-x": ONE, "w-x": TWO, "own": ONE}


@pytest.mark.parametrize("rule", [{"filters": [a_filter("LABEL", "*")]}, {"newest": {"order": "ORDER_SEMVER"}}])
async def test_where_only_the_registry_knew_what_passes_a_deletion_takes_what_we_brought(
    world: World, rule: dict[str, Any]
) -> None:
    policy = world.policy("p", "a", "b", mapping={"namespace": "m"}, **rule, **DELETES)
    world.push("a", "x", v1=ONE, v2=ONE)
    await world.deliver()
    world.push("b", "m/x", v2=TWO, v3=TWO)

    await world.run(policy, *(event("DELETE", tag) for tag in ("v1", "v2", "v3")))
    assert world.tags("b", "m/x") == {"v1": ONE, "v2": TWO, "v3": TWO}  # the source has the first two still
    world.delete("a", "x", "v1", "v2")
    await world.deliver()

    assert world.tags("b", "m/x") == {"v2": TWO, "v3": TWO}


async def test_what_has_one_digest_is_deleted_by_one_task(world: World) -> None:
    """A registry that can delete digests only deletes all tags of one or none."""
    policy = world.policy("p", "a", "b", **DELETES)
    world.push("a", "x", v1=ONE, v2=TWO, v3=ONE, v4=ONE)
    await world.deliver()
    world.delete("a", "x", "v1", "v3", "v4", by_digest=True)
    world.events.clear()

    await world.start(policy, event("DELETE", "v3"), event("DELETE", digest=ONE))
    await world.list_one()

    (job,) = await world.jobs.claim_tasks(10, world.clock.now())
    assert [(each.tag, each.digest) for each in job.references] == [("v3", ""), ("v1", ONE), ("v4", ONE)]


async def test_a_deletion_that_failed_is_retried(world: World) -> None:
    policy = world.policy("p", "a", "b", **DELETES)
    world.push("b", "x", v1=ONE)
    world.failing = True
    failed = await world.run(policy, event("DELETE", "v1"))
    world.failing = False

    await world.executions.retry(failed.id, world.clock.now())
    await world.work()

    assert (failed.state, (await world.executions.get(failed.id)).state, world.tags("b", "x")) == (
        ExecutionState.FAILED,
        ExecutionState.SUCCEEDED,
        {},
    )


async def test_what_somebody_takes_back_to_what_we_once_brought_is_told_on(world: World) -> None:
    """Our own copy is known by its digest only until something else was seen at its place."""
    world.policy("there", "a", "b")
    world.policy("back", "b", "a")
    world.push("a", "x", v1=ONE)
    await world.deliver()
    world.push("b", "x", v1=TWO)
    await world.deliver()
    world.push("b", "x", v1=ONE)
    await world.deliver()
    assert (world.tags("a", "x"), world.tags("b", "x")) == ({"v1": ONE}, {"v1": ONE})


def a_ring(world: World) -> None:
    for source, destination in (("a", "b"), ("b", "c"), ("c", "a")):
        world.policy(source, source, destination)


async def everywhere(world: World, at: str, digest: str) -> None:
    """Somebody pushes this at one of the three; it must come to the other two, in one copy each."""
    world.copied.clear()
    world.push(at, "x", v1=digest)
    *_, last = await world.deliver()
    assert [world.tags(each, "x") for each in "abc"] == [{"v1": digest}] * 3
    assert len(world.copied) == 2
    assert reasons(await world.tasks(last)) == {"SKIPPED": "EVENT_RETURNS"}


@pytest.mark.parametrize("pushes", ["aca", "cac", "acca", "acaba", "abcabc", "acbacb", "ccc"])
async def test_in_a_ring_a_push_comes_to_all_and_goes_round_once(world: World, pushes: str) -> None:
    """Each takes the tag back to the digest before the last one, which our own copies have brought already."""
    a_ring(world)
    for count, at in enumerate(pushes):
        await everywhere(world, at, (ONE, TWO)[count % 2])


async def test_what_both_ends_have_had_from_elsewhere_is_taken_back_by_one(world: World) -> None:
    """No copy was needed to bring the other digest to both, and still our own copy is not what is there."""
    world.policy("there", "a", "b")
    world.policy("back", "b", "a")
    world.push("a", "x", v1=ONE)
    await world.deliver()
    world.tags("b", "x")["v1"] = TWO
    world.push("a", "x", v1=TWO)
    world.push("b", "x", v1=TWO)
    await world.deliver()
    world.push("b", "x", v1=ONE)
    await world.deliver()
    assert (world.tags("a", "x"), world.tags("b", "x")) == ({"v1": ONE}, {"v1": ONE})
