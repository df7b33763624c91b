"""Which namespaces have to be searched."""

import pytest

from registry_svc.adapters.narrowing import namespaces
from replication.filters import Action, Dimension, FilterRule, Selection
from replication.matchers import Glob, Regex


def _selection(*globs: str) -> Selection:
    """Names to include; `!` before one excludes it."""
    rules = [
        FilterRule(
            dimension=Dimension.NAME,
            action=Action.EXCLUDE if glob.startswith("!") else Action.INCLUDE,
            matcher=Glob(glob.removeprefix("!")),
        )
        for glob in globs
    ]
    return Selection.compile(rules)


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["library/**"], ["library"]),
        (["{library,team}/**", "other/app"], ["library", "team", "other"]),
        (["te{am,st}/**"], ["team", "test"]),
        (["{a/b,c}d/**"], ["a", "cd"]),
        (["library/**", "!library/test-*"], ["library"]),
        (["**"], None),
        (["*/app"], None),
        (["lib*/app"], None),
        (["{library,*}/app"], None),
        (["library/**", "**/app"], None),
        (["!library/**"], None),
        (["!library/**", "team/**"], None),
        (["No'Project/**", "team/**"], ["team"]),
        ([], None),
    ],
)
def test_the_first_components_of_what_may_pass(globs: list[str], expected: list[str] | None) -> None:
    assert namespaces(_selection(*globs)) == expected


def test_an_expression_may_match_anywhere() -> None:
    rule = FilterRule(dimension=Dimension.NAME, matcher=Regex("library/.*"))

    assert namespaces(Selection.compile([rule])) is None


def test_rules_on_tags_do_not_narrow() -> None:
    rule = FilterRule(dimension=Dimension.TAG, matcher=Glob("library/**"))

    assert namespaces(Selection.compile([rule])) is None
