"""The newest tags: by version or by time, never fewer than the minimum, and the same whatever the order they come in."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.newest import MAX_COUNT, DatedTag, Newest, NewestInvalid, Order, keep_newest
from replication.rejection import Cause

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def days_old(days: float | None, tag: str = "") -> DatedTag:
    created = None if days is None else NOW - timedelta(days=days)
    return DatedTag(tag=tag or f"{days}-days", create_time=created)


def by_version(*tags: str, count: int = 2) -> tuple[list[str], dict[str, str]]:
    kept, rejections = keep_newest([DatedTag(tag=each) for each in tags], Newest(order=Order.SEMVER, count=count), NOW)
    return [each.tag for each in kept], {each.tag: rejection.message for each, rejection in rejections}


def by_time(*tags: DatedTag, count: int = 0, max_days: float | None = None, min_count: int = 0) -> list[str]:
    max_age = None if max_days is None else timedelta(days=max_days)
    newest = Newest(order=Order.CREATE_TIME, count=count, max_age=max_age, min_count=min_count)
    return [each.tag for each in keep_newest(tags, newest, NOW)[0]]


def test_the_highest_versions_stay_and_the_others_are_told_why() -> None:
    kept, why = by_version("1.9", "latest", "v1.10", "1.10.0-rc.1", "")

    assert kept == ["v1.10", "1.10.0-rc.1"]
    assert why == {
        "latest": "it is no semantic version",
        "": "it is no semantic version",
        "1.9": "2 newer ones are kept",
    }


def test_equal_versions_are_ordered_by_their_texts() -> None:
    assert by_version("1.2", "1.2.0", "v1.2")[0] == ["v1.2", "1.2.0"]
    assert by_version("v1.2", "1.2.0", "1.2")[0] == ["v1.2", "1.2.0"]


def test_the_latest_stay() -> None:
    assert by_time(days_old(3), days_old(1), days_old(2), count=2) == ["1-days", "2-days"]


def test_what_is_too_old_goes_and_what_is_just_old_enough_stays() -> None:
    assert by_time(days_old(2), days_old(2.01), days_old(0), max_days=2) == ["0-days", "2-days"]


def test_the_minimum_stays_whatever_its_age() -> None:
    tags = [days_old(9), days_old(8), days_old(7), days_old(1)]

    assert by_time(*tags, max_days=2, min_count=3) == ["1-days", "7-days", "8-days"]
    assert by_time(*tags, max_days=2, min_count=1) == ["1-days"]
    assert by_time(*tags, count=3, max_days=2, min_count=2) == ["1-days", "7-days"]


def test_the_age_leaves_room_under_the_count() -> None:
    assert by_time(days_old(5), days_old(1), days_old(0), count=3, max_days=2) == ["0-days", "1-days"]


def test_a_tag_whose_time_is_not_known_is_the_oldest() -> None:
    unknown = days_old(None, "unknown")

    assert by_time(unknown, days_old(900), count=1) == ["900-days"]
    assert by_time(unknown, count=1) == ["unknown"]
    assert by_time(unknown, days_old(1), max_days=2) == ["1-days"]
    assert by_time(unknown, days_old(1), max_days=2, min_count=2) == ["1-days", "unknown"]


def test_rejections_have_the_cause_and_no_filter() -> None:
    newest = Newest(order=Order.CREATE_TIME, count=1, max_age=timedelta(days=1))
    _, rejections = keep_newest([days_old(0), days_old(0.5), days_old(3), days_old(None, "unknown")], newest, NOW)

    assert {each.tag: why.message for each, why in rejections} == {
        "0.5-days": "1 newer ones are kept",
        "3-days": "1 newer ones are kept",
        "unknown": "1 newer ones are kept",
    }
    assert {(why.cause, why.filter_index) for _, why in rejections} == {(Cause.NOT_NEWEST, None)}


def test_artifacts_without_a_tag_are_told_apart_by_their_digests() -> None:
    untagged = [DatedTag(tag="", digest=f"sha256:{each}", create_time=NOW) for each in "acb"]

    kept, _ = keep_newest(untagged, Newest(order=Order.CREATE_TIME, count=2), NOW)

    assert [each.digest for each in kept] == ["sha256:c", "sha256:b"]


@pytest.mark.parametrize(
    ("newest", "field"),
    [
        (Newest(order=Order.SEMVER), "count"),
        (Newest(order=Order.CREATE_TIME, min_count=3), "count"),
        (Newest(order=Order.SEMVER, count=1, max_age=timedelta(days=1)), "max_age"),
        (Newest(order=Order.CREATE_TIME, max_age=timedelta()), "max_age"),
        (Newest(order=Order.CREATE_TIME, count=1, min_count=2), "min_count"),
        (Newest(order=Order.CREATE_TIME, count=MAX_COUNT + 1), "count"),
        (Newest(order=Order.CREATE_TIME, count=1, min_count=-1), "min_count"),
    ],
)
def test_an_impossible_combination_is_refused_with_its_field(newest: Newest, field: str) -> None:
    with pytest.raises(NewestInvalid) as caught:
        newest.check()

    assert caught.value.field == field


@pytest.mark.parametrize(
    "newest",
    [
        Newest(order=Order.SEMVER, count=1),
        Newest(order=Order.SEMVER, count=2, min_count=2),
        Newest(order=Order.CREATE_TIME, count=MAX_COUNT),
        Newest(order=Order.CREATE_TIME, max_age=timedelta(seconds=1), min_count=MAX_COUNT),
    ],
)
def test_other_combinations_are_fine(newest: Newest) -> None:
    newest.check()


_tags = st.lists(
    st.builds(
        DatedTag,
        tag=st.sampled_from(["1.0", "v1", "1.1", "2-rc", "2", "latest", "x"]),
        create_time=st.none() | st.integers(0, 9).map(lambda days: NOW - timedelta(days=days)),
    ),
    max_size=12,
    unique_by=lambda each: each.tag,
)
_newest = st.builds(
    Newest,
    order=st.sampled_from(Order),
    count=st.integers(0, 5),
    max_age=st.none() | st.integers(1, 9).map(lambda days: timedelta(days=days)),
    min_count=st.integers(0, 5),
)


@given(tags=_tags, newest=_newest, data=st.data())
def test_nothing_is_lost_and_the_order_of_the_listing_does_not_matter(
    tags: list[DatedTag], newest: Newest, data: st.DataObject
) -> None:
    kept, rejections = keep_newest(tags, newest, NOW)
    rejected = [each for each, _ in rejections]

    assert sorted(kept + rejected, key=lambda each: each.tag) == sorted(tags, key=lambda each: each.tag)
    other_kept, other_rejections = keep_newest(data.draw(st.permutations(tags)), newest, NOW)
    assert (other_kept, dict(other_rejections)) == (kept, dict(rejections))
    assert not newest.count or len(kept) <= newest.count
    if newest.order is Order.CREATE_TIME:
        assert len(kept) >= min(newest.min_count, newest.count or len(tags), len(tags))


@pytest.mark.parametrize(
    ("max_age", "words"),
    [
        (timedelta(days=30), "30 days"),
        (timedelta(hours=36), "1.5 days"),
        (timedelta(hours=12), "12 hours"),
        (timedelta(seconds=90), "1.5 minutes"),
        (timedelta(milliseconds=500), "0.5 seconds"),
    ],
)
def test_what_is_too_old_is_told_in_words(max_age: timedelta, words: str) -> None:
    old = DatedTag(tag="old", create_time=NOW - timedelta(days=40))

    _, [(_, why)] = keep_newest([old], Newest(order=Order.CREATE_TIME, max_age=max_age), NOW)

    assert why.message == f"it is older than {words}"
