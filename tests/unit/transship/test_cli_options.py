"""What the options of `transship policy` make of a policy."""

from datetime import timedelta

import pytest
import typer

from policy_svc.convert.requests import MUTABLE
from transship.cli.connect import Said
from transship.cli.describe import deletion_text, destination_text, filter_text, newest_text, trigger_text, window_text
from transship.cli.options.cleared import Cleared, Part
from transship.cli.options.there import About, There
from transship.cli.options.what import NewestBy, What
from transship.cli.options.when import MissedRuns, Overlap, When, parse_window
from transship.cli.options.where import Where
from transship.cli.transfer import How
from transship.policy.v1.policy_pb2 import Policy, TimeWindow
from transship.sdk import TransferOptions, destination, manual, tag_filter
from transship.type.v1.filter_pb2 import Newest


def changed(
    options: Where | What | When | There | About | Cleared, policy: Policy, *said: tuple[str, object]
) -> set[str]:
    return set(options.change(policy, said))


def where(*said: tuple[str, object]) -> Policy:
    policy = Policy()
    changed(Where(), policy, *said)
    return policy


def test_a_mapping_is_of_the_destination_before_it() -> None:
    policy = where(
        ("destination", "a"),
        ("namespace", "mirror"),
        ("replace_count", "0"),
        ("destination", "b"),
        ("rewrite", r"(\w+)/(.*) => \2-of-\1"),
        ("tag_template", "{name}-{tag}"),
        ("destination", "c"),
    )
    assert list(policy.destinations) == [
        destination("a", namespace="mirror", replace_count=0),
        destination("b", rewrite=(r"(\w+)/(.*)", r"\2-of-\1"), tag="{name}-{tag}"),
        destination("c"),
    ]


def test_a_mapping_before_all_destinations_is_of_those_that_have_none() -> None:
    policy = where(("namespace", "mirror"), ("destination", "a"), ("destination", "b"), ("template", "x/{path}"))
    assert list(policy.destinations) == [destination("a", namespace="mirror"), destination("b", template="x/{path}")]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ((("namespace", "mirror"),), "needs --destination"),
        ((("destination", "a"), ("namespace", "x"), ("namespace", "y")), "given twice"),
        ((("destination", "a"), ("namespace", "x"), ("template", "y")), "--namespace and --template exclude"),
        ((("destination", "a"), ("rewrite", "no arrow")), "no rewrite"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused(said: Said, message: str) -> None:
    with pytest.raises(typer.BadParameter, match=message):
        where(*said)


def test_the_newest() -> None:
    policy = Policy()
    assert changed(What(newest=3), policy) == {"newest"}
    assert policy.newest == Newest(order=Newest.ORDER_SEMVER, count=3)
    changed(What(newest_max_age=timedelta(days=30), newest_min=2), policy)
    assert (policy.newest.order, policy.newest.count) == (Newest.ORDER_CREATE_TIME, 3)
    assert newest_text(policy) == "3, those of 30d by creation, but at least 2"
    changed(What(newest_by=NewestBy.SEMVER), policy)
    assert policy.newest.order == Newest.ORDER_SEMVER


def test_a_trigger() -> None:
    policy = Policy()
    when = When(
        cron="0 2 * * *", time_zone="Europe/Berlin", jitter=timedelta(minutes=10), missed_runs=MissedRuns.RUN_ONCE
    )
    assert changed(when, policy) == {"trigger"}
    assert trigger_text(policy.trigger) == "0 2 * * * Europe/Berlin, up to 10m later, missed runs once"
    assert changed(When(on_event=True, overlap=Overlap.REPLACE), policy) == {"trigger", "overlap"}
    assert (trigger_text(policy.trigger), policy.overlap) == ("on event", Policy.OVERLAP_REPLACE)
    changed(When(manual=True), policy)
    assert trigger_text(policy.trigger) == "manual"


def test_one_trigger_excludes_another() -> None:
    with pytest.raises(typer.BadParameter, match="exclude each other"):
        changed(When(on_event=True, cron="@daily"), Policy())


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("22:00-06:00", TimeWindow(start="22:00", end="06:00")),
        (
            "Sat,sun  00:00-00:00 Asia/Shanghai",
            TimeWindow(start="00:00", end="00:00", days=[6, 7], time_zone="Asia/Shanghai"),
        ),
        ("fri-mon 01:00-02:00", TimeWindow(start="01:00", end="02:00", days=[5, 6, 7, 1])),
        ("mon,mon-tue 01:00-02:00", TimeWindow(start="01:00", end="02:00", days=[1, 2])),
    ],
)
def test_a_window(text: str, window: TimeWindow) -> None:
    assert parse_window(text) == window


def test_a_window_is_shown_as_it_is_written() -> None:
    text = "sat,sun 22:00-06:00 Asia/Shanghai"
    assert window_text(parse_window(text)) == text


@pytest.mark.parametrize("text", ["", "22-06", "22:00", "foo 22:00-06:00", "mon 22:00 - 06:00", "mon-xxx 01:00-02:00"])
def test_what_is_no_window_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="mon-fri,sun"):
        parse_window(text)


def a_whole_policy() -> Policy:
    """One in which nothing is at its default."""
    policy = Policy(source_registry="registries/hub", destinations=[destination("mirror")], filters=[tag_filter("*")])
    panels = (
        What(newest=3, newest_max_age=timedelta(days=30), newest_min=2),
        When(cron="@daily", overlap=Overlap.SKIP, window=[parse_window("22:00-06:00")], max_parallel_tasks=3),
        There(override=True, backup_tag="{tag}-old", delete_on_event=True, prune_max_tags=3),
        How(platform=["linux/amd64"], referrer_type=["a/sbom"], foreign_layers=True, limit_rate=10),
        About(description="It.", disabled=True, keep=3, keep_for=timedelta(days=1)),
    )
    changed_fields = {name for panel in panels for name in panel.change(policy, ())}
    assert changed_fields | {"source_registry", "destinations", "filters"} == MUTABLE
    return policy


def test_whatever_can_be_set_can_be_taken_away() -> None:
    policy = a_whole_policy()
    assert changed(Cleared(clear=list(Part)), policy) == {
        "description",
        "filters",
        "newest",
        "windows",
        "backup_tag",
        "deletion",
        "options",
        "retention",
    }
    changed(When(manual=True, overlap=Overlap.QUEUE, max_parallel_tasks=0), policy)
    changed(There(override=False, delete_on_event=False), policy)
    list(How(referrers=False, foreign_layers=False, limit_rate=0).change(policy))
    changed(About(disabled=False), policy)
    assert policy == Policy(
        source_registry="registries/hub",
        destinations=[destination("mirror")],
        trigger=manual(),
        overlap=Policy.OVERLAP_QUEUE,
        options=TransferOptions(),
    )


def test_what_is_not_named_stays() -> None:
    policy = a_whole_policy()
    before = a_whole_policy()
    assert changed(Cleared(clear=[Part.PRUNE, Part.PLATFORMS]), policy) == {"deletion", "options"}
    before.deletion.ClearField("prune")
    before.options.ClearField("platforms")
    assert policy == before


def test_a_limit_of_0_is_none() -> None:
    policy = a_whole_policy()
    changed(What(newest=0), policy)
    assert newest_text(policy) == "those of 30d by creation, but at least 2"
    changed(What(newest_max_age=timedelta()), policy)
    assert not policy.HasField("newest")


def test_what_is_deleted() -> None:
    policy = Policy()
    there = There(prune_max_percent=10, prune_max_tags=5, prune_grace=timedelta(days=7), delete_on_event=True)
    assert changed(there, policy) == {"deletion"}
    assert deletion_text(policy) == (
        "by event\nwhat the source has no more, at most 10 % of a repository and 5 tags, after 7d"
    )
    changed(Cleared(clear=[Part.PRUNE]), policy)
    assert deletion_text(policy) == "by event"
    changed(There(delete_on_event=False), policy)
    assert not policy.HasField("deletion")


def test_what_is_overwritten_is_kept_or_not() -> None:
    policy = Policy(override=True)
    assert changed(There(backup_tag="{tag}-old"), policy) == {"backup_tag"}
    assert changed(There(override=False, backup_tag=""), policy) == {"override", "backup_tag"}
    assert policy == Policy()


def test_how_long_executions_are_kept() -> None:
    policy = Policy()
    assert changed(About(keep=5, keep_for=timedelta(days=1), disabled=True), policy) == {"retention", "disabled"}
    assert (policy.retention.max_count, policy.retention.max_age.seconds) == (5, 86400)
    changed(About(keep=0, keep_for=timedelta()), policy)
    assert not policy.HasField("retention")


def test_rules_and_destinations_in_words() -> None:
    assert filter_text(tag_filter(regex=".*-rc", exclude=True)) == "-tag:/.*-rc/"
    assert filter_text(tag_filter(semver=">=1.2")) == "+tag:(>=1.2)"
    assert destination_text(destination("m", namespace="a", replace_count=1, tag="{tag}-x")) == (
        "m/a/* (in place of 1):{tag}-x"
    )
    assert destination_text(destination("m", rewrite=("a", "b"))) == "m s|a|b|"
