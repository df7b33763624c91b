"""Filters: the last rule that matches decides, and the first says what happens to the rest."""

import pytest

from replication.filters import Action, Dimension, FilterRule, Selection
from replication.glob import GlobInvalid
from replication.matchers import Glob


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


def test_a_bad_glob_is_refused() -> None:
    with pytest.raises(GlobInvalid):
        Selection.compile([tag("{v1")])


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
        [name("library/nginx", Action.EXCLUDE)],
        [name("library/nginx"), name("library/nginx", Action.EXCLUDE)],
        [name("{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}{0,1,2,3,4,5,6,7,8,9}"), name("one-more")],
    ],
)
def test_other_rules_need_a_listing(rules: list[FilterRule]) -> None:
    assert Selection.compile(rules).literal_repositories() is None
