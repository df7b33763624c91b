"""What every adapter lists alike, on a fake of its product or on the product itself."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from oci_client.testing.effects import answer_with, hang_up
from oci_client.testing.faults import Match
from registry_svc.adapters.base import Adapter, Reference
from registry_svc.adapters.batches import BATCH_REFERENCES
from replication.filters import Dimension
from replication.newest import Newest, Order
from replication.rejection import Cause
from tests.contract.adapter_listing import listed, rule, within
from tests.contract.adapter_stages import FAKES, Stage, fails

on_fakes = pytest.mark.parametrize("product", FAKES)


# Listing


async def test_everything_is_listed_with_the_digests_that_the_listing_has(stage: Stage, adapter: Adapter) -> None:
    one, two = await stage.push("team/app", "1", "same"), await stage.push("team/tool", "2", seed=1)

    found = await listed(adapter)

    brings = adapter.info().lists_digests
    assert found.digests == {
        ("team/app", "1"): one if brings else "",
        ("team/app", "same"): one if brings else "",
        ("team/tool", "2"): two if brings else "",
    }
    assert found.failures == {}


async def test_names_and_tags_are_filtered(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1", "2")
    await stage.push("team/tool", "1")

    assert (await listed(adapter, rule(Dimension.NAME, "team/a*"))).names == {("team/app", "1"), ("team/app", "2")}
    excluded = rule(Dimension.TAG, "1", excludes=True)
    assert (await listed(adapter, rule(Dimension.NAME, "team/*"), excluded)).names == {("team/app", "2")}


async def test_a_repository_whose_tags_are_all_left_out_is_nothing(stage: Stage, adapter: Adapter) -> None:
    """Harbor makes an empty task of it where it comes from Docker Hub (its section 3.2)."""
    await stage.push("team/app", "1", "2")

    found = await listed(adapter, rule(Dimension.NAME, "team/*"), rule(Dimension.TAG, "none"))

    assert (found.names, found.failures) == (set(), {})


async def test_an_adapter_claims_only_what_its_listing_tells(stage: Stage, adapter: Adapter) -> None:
    """A type or a label that nothing has lets nothing through; a type that all have, everything."""
    await stage.push("team/app", "1")
    names = rule(Dimension.NAME, "team/**")

    for dimension in {Dimension.LABEL, Dimension.RESOURCE_TYPE}.intersection(adapter.info().filter_dimensions):
        assert (await listed(adapter, names, rule(dimension, "nonesuch"))).names == set()
        assert (await listed(adapter, names, rule(dimension, "nonesuch", excludes=True))).names == {("team/app", "1")}
    if Dimension.RESOURCE_TYPE in adapter.info().filter_dimensions:
        assert (await listed(adapter, names, rule(Dimension.RESOURCE_TYPE, "image"))).names == {("team/app", "1")}


async def test_what_is_left_out_is_told_when_it_is_asked_for(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1", "2")
    await stage.push("team/tool", "1")
    rules = (rule(Dimension.NAME, "team/a*"), rule(Dimension.TAG, "1"))

    assert (await listed(adapter, *rules)).rejections == {}
    found = await listed(adapter, *rules, include_rejected=True)

    assert found.names == {("team/app", "1")}
    assert found.rejections == {("team/app", "2"): Cause.NOT_INCLUDED, ("team/tool", ""): Cause.NOT_INCLUDED}


@on_fakes
async def test_named_repositories_are_not_searched_for(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1")
    await stage.push("team/tool", "1")

    found = await listed(adapter, rule(Dimension.NAME, "team/{app,tool}"))

    assert found.names == {("team/app", "1"), ("team/tool", "1")}
    assert stage.asked(stage.search) == 0


async def test_a_named_repository_that_is_not_there_is_its_own_failure(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1")

    found = await listed(adapter, rule(Dimension.NAME, "team/{app,none}"))

    assert (found.names, found.failures) == ({("team/app", "1")}, {"team/none": "REPOSITORY_UNKNOWN"})


async def test_many_pages_bring_everything_once(stage: Stage, adapter: Adapter) -> None:
    tags = [f"t{number}" for number in range(250)]
    await stage.push("team/app", *tags)

    found = await listed(adapter)

    assert found.names == {("team/app", tag) for tag in tags}


@on_fakes
async def test_many_repositories_come_in_bounded_batches(stage: Stage, adapter: Adapter) -> None:
    for number in range(230):
        await stage.push(f"team/r{number}", "1", "2", "3", "4", "5", seed=number % 3)

    found = await listed(adapter)

    assert len(found.names) == 5 * 230
    assert found.largest_batch < 2 * BATCH_REFERENCES


async def test_an_empty_repository_is_nothing_and_no_failure(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1")
    await stage.empty("team/none")

    found = await listed(adapter)

    assert (found.names, found.failures) == ({("team/app", "1")}, {})


async def test_an_untagged_artifact_has_an_empty_tag_and_a_digest_or_is_not_listed(
    stage: Stage, adapter: Adapter
) -> None:
    """Parity 20: where a listing has it, `*` takes it along and `?*` does not."""
    await stage.push("team/app", "1")
    digest = await stage.push("team/app", seed=1)

    found = await listed(adapter, rule(Dimension.NAME, "team/app"), rule(Dimension.TAG, "*"))
    tagged = await listed(adapter, rule(Dimension.NAME, "team/app"), rule(Dimension.TAG, "?*"))

    assert found.digests.get(("team/app", ""), digest) == digest
    assert tagged.names == {("team/app", "1")}


@on_fakes
async def test_one_repository_that_fails_does_not_keep_the_others_back(stage: Stage, adapter: Adapter) -> None:
    """Harbor fails the whole execution (#12009)."""
    assert stage.faults is not None
    for name in ("app", "bad", "forbidden"):
        await stage.push(f"team/{name}", "1")
    stage.faults.misbehave(answer_with(500), match=fails(stage, "team/bad"))
    stage.faults.misbehave(answer_with(403), match=fails(stage, "team/forbidden"))

    found = await listed(adapter)

    assert found.names == {("team/app", "1")}
    assert found.failures == {"team/bad": "REGISTRY_FAULT", "team/forbidden": "ACCESS_DENIED"}


@on_fakes
async def test_what_may_pass_is_tried_again(stage: Stage, adapter: Adapter) -> None:
    assert stage.faults is not None
    await stage.push("team/app", "1")
    stage.faults.fail_next(503, match=fails(stage, "team/app"))
    stage.faults.misbehave(answer_with(429, retry_after=7), match=fails(stage, "team/app"), times=1, skip=1)
    stage.faults.misbehave(hang_up(), match=Match(path=stage.search), times=1)

    found = await listed(adapter)

    assert (found.names, found.failures) == ({("team/app", "1")}, {})
    assert 7 in stage.sleeps.asked
    assert len(stage.sleeps.asked) == 3


@on_fakes
async def test_a_limit_that_lasts_is_told_and_not_waited_for(stage: Stage, adapter: Adapter) -> None:
    assert stage.faults is not None
    await stage.push("team/app", "1")
    stage.faults.misbehave(answer_with(429, retry_after=3600), match=fails(stage, "team/app"))

    assert (await listed(adapter)).failures == {"team/app": "RATE_LIMITED"}
    assert stage.sleeps.asked == []


@on_fakes
@pytest.mark.parametrize("body", [b"<html>", b"[[]]", b'{"tags": 1, "results": 1}'])
async def test_what_is_no_list_is_a_failure_of_the_repository(stage: Stage, adapter: Adapter, body: bytes) -> None:
    assert stage.faults is not None
    await stage.push("team/app", "1")
    stage.faults.misbehave(answer_with(200, body=body), match=fails(stage, "team/app"))

    assert (await listed(adapter)).failures == {"team/app": "UNEXPECTED_ANSWER"}


# The newest


async def test_the_newest_are_kept_by_version(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "v1.2.0", "1.10.0", "latest", "1.9.9")

    found = await listed(adapter, newest=Newest(order=Order.SEMVER, count=2), include_rejected=True)

    assert found.names == {("team/app", "1.10.0"), ("team/app", "1.9.9")}
    assert found.rejections == dict.fromkeys([("team/app", "latest"), ("team/app", "v1.2.0")], Cause.NOT_NEWEST)


async def test_the_newest_are_kept_by_their_time(stage: Stage, adapter: Adapter) -> None:
    for number, days in enumerate([3, 1, 4, 2]):
        await stage.push("team/app", f"day{days}", seed=number, days=days)

    found = await listed(adapter, newest=Newest(order=Order.CREATE_TIME, count=2))

    assert (found.names, found.failures) == ({("team/app", "day4"), ("team/app", "day3")}, {})


async def test_old_ones_are_left_out_but_for_the_least_that_is_kept(stage: Stage, adapter: Adapter) -> None:
    age = timedelta(days=1)

    for days in range(3):
        await stage.push("team/app", f"day{days}", seed=days, days=days)
    found = await listed(adapter, newest=Newest(order=Order.CREATE_TIME, max_age=age, min_count=1))

    assert found.names == {("team/app", "day2")}


# Within


async def test_only_what_an_event_tells_of_is_looked_at(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1", "2")
    await stage.push("team/tool", "1")
    gone = Reference(tag="gone")

    found = await listed(adapter, within=within("team/app", Reference(tag="2"), gone))

    assert (found.names, found.failures) == ({("team/app", "2")}, {})


async def test_what_an_event_names_by_its_digest_is_there_when_a_listing_has_it(stage: Stage, adapter: Adapter) -> None:
    digest = await stage.push("team/app", seed=1)
    await stage.push("team/app", "1", seed=2)

    found = await listed(adapter, within=within("team/app", Reference(tag="", digest=digest)))

    assert found.names == (await listed(adapter)).names - {("team/app", "1")}


@pytest.mark.parametrize("references", [(), tuple(Reference(tag=f"t{number}") for number in range(30))])
async def test_whole_repositories_and_many_tags_are_looked_at(
    stage: Stage, adapter: Adapter, references: Sequence[Reference]
) -> None:
    tags = [f"t{number}" for number in range(30)]
    await stage.push("team/app", *tags)
    await stage.push("team/tool", "1")

    found = await listed(adapter, within=within("team/app", *references))

    assert found.names == {("team/app", tag) for tag in tags}


async def test_filters_hold_for_events_too(stage: Stage, adapter: Adapter) -> None:
    """Harbor lets the unfiltered resource through (section 1.3 of its behaviour)."""
    await stage.push("team/app", "1", "2")
    both = (*within("team/app", Reference(tag="1"), Reference(tag="2")), *within("other/app", Reference(tag="1")))

    found = await listed(
        adapter, rule(Dimension.NAME, "team/*"), rule(Dimension.TAG, "2"), within=both, include_rejected=True
    )

    assert found.names == {("team/app", "2")}
    assert found.rejections == {("team/app", "1"): Cause.NOT_INCLUDED, ("other/app", ""): Cause.NOT_INCLUDED}


async def test_a_repository_that_has_gone_since_is_no_failure(stage: Stage, adapter: Adapter) -> None:
    gone = (*within("team/gone"), *within("gone/app", Reference(tag="1")))

    found = await listed(adapter, rule(Dimension.NAME, "**"), within=gone)

    assert (found.names, found.failures) == (set(), {})


async def test_an_event_counts_among_the_newest_of_its_repository(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1.0.0", "2.0.0", "3.0.0")
    newest = Newest(order=Order.SEMVER, count=1)

    old = await listed(adapter, within=within("team/app", Reference(tag="2.0.0")), newest=newest)
    new = await listed(adapter, within=within("team/app", Reference(tag="3.0.0")), newest=newest)

    assert (old.names, new.names) == (set(), {("team/app", "3.0.0")})
