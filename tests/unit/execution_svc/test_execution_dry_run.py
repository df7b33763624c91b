"""What a dry run tells, and how much it has in hand."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest

from execution_svc.domain.plan import (
    Action,
    NamespaceCreation,
    PlannedAction,
    PlannedReference,
    PlanSummary,
    Remembered,
)
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Preparation, RepositoryFailure, Resource, ResourceBatch
from execution_svc.domain.transfer import Failure, Reference, Side
from execution_svc.domain.written import TagPlace
from execution_svc.dry_run.planner import (
    MESSAGES_AHEAD,
    PLANS_AT_ONCE,
    REFERENCES_PER_PLAN,
    SLICES_AHEAD,
    Found,
    Planner,
)
from execution_svc.flows.planning import Item
from replication.mapping import PathRule
from service_kit.clock import FakeClock
from service_kit.errors import Kind, RemoteError, ServiceError, ServiceUnavailable

DENIED = Failure(reason="ACCESS_DENIED", message="no")


def a_document(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "policies/p",
        "source_registry": "registries/a",
        "destinations": [{"registry": "registries/b"}],
    }
    return {**given, **changes}


class FakePolicies:
    def __init__(self) -> None:
        self.document = a_document()

    async def get(self, name: str) -> Policy:
        return Policy.of_document(self.document)

    async def checked(self, policy: Policy) -> Policy:
        return policy


class FakeCatalog:
    """Lists a batch for each repository, and counts how far it was read."""

    def __init__(self) -> None:
        self.resources: list[Resource] = []
        self.failures: list[RepositoryFailure] = []
        self.told = Preparation()
        self.rule = PathRule()
        self.broken: ServiceError | None = None
        self.listed = 0
        self.closed = False
        self.previewed: Counter[str] = Counter()

    async def list_resources(self, policy: Policy) -> AsyncGenerator[ResourceBatch, None]:
        try:
            for each in self.resources:
                self.listed += 1
                yield ResourceBatch(resources=(each,))
            if self.broken:
                raise self.broken
            yield ResourceBatch(failures=tuple(self.failures))
        finally:
            self.closed = True

    async def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncGenerator[ResourceBatch, None]:
        yield ResourceBatch()

    async def path_rule(self, registry: str) -> PathRule:
        return self.rule

    async def preview(self, registry: str, repositories: Sequence[str]) -> Preparation:
        self.previewed.update(repositories)
        return self.told


class NothingWritten:
    async def written_by(self, policy: Policy, after: str, repositories: int) -> list[Remembered]:
        return []

    async def other_policies(self, policy: Policy, places: Sequence[TagPlace]) -> dict[TagPlace, str]:
        return {}


class FakeReplications:
    """Copies ten bytes for each reference."""

    def __init__(self) -> None:
        self.running = 0
        self.most = 0
        self.asked: list[int] = []
        self.broken: dict[str, ServiceError] = {}
        self.hold = asyncio.Event()
        self.hold.set()

    async def plan(
        self, policy: Policy, item: Item, references: Sequence[Reference]
    ) -> AsyncGenerator[list[PlannedReference], None]:
        self.running += 1
        self.most = max(self.most, self.running)
        self.asked.append(len(references))
        try:
            await self.hold.wait()
            await asyncio.sleep(0)
            if item.source_repository in self.broken:
                raise self.broken[item.source_repository]
            yield [PlannedReference(tag=each.tag, action=Action.COPY, bytes_to_move=10) for each in references]
        finally:
            self.running -= 1


@pytest.fixture
def policies() -> FakePolicies:
    return FakePolicies()


@pytest.fixture
def catalog() -> FakeCatalog:
    return FakeCatalog()


@pytest.fixture
def replications() -> FakeReplications:
    return FakeReplications()


@pytest.fixture
def planner(policies: FakePolicies, catalog: FakeCatalog, replications: FakeReplications) -> Planner:
    return Planner(policies, catalog, replications, NothingWritten(), FakeClock())


def a_resource(repository: str, *tags: str) -> Resource:
    return Resource(repository=repository, references=tuple(Reference(tag=tag) for tag in tags))


async def planned(planner: Planner) -> tuple[list[PlannedAction], PlanSummary]:
    actions: list[Found] = []
    summary = PlanSummary()
    async with aclosing(planner.plan("policies/p")) as messages:
        async for message in messages:
            actions += message
    for each in actions:
        summary = summary.plus(each)
    return [each for each in actions if isinstance(each, PlannedAction)], summary


def failures(actions: Sequence[PlannedAction]) -> dict[str, str]:
    return {each.source_repository: each.kind.reason for each in actions if isinstance(each.kind, Failure)}


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)


async def settled(progress: Callable[[], object]) -> None:
    """Waits until nothing moves any more."""
    seen, quiet = progress(), 0
    while quiet < 50:
        await asyncio.sleep(0)
        quiet = quiet + 1 if progress() == seen else 0
        seen = progress()


async def test_each_reference_is_told_once_with_the_sums(planner: Planner, catalog: FakeCatalog) -> None:
    catalog.resources = [a_resource("x", "1", "2"), a_resource("y", "1")]
    actions, summary = await planned(planner)
    assert summary == PlanSummary(references_to_copy=3, bytes_to_move=30)
    told = Counter(
        (each.source_repository, each.kind.tag) for each in actions if isinstance(each.kind, PlannedReference)
    )
    assert told == {("x", "1"): 1, ("x", "2"): 1, ("y", "1"): 1}
    assert {each.destination_repository for each in actions} == {"x", "y"}
    assert catalog.listed == 2  # no name can collide, so one listing is enough


async def test_nothing_to_do_is_a_plan(planner: Planner) -> None:
    assert await planned(planner) == ([], PlanSummary())


async def test_what_is_wrong_with_a_repository_is_its_failure(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications
) -> None:
    catalog.rule = PathRule(max_components=2)
    catalog.resources = [a_resource(name, "1", "2") for name in ("a/b/c", "good", "unprepared", "odd")]
    catalog.failures = [RepositoryFailure(repository="secret", failure=DENIED)]
    catalog.told = Preparation(failures={"unprepared": DENIED})
    replications.broken["odd"] = RemoteError.of(Kind.INVALID_ARGUMENT, message="", reason="INVALID_REQUEST")

    actions, summary = await planned(planner)

    assert failures(actions) == {
        "a/b/c": "PATH_RULE_VIOLATED",
        "unprepared": "ACCESS_DENIED",
        "secret": "ACCESS_DENIED",
        "odd": "INVALID_REQUEST",
    }
    assert (summary.failures, summary.references_to_copy) == (4, 2)


async def test_what_is_for_a_proxy_cache_is_skipped(planner: Planner, catalog: FakeCatalog) -> None:
    catalog.resources = [a_resource("x", "1", "2")]
    catalog.told = Preparation(excluded={"x": DENIED})
    actions, summary = await planned(planner)
    assert summary == PlanSummary(references_skipped=2)
    assert [each.kind.failure for each in actions if isinstance(each.kind, PlannedReference)] == [
        Failure(reason="ACCESS_DENIED", message="no", side=Side.DESTINATION)
    ] * 2


async def test_a_namespace_is_created_once_and_a_name_asked_about_once(planner: Planner, catalog: FakeCatalog) -> None:
    catalog.resources = [a_resource("x", "1"), a_resource("x", "2"), a_resource("y", "1")]
    catalog.told = Preparation(created_namespaces=("mirror",))
    actions, summary = await planned(planner)
    assert summary.namespaces_to_create == 1
    assert [each.kind for each in actions if isinstance(each.kind, NamespaceCreation)] == [
        NamespaceCreation(namespace="mirror")
    ]
    assert catalog.previewed == {"x": 1, "y": 1}


async def test_both_sides_of_a_collision_fail(planner: Planner, policies: FakePolicies, catalog: FakeCatalog) -> None:
    policies.document = a_document(destinations=[{"registry": "registries/b", "namespace": "m"}])
    catalog.resources = [a_resource("x/one", "1"), a_resource("x/two", "1"), a_resource("y/one", "1")]
    actions, summary = await planned(planner)
    assert failures(actions) == {"x/one": "DESTINATION_COLLISION", "y/one": "DESTINATION_COLLISION"}
    assert (summary.failures, summary.references_to_copy) == (2, 1)


async def test_a_huge_repository_is_asked_about_in_portions(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications
) -> None:
    catalog.resources = [a_resource("x", *(f"v{n}" for n in range(2 * REFERENCES_PER_PLAN + 1)))]
    _, summary = await planned(planner)
    assert sorted(replications.asked) == [1, REFERENCES_PER_PLAN, REFERENCES_PER_PLAN]
    assert summary.references_to_copy == 2 * REFERENCES_PER_PLAN + 1


async def test_only_so_many_are_asked_about_at_once(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications
) -> None:
    catalog.resources = [a_resource(f"r{n}", "1") for n in range(100)]
    await planned(planner)
    assert replications.most == PLANS_AT_ONCE


async def test_a_slow_jobservice_holds_the_listing_back(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications
) -> None:
    """Of 10,000 repositories only those are in memory that the stages have in hand."""
    catalog.resources = [a_resource(f"r{n}", "1") for n in range(10_000)]
    replications.hold.clear()
    work = asyncio.create_task(planned(planner))
    await settled(lambda: catalog.listed)
    assert catalog.listed <= PLANS_AT_ONCE + SLICES_AHEAD + 2
    replications.hold.set()
    _, summary = await work
    assert summary.references_to_copy == 10_000


async def test_a_slow_reader_holds_everything_back(planner: Planner, catalog: FakeCatalog) -> None:
    catalog.resources = [a_resource(f"r{n}", "1") for n in range(10_000)]
    async with aclosing(planner.plan("policies/p")) as messages:
        await anext(messages)
        await settled(lambda: catalog.listed)
        assert catalog.listed <= MESSAGES_AHEAD + PLANS_AT_ONCE + SLICES_AHEAD + 4


async def test_a_plan_that_nobody_reads_any_more_ends(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications
) -> None:
    catalog.resources = [a_resource(f"r{n}", "1") for n in range(100)]
    async with aclosing(planner.plan("policies/p")) as messages:
        await anext(messages)
        replications.hold.clear()
        await settled(lambda: catalog.listed)
        assert replications.running
    assert (replications.running, catalog.closed) == (0, True)


async def test_a_cancelled_plan_ends_what_it_has_begun(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications
) -> None:
    catalog.resources = [a_resource(f"r{n}", "1") for n in range(100)]
    replications.hold.clear()
    work = asyncio.create_task(planned(planner))
    await until(lambda: replications.running == PLANS_AT_ONCE)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert (replications.running, catalog.closed) == (0, True)


@pytest.mark.parametrize("repositories", [0, 3, 100])
async def test_a_listing_that_breaks_ends_the_plan(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications, repositories: int
) -> None:
    catalog.resources = [a_resource(f"r{n}", "1") for n in range(repositories)]
    catalog.broken = RemoteError.of(Kind.FAILED_PRECONDITION, message="", reason="REGISTRY_UNREACHABLE")
    with pytest.raises(ExceptionGroup) as caught:
        await planned(planner)
    assert [getattr(each, "reason", "") for each in caught.value.exceptions] == ["REGISTRY_UNREACHABLE"]
    assert replications.running == 0


async def test_a_jobservice_that_is_away_ends_the_plan(
    planner: Planner, catalog: FakeCatalog, replications: FakeReplications
) -> None:
    catalog.resources = [a_resource("x", "1")]
    replications.broken["x"] = ServiceUnavailable(service="jobservice")
    with pytest.raises(ExceptionGroup):
        await planned(planner)


@pytest.mark.parametrize(
    ("action", "summary"),
    [
        (Action.COPY, PlanSummary(references_to_copy=1, bytes_to_move=5)),
        (Action.UNCHANGED, PlanSummary(references_unchanged=1)),
        (Action.SKIP, PlanSummary(references_skipped=1)),
        (Action.DELETE, PlanSummary(tags_to_delete=1)),
        (Action.FAIL, PlanSummary(failures=1)),
    ],
)
def test_every_action_has_its_sum(action: Action, summary: PlanSummary) -> None:
    planned = PlannedReference(tag="1", action=action, bytes_to_move=5)
    assert PlanSummary().plus(PlannedAction(destination_registry="b", kind=planned)) == summary
