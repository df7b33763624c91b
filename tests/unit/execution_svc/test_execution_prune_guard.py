"""The guard of prune: never does more go than it allows."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_svc.domain.prune import PruneRule, RepositoryCount


@st.composite
def counts(draw: st.DrawFn) -> list[RepositoryCount]:
    written = draw(st.lists(st.integers(min_value=1, max_value=500), max_size=5))
    return [
        RepositoryCount(registry="r", repository=f"x{n}", written=each, due=draw(st.integers(0, each)))
        for n, each in enumerate(written)
    ]


rules = st.builds(PruneRule, max_percent=st.integers(0, 100), max_tags=st.integers(0, 1000))


@given(rules, counts())
def test_what_is_let_through_is_within_the_guard(rule: PruneRule, counts: list[RepositoryCount]) -> None:
    within = all(each.due * 100 <= rule.max_percent * each.written for each in counts) if rule.max_percent else True
    within = within and (not rule.max_tags or sum(each.due for each in counts) <= rule.max_tags)
    unguarded = not rule.max_percent and not rule.max_tags and any(each.due for each in counts)
    assert bool(rule.guard(counts)) is (not within or unguarded)


@pytest.mark.parametrize("rule", [PruneRule(max_percent=30), PruneRule(max_tags=3)])
def test_one_more_than_allowed_is_too_much(rule: PruneRule) -> None:
    assert [bool(rule.guard([RepositoryCount(registry="r", repository="x", written=10, due=n)])) for n in (3, 4)] == [
        False,
        True,
    ]


def test_the_guard_says_how_much_is_missing_and_allowed() -> None:
    count = RepositoryCount(registry="r", repository="x", written=10, due=3)
    (place,) = PruneRule(max_percent=25).guard([count])
    assert (place.registry, place.repository, place.failure.reason) == ("r", "x", "PRUNE_GUARDED")
    assert place.failure.metadata == {"repository": "x", "missing": "3", "allowed": "2"}


@pytest.mark.parametrize(
    ("deletion", "rule"),
    [
        ({}, None),
        ({"on_event": True}, None),
        ({"prune": {}}, PruneRule()),
        (
            {"prune": {"max_percent": 5, "max_tags": 7, "grace_period": "86400.5s"}},
            PruneRule(max_percent=5, max_tags=7, grace_period=timedelta(seconds=86400.5)),
        ),
    ],
)
def test_a_rule_is_read_from_its_policy(deletion: dict[str, object], rule: PruneRule | None) -> None:
    assert PruneRule.of_document({"deletion": deletion}) == rule
