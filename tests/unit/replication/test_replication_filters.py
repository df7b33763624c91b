"""Filters: the last rule that matches decides, and the first says what happens to the rest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.errors import PatternInvalid
from replication.filters import Action, Dimension, FilterRule, MatcherMisplaced, Selection
from replication.matchers import MATCHERS, Glob, Matcher, Regex, Semver
from replication.rejection import Cause, Rejection


def name(glob: str, action: Action = Action.INCLUDE) -> FilterRule:
    return FilterRule(dimension=Dimension.NAME, action=action, matcher=Glob(glob))


def tag(glob: str, action: Action = Action.INCLUDE) -> FilterRule:
    return FilterRule(dimension=Dimension.TAG, action=action, matcher=Glob(glob))


def repositories(*rules: FilterRule) -> list[str]:
    selection = Selection.compile(rules)
    return [each for each in ("library/nginx", "library/redis", "other/nginx") if selection.repository_passes(each)]


def test_without_rules_everything_passes() -> None:
    assert repositories() == ["library/nginx", "library/redis", "other/nginx"]


def test_a_first_include_leaves_the_rest_out() -> None:
    assert repositories(name("library/*")) == ["library/nginx", "library/redis"]


def test_a_first_exclude_leaves_the_rest_in() -> None:
    assert repositories(name("library/*", Action.EXCLUDE)) == ["other/nginx"]


def test_the_last_match_decides() -> None:
    rules = [name("library/*"), name("library/n*", Action.EXCLUDE), name("library/nginx")]

    assert repositories(*rules) == ["library/nginx", "library/redis"]
    assert repositories(*rules[:2]) == ["library/redis"]


def test_rules_of_the_other_dimension_do_not_matter() -> None:
    assert repositories(tag("v1"), name("other/*")) == ["other/nginx"]


@pytest.mark.parametrize(("glob", "passes"), [("*", True), ("**", True), ("v*", False), ("?*", False)])
def test_an_untagged_artifact_is_the_empty_string(glob: str, passes: bool) -> None:
    assert Selection.compile([tag(glob)]).tag_passes("") is passes
    assert Selection.compile([tag(glob, Action.EXCLUDE)]).tag_passes("") is not passes


@pytest.mark.parametrize("matcher", [Glob("{v1"), Regex("(v1"), Semver("v1 -")])
def test_a_bad_pattern_is_refused(matcher: Matcher) -> None:
    with pytest.raises(PatternInvalid):
        Selection.compile([FilterRule(dimension=Dimension.TAG, matcher=matcher)])


def test_literal_repositories_join_the_rules_once_each() -> None:
    rules = [name("library/{nginx,redis}"), name("library/nginx"), tag("v*")]

    assert Selection.compile(rules).literal_repositories() == ["library/nginx", "library/redis"]


def test_names_that_no_registry_can_have_are_left_out() -> None:
    assert Selection.compile([name("{,Library/x,library/x}")]).literal_repositories() == ["library/x"]


@pytest.mark.parametrize(
    "rules",
    [
        [],
        [tag("v1")],
        [name("library/*")],
        [name("library/nginx"), name("library/r?dis")],
        [FilterRule(dimension=Dimension.NAME, matcher=Regex("library/nginx"))],
        [name("library/nginx", Action.EXCLUDE)],
        [name("library/nginx"), name("library/nginx", Action.EXCLUDE)],
        [name("{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}"), name("one-more")],
    ],
)
def test_other_rules_need_a_listing(rules: list[FilterRule]) -> None:
    assert Selection.compile(rules).literal_repositories() is None


def label(glob: str, action: Action = Action.INCLUDE) -> FilterRule:
    return FilterRule(dimension=Dimension.LABEL, action=action, matcher=Glob(glob))


def semver(text: str, action: Action = Action.INCLUDE) -> FilterRule:
    return FilterRule(dimension=Dimension.TAG, action=action, matcher=Semver(text))


def test_matchers_of_all_kinds_mix_in_one_dimension() -> None:
    rules = [semver(">=1.2 <2"), tag("1.3*", Action.EXCLUDE)]
    rules.append(FilterRule(dimension=Dimension.TAG, matcher=Regex(r"nightly-\d{8}")))
    selection = Selection.compile(rules)

    tags = ["1.2", "1.3.1", "1.4", "2.0", "nightly-20261124", "nightly", "1.4-rc", ""]
    assert [each for each in tags if selection.tag_passes(each)] == ["1.2", "1.4", "nightly-20261124"]


@pytest.mark.parametrize(
    ("rules", "labels", "passes"),
    [
        ([], [], True),
        ([label("prod")], ["prod", "x"], True),
        ([label("prod")], [], False),
        ([label("prod"), label("signed")], ["prod"], False),
        ([label("prod"), label("signed")], ["signed", "prod"], True),
        ([label("prod"), label("old*", Action.EXCLUDE)], ["prod", "older"], False),
        ([label("old*", Action.EXCLUDE), label("prod")], ["prod"], True),
        ([label("old", Action.EXCLUDE)], [], True),
        ([label("old", Action.EXCLUDE), label("old")], ["old"], False),
        ([tag("v1")], ["x"], True),
    ],
)
def test_each_include_wants_a_label_and_no_exclude_may_find_one(
    rules: list[FilterRule], labels: list[str], passes: bool
) -> None:
    selection = Selection.compile(rules)

    assert selection.labels_pass(labels) is passes
    assert (selection.reject_labels(labels) is None) is passes


def test_resource_types_are_as_names() -> None:
    selection = Selection.compile([FilterRule(dimension=Dimension.RESOURCE_TYPE, matcher=Glob("{image,chart}"))])

    assert [each for each in ("image", "chart", "wasm", "") if selection.resource_type_passes(each)] == [
        "image",
        "chart",
    ]
    assert selection.reject_resource_type("wasm") == Rejection(
        cause=Cause.NOT_INCLUDED,
        filter_index=0,
        message="the resource type 'wasm' does not match the glob '{image,chart}'",
    )


def test_a_rejection_names_the_filter_by_its_place_among_all() -> None:
    rules = [tag("v*"), name("library/**"), name("library/test-*", Action.EXCLUDE), label("prod"), label("b*")]
    selection = Selection.compile([*rules, label("old", Action.EXCLUDE)])

    assert selection.reject_repository("library/nginx") is None
    assert selection.reject_repository("library/test-1") == Rejection(
        cause=Cause.EXCLUDED,
        filter_index=2,
        message="the name 'library/test-1' is excluded by the glob 'library/test-*'",
    )
    assert selection.reject_repository("other/x") == Rejection(
        cause=Cause.NOT_INCLUDED, filter_index=1, message="the name 'other/x' does not match the glob 'library/**'"
    )
    assert selection.reject_tag("") == Rejection(
        cause=Cause.NOT_INCLUDED, filter_index=0, message="the tag '' does not match the glob 'v*'"
    )
    assert selection.reject_labels(["prod"]) == Rejection(
        cause=Cause.NOT_INCLUDED, filter_index=4, message="no label matches the glob 'b*'"
    )
    assert selection.reject_labels(["prod", "blue", "old"]) == Rejection(
        cause=Cause.EXCLUDED, filter_index=5, message="the label 'old' is excluded by the glob 'old'"
    )


def test_no_single_filter_decides_where_several_include() -> None:
    selection = Selection.compile([semver("1.x"), tag("2*"), tag("latest", Action.EXCLUDE)])

    assert selection.reject_tag("3") == Rejection(
        cause=Cause.NOT_INCLUDED, message="the tag '3' does not match any filter that includes"
    )


@given(
    rules=st.lists(
        st.builds(tag, st.sampled_from(["*", "v*", "1.*", "{v1,2}", "?*"]), st.sampled_from(Action))
        | st.builds(semver, st.sampled_from(["1.x", ">=2", "*"]), st.sampled_from(Action)),
        max_size=5,
    ),
    text=st.sampled_from(["", "v1", "v2", "1.5", "2", "2-rc", "latest"]),
)
def test_what_passes_is_what_is_not_rejected(rules: list[FilterRule], text: str) -> None:
    selection = Selection.compile(rules)
    rejection = selection.reject_tag(text)

    assert selection.tag_passes(text) is (rejection is None)
    if rejection is not None and rejection.filter_index is not None:
        decided = rules[rejection.filter_index]
        assert (decided.action is Action.EXCLUDE) is (rejection.cause is Cause.EXCLUDED)
        assert decided.compile()(text) is (rejection.cause is Cause.EXCLUDED)


@pytest.mark.parametrize("dimension", [Dimension.NAME, Dimension.LABEL, Dimension.RESOURCE_TYPE])
def test_versions_are_for_tags_only(dimension: Dimension) -> None:
    with pytest.raises(MatcherMisplaced, match="tags only"):
        Selection.compile([FilterRule(dimension=dimension, matcher=Semver("1.x"))])


def test_dimensions_without_rules_need_not_be_asked_for() -> None:
    selection = Selection.compile([tag("v1"), label("prod")])

    assert {each for each in Dimension if selection.looks_at(each)} == {Dimension.TAG, Dimension.LABEL}


def test_every_matcher_is_found_by_its_kind() -> None:
    assert {kind: each("1.x") for kind, each in MATCHERS.items()} == {
        "glob": Glob("1.x"),
        "regex": Regex("1.x"),
        "semver": Semver("1.x"),
    }


def test_an_expression_is_told_as_it_was_written() -> None:
    selection = Selection.compile([FilterRule(dimension=Dimension.TAG, matcher=Regex(r"v\d+"))])

    rejected = selection.reject_tag("x")

    assert rejected is not None
    assert rejected.message == r"the tag 'x' does not match the regex 'v\d+'"
