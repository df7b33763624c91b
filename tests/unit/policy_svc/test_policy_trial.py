"""What a policy would pick of candidates, and where these would go."""

from dataclasses import replace
from datetime import timedelta

import pytest

from policy_svc.domain.policy import Destination, PolicySpec
from policy_svc.domain.trial import Artifact, Listing, Router, Target, try_candidates
from replication.filters import Action, Dimension
from replication.mapping import PathRule
from replication.newest import Newest, Order
from replication.rejection import Cause
from tests.policies import NOW, a_rule, a_spec

BACKUP = "registries/backup"


def tried(spec: PolicySpec, *names: str) -> Listing:
    return try_candidates(spec, [Artifact(*name.split(":")) for name in names], NOW)


def passed(listing: Listing) -> list[str]:
    return [f"{each.repository}:{each.tag}" for each in listing.passed]


def rejected(listing: Listing) -> list[tuple[str, str, Cause, int | None]]:
    return [
        (each.artifact.repository, each.artifact.tag, each.rejection.cause, each.rejection.filter_index)
        for each in listing.rejected
    ]


def test_each_rejection_names_the_filter_in_the_policys_own_list() -> None:
    spec = a_spec(
        filters=[
            a_rule("signed", Dimension.LABEL),
            a_rule("a/**"),
            a_rule("*-test", Dimension.TAG, Action.EXCLUDE),
            a_rule("a/old", action=Action.EXCLUDE),
        ]
    )

    listing = tried(spec, "a/x:1", "a/x:1-test", "a/x", "b:1", "b:2", "a/old:1", "a/x:1")

    assert passed(listing) == ["a/x:1", "a/x:"]
    assert rejected(listing) == [
        ("a/x", "1-test", Cause.EXCLUDED, 2),
        ("b", "", Cause.NOT_INCLUDED, 1),
        ("a/old", "", Cause.EXCLUDED, 3),
    ]
    assert all(each.rejection.message for each in listing.rejected)


def test_the_newest_versions_of_each_repository_are_kept() -> None:
    spec = replace(a_spec(), newest=Newest(order=Order.SEMVER, count=1))

    listing = tried(spec, "a:1.0", "a:1.1", "a:latest", "b:0.9")

    assert passed(listing) == ["a:1.1", "b:0.9"]
    assert {(name, tag) for name, tag, _, _ in rejected(listing)} == {("a", "1.0"), ("a", "latest")}
    assert {cause for _, _, cause, _ in rejected(listing)} == {Cause.NOT_NEWEST}


def test_nothing_is_said_of_what_only_a_registry_knows() -> None:
    newest = Newest(order=Order.CREATE_TIME, count=1, max_age=timedelta(days=1))
    spec = replace(a_spec(filters=[a_rule("chart", Dimension.RESOURCE_TYPE)]), newest=newest)

    assert passed(tried(spec, "a:1", "a:2")) == ["a:1", "a:2"]


@pytest.mark.parametrize("name", ["A/b:1", "a//b:1", "a:.1", "a\0:1"])
def test_what_is_no_name_is_rejected(name: str) -> None:
    listing = tried(a_spec(), name)

    assert passed(listing) == []
    assert [cause for _, _, cause, _ in rejected(listing)] == [Cause.NOT_REPLICATED]


def routed(destination: Destination, *artifacts: Artifact, path_rule: PathRule | None = None) -> list[Target]:
    router = Router(a_spec(destination), {BACKUP: path_rule} if path_rule else {})
    return [router.route(each).targets[0] for each in artifacts]


def test_a_match_has_a_target_for_each_destination() -> None:
    spec = a_spec(
        Destination(registry=BACKUP, template="{registry}/{path}", tag="{name}-{tag}"),
        Destination(registry="registries/third"),
    )

    match = Router(spec, {}).route(Artifact("a/x", "1"))

    assert match.targets == (
        Target(registry=BACKUP, repository="hub/a/x", tag="x-1"),
        Target(registry="registries/third", repository="a/x", tag="1"),
    )


@pytest.mark.parametrize(
    ("destination", "artifact", "words"),
    [
        (Destination(registry=BACKUP, namespace="n", replace_count=3), Artifact("a/x", "1"), "to replace"),
        (Destination(registry=BACKUP, namespace="n" * 254), Artifact("a/x", "1"), "not a repository name"),
        (Destination(registry=BACKUP, tag="{namespace}-{tag}"), Artifact("x", "1"), "not a tag"),
    ],
)
def test_a_mapping_that_gives_no_name_is_told(destination: Destination, artifact: Artifact, words: str) -> None:
    [target] = routed(destination, artifact)

    assert target.failure is not None
    assert (target.failure.reason, target.failure.metadata) == (
        "MAPPING_INVALID",
        {"repository": artifact.repository},
    )
    assert words in target.failure.message
    assert target.repository == ""


def test_a_path_that_the_destination_does_not_take_is_told() -> None:
    [short, right] = routed(
        Destination(registry=BACKUP), Artifact("x", "1"), Artifact("a/x", "1"), path_rule=PathRule(min_components=2)
    )

    assert short.failure is not None
    assert (short.repository, short.failure.reason) == ("x", "PATH_RULE_VIOLATED")
    assert short.failure.metadata == {"repository": "x", "rule": "at least 2 path components"}
    assert right.failure is None


def test_two_repositories_on_one_place_are_told() -> None:
    [first, again, second] = routed(
        Destination(registry=BACKUP, namespace="n"), Artifact("a/x", "1"), Artifact("a/x", "2"), Artifact("b/x", "1")
    )

    assert (first.failure, again.failure) == (None, None)
    assert second.failure is not None
    assert second.failure.reason == "DESTINATION_COLLISION"
    assert second.failure.metadata == {"repository": "n/x", "sources": "a/x, b/x"}


def test_where_tags_get_other_names_two_tags_on_one_place_are_told_and_two_repositories_may_share_one() -> None:
    [one, other, same] = routed(
        Destination(registry=BACKUP, namespace="n", tag="{namespace}-{tag}"),
        Artifact("a/x", "b-1"),
        Artifact("b/x", "1"),
        Artifact("a-b/x", "1"),
    )

    assert [(each.repository, each.tag) for each in (one, other, same)] == [
        ("n/x", "a-b-1"),
        ("n/x", "b-1"),
        ("n/x", "a-b-1"),
    ]
    assert (one.failure, other.failure) == (None, None)
    assert same.failure is not None
    assert same.failure.metadata == {"repository": "n/x:a-b-1", "sources": "a/x:b-1, a-b/x:1"}
