"""Mapping: Harbor's namespace rule, the destination's path rule, and no two sources in one place."""

import pytest

from replication.collisions import Collision, CollisionDetector, Placement, find_collisions
from replication.mapping import Mapping, MappingInvalid, PathRule, PathRuleViolated


@pytest.mark.parametrize(
    ("source", "namespace", "repository", "mapped"),
    [
        ("library/nginx", None, None, "library/nginx"),
        ("a/b/c/image", "mirror", None, "mirror/image"),
        ("image", "team/mirror", None, "team/mirror/image"),
        ("library/nginx", None, "web", "web"),
    ],
)
def test_mapping(source: str, namespace: str | None, repository: str | None, mapped: str) -> None:
    assert Mapping(namespace=namespace or "", repository=repository or "").map_repository(source, registry="") == mapped


@pytest.mark.parametrize(
    ("source", "namespace"),
    [("Library/nginx", None), ("a//b", None), ("", None), ("x", "n" * 254), ("nginx", "Mirror"), ("a/b\n", "m")],
)
def test_a_name_that_the_specification_forbids_is_refused(source: str, namespace: str | None) -> None:
    with pytest.raises(MappingInvalid) as caught:
        Mapping(namespace=namespace or "").map_repository(source, registry="")

    assert caught.value.repository == (source if namespace is None else f"{namespace}/{source.rpartition('/')[2]}")


@pytest.mark.parametrize(
    ("rule", "accepted", "refused", "words"),
    [
        (PathRule(), ["a", "a/b/c"], [], "at least 1 path components"),
        (PathRule(min_components=2), ["a/b", "a/b/c"], ["a"], "at least 2 path components"),
        (PathRule(min_components=2, max_components=2), ["a/b"], ["a", "a/b/c"], "exactly 2 path components"),
        (PathRule(min_components=1, max_components=2), ["a", "a/b"], ["a/b/c"], "1 to 2 path components"),
    ],
)
def test_path_rule(rule: PathRule, accepted: list[str], refused: list[str], words: str) -> None:
    for name in accepted:
        rule.check(name)
    for name in refused:
        with pytest.raises(PathRuleViolated) as caught:
            rule.check(name)
        assert (caught.value.repository, caught.value.rule) == (name, words)
    assert str(rule) == words


def placed(source: str, *, registry: str = "registries/b", repository: str = "m/nginx") -> Placement:
    return Placement(source=source, registry=registry, repository=repository)


def test_a_collision_is_told_as_soon_as_it_happens_and_names_all_sources() -> None:
    detector = CollisionDetector()

    told = [detector.add(placed(source)) for source in ("a/nginx", "b/nginx", "c/nginx", "b/nginx", "a/nginx")]

    assert told == [None, "a/nginx", "a/nginx", "a/nginx", None]
    assert [each.sources for each in detector.collisions()] == [("a/nginx", "b/nginx", "c/nginx")]


def test_more_tags_of_one_repository_do_not_collide() -> None:
    assert find_collisions([placed("a/nginx"), placed("a/nginx")]) == []


def test_one_repository_may_go_to_many_places_and_one_name_to_many_registries() -> None:
    placements = [
        placed("a/nginx"),
        placed("b/nginx", registry="registries/c"),
        placed("a/nginx", repository="elsewhere"),
    ]

    assert find_collisions(placements) == []


def test_collisions_are_found_for_each_destination() -> None:
    found = find_collisions([placed("a/nginx"), placed("x", repository="y"), placed("b/nginx")])

    assert found == [Collision(registry="registries/b", repository="m/nginx", sources=("a/nginx", "b/nginx"))]
