"""A plan deletes what the run after it deletes, and nothing more."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any

import pytest

from execution_svc.domain.plan import Action, PlannedAction, PlannedReference, PlanSummary
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Preparation, Resource, ResourceBatch
from execution_svc.domain.transfer import Reference
from execution_svc.dry_run import prune
from execution_svc.dry_run.planner import Planner
from execution_svc.dry_run.prune import REPOSITORIES_PER_LOOK
from execution_svc.flows.planning import Item
from execution_svc.flows.prune import FAILURES_MESSAGE, GUARDED_MESSAGE
from execution_svc.postgres import PostgresWrittenPages
from replication.mapping import PathRule
from service_kit.clock import Clock
from service_kit.database import open_pool
from tests.integration.execution_svc.execution_world import World
from tests.postgres import Database


class Views:
    """A world as a plan sees it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get(self, name: str) -> Policy:
        return next(each for each in self._world.policies if each.name == name)

    async def checked(self, policy: Policy) -> Policy:
        return policy

    async def list_resources(self, policy: Policy) -> AsyncGenerator[ResourceBatch, None]:
        async for batch in self._world.list_resources(policy):
            yield batch

    async def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncGenerator[ResourceBatch, None]:
        async for batch in self._world.list_present(registry, within):
            yield batch

    async def path_rule(self, registry: str) -> PathRule:
        return PathRule()

    async def preview(self, registry: str, repositories: Sequence[str]) -> Preparation:
        return Preparation()

    async def plan(
        self, policy: Policy, item: Item, references: Sequence[Reference]
    ) -> AsyncGenerator[list[PlannedReference], None]:
        yield [PlannedReference(tag=each.tag, action=Action.UNCHANGED) for each in references]


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield World(pool=pool)


class Ticking:
    """A clock that goes on while somebody works, as real ones do."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._passed = timedelta()

    def now(self) -> datetime:
        self._passed += timedelta(microseconds=1)
        return self._clock.now() + self._passed


async def planned_actions(world: World, policy: Policy) -> dict[tuple[str, str], tuple[Action, str]]:
    """What would become of tags that the source has no more, by repository and tag there; and why."""
    view = Views(world)
    planner = Planner(view, view, view, PostgresWrittenPages(world.pool), Ticking(world.clock))
    actions: dict[tuple[str, str], tuple[Action, str]] = {}
    async with aclosing(planner.plan(policy.name)) as messages:
        async for found in messages:
            for each in found:
                match each:
                    case PlannedAction(kind=PlannedReference(action=Action.DELETE | Action.SKIP) as planned):
                        reason = planned.failure.reason if planned.failure else ""
                        actions[each.destination_repository, planned.destination_tag] = (planned.action, reason)
    return actions


async def planned(world: World, policy: Policy) -> tuple[list[tuple[str, str]], PlanSummary]:
    """What would be deleted, by repository and tag there; and the sums."""
    view = Views(world)
    planner = Planner(view, view, view, PostgresWrittenPages(world.pool), Ticking(world.clock))
    summary = PlanSummary()
    deletions = []
    async with aclosing(planner.plan(policy.name)) as messages:
        async for found in messages:
            for each in found:
                summary = summary.plus(each)
                match each:
                    case PlannedAction(kind=PlannedReference(action=Action.DELETE, destination_tag=tag)):
                        deletions.append((each.destination_repository, tag))
    assert summary.tags_to_delete == len(deletions)
    return deletions, summary


async def mirrored(world: World, **changes: Any) -> Policy:
    """A policy that prunes, after a run that has copied three repositories with five tags each."""
    policy = pruning(world, **changes)
    for repository in ("x", "y", "z"):
        world.push("a", repository, **{f"v{n}": f"d{n}" for n in range(5)})
    await world.run(policy)
    return policy


def pruning(world: World, name: str = "p", **changes: Any) -> Policy:
    prune = changes.pop("prune", {"max_percent": 100})
    return world.policy(name, "a", "b", deletion={"prune": prune}, **changes)


async def held(world: World, policy: Policy) -> list[tuple[str, str]]:
    """What is planned, held against what is then done."""
    deletions, _ = await planned(world, policy)
    assert world.deleted == []
    await world.run(policy)
    assert sorted(deletions) == sorted((repository, tag) for _, repository, tag in world.deleted)
    return sorted(deletions)


async def test_what_is_missing_would_be_deleted(world: World) -> None:
    policy = await mirrored(world)
    world.delete("a", "x", "v1", "v2")
    world.registries["registries/a"].pop("y")
    world.push("b", "x", own="d")
    assert await held(world, policy) == [("x", "v1"), ("x", "v2"), *(("y", f"v{n}") for n in range(5))]


async def test_nothing_missing_is_nothing_to_delete(world: World) -> None:
    assert await held(world, await mirrored(world)) == []


async def test_a_mapped_tag_is_named_as_it_is_there(world: World) -> None:
    policy = await mirrored(world, mapping={"tag": "{tag}-m"})
    world.delete("a", "x", "v1")
    assert await held(world, policy) == [("x", "v1-m")]


async def test_a_narrower_filter_deletes_nothing(world: World) -> None:
    await mirrored(world)
    assert await held(world, pruning(world, filters=[{"dimension": "DIMENSION_TAG", "glob": "v1"}])) == []


async def test_what_others_wrote_stays(world: World) -> None:
    await mirrored(world)
    world.delete("a", "x", "v1")
    assert await held(world, pruning(world, name="q")) == []


@pytest.mark.parametrize("prune", [{"max_percent": 20}, {"max_tags": 1}])
async def test_the_guard_speaks_as_in_a_run(world: World, prune: dict[str, int]) -> None:
    policy = await mirrored(world, prune=prune)
    world.delete("a", "x", "v1", "v2")
    _, summary = await planned(world, policy)
    assert summary.prune_guard.startswith(GUARDED_MESSAGE)
    assert await held(world, policy) == []


async def test_within_the_guard_it_is_silent(world: World) -> None:
    policy = await mirrored(world, prune={"max_percent": 40, "max_tags": 2})
    world.delete("a", "x", "v1", "v2")
    _, summary = await planned(world, policy)
    assert summary.prune_guard == ""
    assert await held(world, policy) == [("x", "v1"), ("x", "v2")]


async def test_grace_is_given_from_when_a_run_has_missed_it(world: World) -> None:
    policy = await mirrored(world, prune={"max_percent": 100, "grace_period": "3600s"})
    world.delete("a", "x", "v1")
    assert await held(world, policy) == []
    world.clock.advance(timedelta(hours=2))
    assert await held(world, policy) == [("x", "v1")]


async def test_a_listing_with_failures_deletes_nothing(world: World) -> None:
    policy = await mirrored(world)
    world.delete("a", "x", "v1")
    world.unreadable.add("z")
    _, summary = await planned(world, policy)
    assert summary.prune_guard == FAILURES_MESSAGE
    assert await held(world, policy) == []


async def test_all_pages_are_looked_at(world: World) -> None:
    policy = pruning(world)
    names = [f"r{n:03}" for n in range(2 * REPOSITORIES_PER_LOOK + 1)]
    for name in names:
        world.push("a", name, v="d")
    await world.run(policy)
    for name in names[::50]:
        world.delete("a", name, "v")
    assert await held(world, policy) == [(name, "v") for name in names[::50]]


async def test_what_comes_to_the_same_place_from_elsewhere_stays(world: World) -> None:
    policy = await mirrored(world, mapping={"namespace": "m"})
    world.registries["registries/a"]["team/x"] = world.registries["registries/a"].pop("x")
    world.delete("a", "team/x", "v1")
    assert await held(world, policy) == [("m/x", "v1")]


async def test_what_is_gone_or_changed_at_the_destination_is_planned_as_it_is_done(world: World) -> None:
    policy = await mirrored(world)
    world.push("b", "x", v0="else")
    del world.tags("b", "x")["v1"]
    world.delete("a", "x", "v0", "v1", "v2")

    actions = await planned_actions(world, policy)
    await world.run(policy)

    assert actions == {("x", "v0"): (Action.SKIP, "TAG_CHANGED"), ("x", "v2"): (Action.DELETE, "")}
    assert world.deleted == [("registries/b", "x", "v2")]


async def test_many_deletions_are_looked_at_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune, "TAGS_PER_LOOK", 2)
    policy = await mirrored(world)
    for repository in ("x", "y"):
        world.delete("a", repository, *(f"v{n}" for n in range(5)))
    world.looked.clear()

    deletions, _ = await planned(world, policy)

    assert sorted(deletions) == [(repository, f"v{n}") for repository in ("x", "y") for n in range(5)]
    looks = [{each.repository: len(each.references) for each in within} for within in world.looked[-3:]]
    assert looks == [{"x": 2, "y": 2}, {"x": 2, "y": 2}, {"x": 1, "y": 1}]
