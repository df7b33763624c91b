"""From a listing to tasks: pure functions."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_svc.domain.execution import ExecutionId
from execution_svc.domain.policy import Destination, Policy
from execution_svc.domain.resource import RepositoryFailure, Resource, ResourceBatch
from execution_svc.domain.task import Collision, TaskState
from execution_svc.domain.transfer import Failure, Reference, Side
from execution_svc.flows.planning import (
    REFERENCES_PER_TASK,
    SOURCES_TOLD,
    Item,
    collision_failure,
    map_batch,
    plan_tasks,
    settle_unprepared,
)
from replication.mapping import Mapping, PathRule
from replication.rewriting import RegexRewrite

EXECUTION = ExecutionId("e")
ANY_PATH = PathRule()
DENIED = Failure(reason="ACCESS_DENIED", message="no")


def a_policy(*destinations: Destination) -> Policy:
    return Policy(
        name="policies/p",
        source_registry="registries/a",
        destinations=destinations or (Destination(registry="registries/b"),),
        override=False,
        disabled=False,
        document={},
    )


def a_resource(repository: str, *tags: str) -> Resource:
    return Resource(repository=repository, references=tuple(Reference(tag=tag) for tag in tags))


def an_item(*tags: str, failure: Failure | None = None) -> Item:
    return Item(
        destination_index=0,
        destination_registry="registries/b",
        source_repository="x",
        destination_repository="x",
        references=tuple(Reference(tag=tag) for tag in tags),
        failure=failure,
    )


def reasons(items: list[Item]) -> list[str]:
    return [item.failure.reason if item.failure else "" for item in items]


def test_each_repository_goes_to_each_destination() -> None:
    policy = a_policy(
        Destination(registry="registries/b"), Destination(registry="registries/c", names=Mapping(namespace="m"))
    )
    batch = ResourceBatch(resources=(a_resource("library/x", "1"),))

    items = map_batch(policy, [ANY_PATH, ANY_PATH], batch)

    assert [(item.destination_registry, item.destination_repository) for item in items] == [
        ("registries/b", "library/x"),
        ("registries/c", "m/x"),
    ]


def test_a_path_that_the_destination_does_not_take_fails_its_item() -> None:
    batch = ResourceBatch(resources=(a_resource("a/b", "1"), a_resource("a/b/c", "1")))

    items = map_batch(a_policy(), [PathRule(min_components=2, max_components=2)], batch)

    assert reasons(items) == ["", "PATH_RULE_VIOLATED"]
    assert items[1].failure is not None
    assert items[1].failure.metadata == {"repository": "a/b/c", "rule": "exactly 2 path components"}


def test_a_name_that_is_none_fails_its_item() -> None:
    items = map_batch(a_policy(), [ANY_PATH], ResourceBatch(resources=(a_resource("Upper", "1"),)))
    assert reasons(items) == ["MAPPING_INVALID"]


def test_a_path_that_is_too_short_fails_its_item() -> None:
    policy = a_policy(Destination(registry="registries/b", names=Mapping(namespace="n", replace_count=2)))
    batch = ResourceBatch(resources=(a_resource("a/b/image", "1"), a_resource("b/image", "1")))
    items = map_batch(policy, [ANY_PATH], batch)
    assert ([item.destination_repository for item in items], reasons(items)) == (
        ["n/image", ""],
        ["", "MAPPING_INVALID"],
    )


def test_tags_are_mapped_and_one_that_is_none_fails_alone() -> None:
    names = Mapping(repository="all", tag="{namespace}-{name}-{tag}")
    policy = a_policy(Destination(registry="registries/b", names=names))
    batch = ResourceBatch(resources=(a_resource("x/y/nginx", "1", "t" * 128, ""),))

    good, bad = map_batch(policy, [ANY_PATH], batch)

    assert [each.destination_tag for each in good.references] == ["x-y-nginx-1", ""]
    assert (good.destination_repository, good.failure) == ("all", None)
    assert [each.tag for each in bad.references] == ["t" * 128]
    assert reasons([bad]) == ["MAPPING_INVALID"]


def test_a_policy_is_read_with_all_its_mappings() -> None:
    document = {
        "source_registry": "registries/a",
        "destinations": [
            {"registry": "registries/b", "namespace": "n", "replace_count": 0},
            {"registry": "registries/c", "template": "{path}", "tag": "{tag}-x"},
            {"registry": "registries/d", "rewrite": {"regex": "a", "replacement": "b"}},
            {"registry": "registries/e"},
        ],
    }
    policy = Policy.of_document(document)
    assert [each.names for each in policy.destinations] == [
        Mapping(namespace="n", replace_count=0),
        Mapping(template="{path}", tag="{tag}-x"),
        Mapping(rewrite=RegexRewrite(regex="a", replacement="b")),
        Mapping(),
    ]
    assert (policy.source_id, policy.registries_by_tag) == ("a", ["registries/c"])


def test_a_repository_without_references_is_no_item() -> None:
    assert not map_batch(a_policy(), [ANY_PATH], ResourceBatch(resources=(a_resource("x"),)))


def test_a_repository_that_cannot_be_listed_fails_without_references() -> None:
    batch = ResourceBatch(failures=(RepositoryFailure(repository="x", failure=DENIED),))

    (task,) = plan_tasks(EXECUTION, a_policy(), map_batch(a_policy(), [ANY_PATH], batch))

    assert (task.source_repository, task.references) == ("x", ())
    assert task.failure == replace(DENIED, side=Side.SOURCE)


def test_what_cannot_be_prepared_fails_unless_it_has_failed_before() -> None:
    before = Failure(reason="PATH_RULE_VIOLATED", message="")
    unprepared = {("registries/b", "x"): DENIED}
    items = settle_unprepared([an_item("1"), an_item("1", failure=before)], unprepared, {})
    assert [item.failure for item in items] == [replace(DENIED, side=Side.DESTINATION), before]


@pytest.mark.parametrize(("failed", "state"), [(False, TaskState.SKIPPED), (True, TaskState.FAILED)])
def test_what_is_excluded_is_skipped_unless_it_could_not_be_prepared(failed: bool, state: TaskState) -> None:
    place = {("registries/b", "x"): DENIED}
    items = settle_unprepared([an_item("1")], place if failed else {}, place)
    (task,) = plan_tasks(EXECUTION, a_policy(), items)
    assert (task.state, task.failure) == (state, replace(DENIED, side=Side.DESTINATION))


@given(st.integers(min_value=1, max_value=5 * REFERENCES_PER_TASK))
def test_slices_hold_each_reference_once(count: int) -> None:
    tasks = plan_tasks(EXECUTION, a_policy(), [an_item(*(f"v{n}" for n in range(count)))])

    assert [each.tag for task in tasks for each in task.references] == [f"v{n}" for n in range(count)]
    assert max(len(task.references) for task in tasks) <= REFERENCES_PER_TASK
    assert len({task.id for task in tasks}) == len(tasks)


def test_the_same_items_make_the_same_ids_and_others_make_others() -> None:
    def ids(execution: str, *tags: str) -> list[str]:
        return [task.id for task in plan_tasks(ExecutionId(execution), a_policy(), [an_item(*tags)])]

    assert ids("e", "1", "2") == ids("e", "1", "2")
    assert len({*ids("e", "1", "2"), *ids("e", "1", "3"), *ids("f", "1", "2")}) == 3


@pytest.mark.parametrize(
    ("destinations", "possible"),
    [
        ([Destination(registry="b")], False),
        ([Destination(registry="b"), Destination(registry="c")], False),
        ([Destination(registry="b", names=Mapping(repository="one/name"))], False),
        ([Destination(registry="b", names=Mapping(namespace="m"))], True),
        ([Destination(registry="b", names=Mapping(namespace="m", replace_count=0))], False),
        ([Destination(registry="b", names=Mapping(template="m/{registry}/{path}"))], False),
        ([Destination(registry="b", names=Mapping(template="{registry}/{name}"))], True),
        ([Destination(registry="b", names=Mapping(rewrite=RegexRewrite(regex="a", replacement="b")))], True),
        ([Destination(registry="b", names=Mapping(repository="one/name", tag="{tag}"))], True),
        ([Destination(registry="b"), Destination(registry="b", names=Mapping(repository="x"))], True),
    ],
)
def test_where_names_may_collide(destinations: list[Destination], possible: bool) -> None:
    assert a_policy(*destinations).collisions_possible is possible


def test_a_collision_names_all_its_sources() -> None:
    collision = Collision(destination_registry="b", destination_repository="m/x", sources=("z/x", "a/x"))

    failure = collision_failure(collision)

    assert (failure.reason, failure.side) == ("DESTINATION_COLLISION", Side.DESTINATION)
    assert failure.metadata == {"repository": "m/x", "sources": "a/x, z/x"}


def test_a_collision_of_very_many_names_some_and_counts_the_others() -> None:
    """Each of them fails with that, so naming all would grow with their square."""
    sources = tuple(f"r{n:04}" for n in range(SOURCES_TOLD + 5))

    failure = collision_failure(Collision(destination_registry="b", destination_repository="m/x", sources=sources))

    assert failure.metadata["sources"] == ", ".join(sources[:SOURCES_TOLD]) + " and 5 more"
