"""The parts of a policy, as the SDK makes them."""

from datetime import timedelta

import pytest

from transship.policy.v1.policy_pb2 import Destination, ScheduledTrigger
from transship.sdk import (
    deletion,
    destination,
    label_filter,
    manual,
    name_filter,
    newest_created,
    newest_versions,
    on_event,
    prune,
    retention,
    scheduled,
    tag_filter,
    type_filter,
    window,
)
from transship.type.v1.filter_pb2 import Filter, Newest


def test_a_filter_matches_in_one_way() -> None:
    include, exclude = Filter.ACTION_INCLUDE, Filter.ACTION_EXCLUDE
    assert name_filter("a/**") == Filter(dimension=Filter.DIMENSION_NAME, action=include, glob="a/**")
    assert tag_filter(semver=">=1.2") == Filter(dimension=Filter.DIMENSION_TAG, action=include, semver=">=1.2")
    assert tag_filter(regex=".*-rc", exclude=True) == Filter(
        dimension=Filter.DIMENSION_TAG, action=exclude, regex=".*-rc"
    )
    assert label_filter("prod").dimension == Filter.DIMENSION_LABEL
    assert type_filter("chart").dimension == Filter.DIMENSION_RESOURCE_TYPE


def test_a_filter_that_matches_in_no_or_two_ways_is_refused() -> None:
    with pytest.raises(ValueError, match="glob, regex, semver"):
        tag_filter()
    with pytest.raises(ValueError, match="one way"):
        name_filter("a", regex="a")


def test_the_newest_by_version_or_by_time() -> None:
    assert newest_versions(3) == Newest(order=Newest.ORDER_SEMVER, count=3)
    made = newest_created(max_age=timedelta(days=30), min_count=2)
    assert (made.order, made.count, made.max_age.seconds, made.min_count) == (
        *(Newest.ORDER_CREATE_TIME, 0, 30 * 86400, 2),
    )


def test_a_destination_has_one_mapping() -> None:
    assert destination("mirror") == Destination(registry="registries/mirror")
    below = destination("mirror", namespace="a/b", replace_count=0, tag="{name}-{tag}")
    assert (below.namespace, below.HasField("replace_count"), below.tag) == ("a/b", True, "{name}-{tag}")
    assert destination("m", template="x/{path}").WhichOneof("mapping") == "template"
    rewritten = destination("m", rewrite=(r"(\w+)/(.*)", r"\2-of-\1")).rewrite
    assert (rewritten.regex, rewritten.replacement) == (r"(\w+)/(.*)", r"\2-of-\1")


def test_triggers() -> None:
    assert manual().WhichOneof("kind") == "manual"
    assert on_event().WhichOneof("kind") == "event"
    made = scheduled(
        "0 2 * * *", time_zone="Europe/Berlin", jitter=timedelta(minutes=5), run_missed_once=True
    ).scheduled
    assert (made.cron, made.time_zone, made.jitter.seconds) == ("0 2 * * *", "Europe/Berlin", 300)
    assert made.missed_runs == ScheduledTrigger.MISSED_RUNS_RUN_ONCE
    assert not scheduled("@daily").scheduled.HasField("jitter")


def test_what_is_deleted_and_kept_and_when() -> None:
    made = deletion(on_event=True, prune=prune(max_percent=10, max_tags=50, grace=timedelta(days=1)))
    assert (made.on_event, made.prune.max_percent, made.prune.max_tags) == (True, 10, 50)
    assert made.prune.grace_period.seconds == 86400
    assert not deletion(on_event=True).HasField("prune")
    kept = retention(max_count=7, max_age=timedelta(days=2))
    assert (kept.max_count, kept.max_age.seconds) == (7, 2 * 86400)
    nights = window("22:00", "06:00", days=["SATURDAY", "SUNDAY"], time_zone="Asia/Shanghai")
    assert (nights.start, nights.end, list(nights.days), nights.time_zone) == (
        "22:00",
        "06:00",
        [6, 7],
        "Asia/Shanghai",
    )
