"""Every impossible or dangerous combination is refused when it is written, with its field and what to do about it."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from policy_svc.domain.policy import (
    Deletion,
    Destination,
    Overlap,
    PolicySpec,
    Prune,
    Retention,
    TimeWindow,
    TransferOptions,
)
from policy_svc.domain.trigger import EventTrigger, ScheduledTrigger
from policy_svc.service import PolicyService
from replication.filters import Action, Dimension
from replication.matchers import Glob, Regex, Semver
from replication.newest import Newest, Order
from replication.rewriting import RegexRewrite
from service_kit.clock import FakeClock
from service_kit.errors import InvalidRequest
from tests.policies import FakeRegistries, MemoryPolicyStore, a_rule, a_spec, everything

DAY = timedelta(days=1)
EVENT = EventTrigger()


@pytest.fixture
def registries() -> FakeRegistries:
    return FakeRegistries()


@pytest.fixture
def service(registries: FakeRegistries) -> PolicyService:
    return PolicyService(MemoryPolicyStore(), registries, FakeClock())


def spec(**fields: Any) -> PolicySpec:
    return replace(a_spec(), **fields)


def scheduled(cron: str = "@daily", **fields: Any) -> PolicySpec:
    return spec(trigger=ScheduledTrigger(cron=cron, **fields))


def to(registry: str = "backup", **mapping: Any) -> Destination:
    return Destination(registry=f"registries/{registry}", **mapping)


def to_itself(*names: str, **mapping: Any) -> PolicySpec:
    return a_spec(to("hub", **mapping), filters=[a_rule(name) for name in names])


def rewrite(regex: str, replacement: str) -> RegexRewrite:
    return RegexRewrite(regex=regex, replacement=replacement)


def a_window(time_zone: str) -> TimeWindow:
    return TimeWindow(start="22:00", end="06:00", time_zone=time_zone)


# What is refused: the field, the reason, and words that say what to do.
MISTAKES: list[tuple[PolicySpec, str, str, str]] = [
    # Schedules.
    (scheduled("61 * * * *"), "trigger.scheduled.cron", "CRON_INVALID", "write it as"),
    (scheduled("* * *"), "trigger.scheduled.cron", "CRON_INVALID", "write five"),
    (scheduled("@reboot"), "trigger.scheduled.cron", "CRON_INVALID", "there are @hourly"),
    (scheduled("0\0 * * * *"), "trigger.scheduled.cron", "CHARACTER_INVALID", "must not hold"),
    (scheduled(time_zone="Mars/Olympus"), "trigger.scheduled.time_zone", "ZONE_UNKNOWN", "such as Europe/Berlin"),
    (scheduled(time_zone="U\0C"), "trigger.scheduled.time_zone", "CHARACTER_INVALID", "must not hold"),
    (scheduled("* * * * *"), "trigger.scheduled.cron", "SCHEDULE_TOO_FREQUENT", "leave two minutes"),
    (scheduled("*/10 * * * * *"), "trigger.scheduled.cron", "SCHEDULE_TOO_FREQUENT", "leave two minutes"),
    (
        scheduled("*/5 * * * *", jitter=timedelta(minutes=6)),
        "trigger.scheduled.jitter",
        "JITTER_TOO_LONG",
        "make it shorter",
    ),
    # Windows.
    (spec(windows=(a_window("UTC"), a_window("Nowhere"))), "windows[1].time_zone", "ZONE_UNKNOWN", "such as"),
    (spec(windows=(a_window("U\0C"),)), "windows[0].time_zone", "CHARACTER_INVALID", "must not hold"),
    # Events.
    (spec(trigger=EVENT, overlap=Overlap.SKIP), "overlap", "OVERLAP_LOSES_EVENTS", "wait for one another"),
    # Deletion.
    (spec(deletion=Deletion(on_event=True)), "deletion.on_event", "EVENT_TRIGGER_MISSING", "prune finds them"),
    (
        replace(scheduled(), deletion=Deletion(on_event=True)),
        "deletion.on_event",
        "EVENT_TRIGGER_MISSING",
        "needs an event trigger",
    ),
    (spec(deletion=Deletion(prune=Prune())), "deletion.prune", "GUARD_MISSING", "set max_percent or max_tags"),
    (
        spec(deletion=Deletion(prune=Prune(max_tags=1, grace_period=40_000 * DAY))),
        "deletion.prune.grace_period",
        "DURATION_TOO_LONG",
        "at most 36500 days",
    ),
    # Override and backup.
    (spec(backup_tag="{tag}-old"), "backup_tag", "OVERRIDE_MISSING", "needs override"),
    (spec(override=True, backup_tag="{tag}-{user}"), "backup_tag", "TEMPLATE_INVALID", "there is {date}, {digest}"),
    (spec(override=True, backup_tag="{tag"), "backup_tag", "TEMPLATE_INVALID", "written as {{"),
    (spec(override=True, backup_tag="{tag}"), "backup_tag", "TEMPLATE_INVALID", "is overwritten"),
    (spec(override=True, backup_tag="{tag}/old"), "backup_tag", "TEMPLATE_INVALID", "is not a tag"),
    (spec(override=True, backup_tag="old-{date}"), "backup_tag", "TEMPLATE_INVALID", "neither {tag} nor {digest}"),
    # Referrers.
    (
        spec(options=TransferOptions(referrer_types=("a/b",))),
        "options.referrer_types",
        "REFERRERS_MISSING",
        "set referrers",
    ),
    # Retention.
    (spec(retention=Retention()), "retention", "RETENTION_EMPTY", "leave it unset"),
    (spec(retention=Retention(max_age=40_000 * DAY)), "retention.max_age", "DURATION_TOO_LONG", "at most"),
    # Filters.
    (a_spec(filters=[a_rule("a"), a_rule("b{c")]), "filters[1].glob", "GLOB_INVALID", "at character"),
    (a_spec(filters=[a_rule(Regex("a(b"))]), "filters[0].regex", "REGEX_INVALID", "missing )"),
    (a_spec(filters=[a_rule(Regex("(?:a{1000}){1000}"))]), "filters[0].regex", "REGEX_INVALID", ""),
    (
        a_spec(filters=[a_rule(Regex("a{900}b{900}c{900}.{900}\\pL{900}"))]),
        "filters[0].regex",
        "REGEX_INVALID",
        "make it simpler",
    ),
    (a_spec(filters=[a_rule(Semver(">=x.y"), Dimension.TAG)]), "filters[0].semver", "SEMVER_INVALID", "is written as"),
    (a_spec(filters=[a_rule(Semver(">2 <1"), Dimension.TAG)]), "filters[0].semver", "SEMVER_INVALID", "no version"),
    (a_spec(filters=[a_rule(Semver(">=1"))]), "filters[0].semver", "MATCHER_MISPLACED", "matches tags only"),
    (a_spec(filters=[a_rule(Semver("1"), Dimension.LABEL)]), "filters[0].semver", "MATCHER_MISPLACED", "tags only"),
    # Newest.
    (spec(newest=Newest(order=Order.SEMVER)), "newest.count", "NEWEST_IMPOSSIBLE", "needs a count"),
    (
        spec(newest=Newest(order=Order.SEMVER, count=1, max_age=DAY)),
        "newest.max_age",
        "NEWEST_IMPOSSIBLE",
        "order by the time",
    ),
    (
        spec(newest=Newest(order=Order.CREATE_TIME, count=2, min_count=3)),
        "newest.min_count",
        "NEWEST_IMPOSSIBLE",
        "more than the 2",
    ),
    (
        spec(newest=Newest(order=Order.CREATE_TIME, count=3, min_count=2)),
        "newest.min_count",
        "NEWEST_IMPOSSIBLE",
        "set max_age",
    ),
    (
        spec(newest=Newest(order=Order.CREATE_TIME, max_age=40_000 * DAY)),
        "newest.max_age",
        "DURATION_TOO_LONG",
        "at most",
    ),
    # Mappings that cannot be read, or give no name.
    (a_spec(to(template="{path}/{tag}")), "destinations[0].template", "TEMPLATE_INVALID", "there is no {tag} here"),
    (a_spec(to(), to(template="Mirror/{path}")), "destinations[1].template", "TEMPLATE_INVALID", "not a repository"),
    (a_spec(to(template="a\0{path}")), "destinations[0].template", "CHARACTER_INVALID", "must not hold"),
    (a_spec(to(tag="{path}-{tag}")), "destinations[0].tag", "TEMPLATE_INVALID", "there is no {path} here"),
    (a_spec(to(tag="{name}:{tag}")), "destinations[0].tag", "TEMPLATE_INVALID", "is not a tag"),
    (a_spec(to(rewrite=rewrite("a(", "b"))), "destinations[0].rewrite.regex", "REGEX_INVALID", ""),
    (
        a_spec(to(rewrite=rewrite("a", r"\1"))),
        "destinations[0].rewrite.replacement",
        "REPLACEMENT_INVALID",
        "has 0 groups",
    ),
    *(
        (
            a_spec(to(rewrite=rewrite("(.*)/(.*)", replacement))),
            "destinations[0].rewrite.replacement",
            "REPLACEMENT_INVALID",
            "lower-case letters",
        )
        for replacement in ("B", r"\1!", r"/\1", r"\1/", r"\1//\2", r"\1._\2")
    ),
    (a_spec(to(replace_count=1)), "destinations[0].replace_count", "NAMESPACE_MISSING", "there is no namespace"),
    (
        a_spec(to(replace_count=-1, template="{path}")),
        "destinations[0].replace_count",
        "NAMESPACE_MISSING",
        "namespace",
    ),
    # Destinations that repeat each other, or take many repositories for one.
    (a_spec(to(), to()), "destinations[1]", "DESTINATION_DUPLICATE", "or give it another mapping"),
    (
        a_spec(to(namespace="a"), to(namespace="a", replace_count=-1)),
        "destinations[1]",
        "DESTINATION_DUPLICATE",
        "is the same place as destinations[0]",
    ),
    *(
        (a_spec(*same, filters=filters), f"destinations[{len(same) - 1}]", "DESTINATION_DUPLICATE", "remove one")
        for same, filters in (
            ((to(), to(template="{namespace}/{name}")), []),
            ((to(template="hub/{path}"), to("third"), to(namespace="hub", replace_count=0)), []),
            ((to(namespace="a"), to(template="a/{name}")), []),
            ((to(tag="{tag}"), to(rewrite=rewrite(".*", r"\0"))), []),
            ((to(), to(namespace="library")), [a_rule("library/*")]),
            ((to(), to(rewrite=rewrite("team/(.*)", r"m/\1"))), [a_rule("a/b"), a_rule("c")]),
        )
    ),
    (a_spec(to(repository="a/b")), "destinations[0].repository", "NAME_NOT_LITERAL", "without wildcards"),
    (
        a_spec(to(repository="a/b"), filters=[a_rule(Regex("a"))]),
        "destinations[0].repository",
        "NAME_NOT_LITERAL",
        "without wildcards",
    ),
    # Copies onto themselves.
    (to_itself(), "destinations[0].registry", "DESTINATION_IS_SOURCE", "give it a namespace"),
    (to_itself(tag="{tag}"), "destinations[0].registry", "DESTINATION_IS_SOURCE", "changes no name"),
    (to_itself(template="{path}"), "destinations[0].registry", "DESTINATION_IS_SOURCE", "changes no name"),
    (to_itself(template="{namespace}/{name}"), "destinations[0].registry", "DESTINATION_IS_SOURCE", "changes no name"),
    (to_itself(rewrite=rewrite(".*", r"\0")), "destinations[0].registry", "DESTINATION_IS_SOURCE", "changes no name"),
    (
        to_itself("library/*", namespace="library"),
        "destinations[0].registry",
        "DESTINATION_IS_SOURCE",
        "changes no name",
    ),
    (
        to_itself("library/**", namespace="library", replace_count=1),
        "destinations[0].registry",
        "DESTINATION_IS_SOURCE",
        "changes no name",
    ),
    (to_itself("{a,b}/x", namespace="a"), "destinations[0].registry", "DESTINATION_IS_SOURCE", "changes no name"),
    (
        to_itself("a/b", "c/d", rewrite=rewrite("a/(.*)", r"m/\1")),
        "destinations[0].registry",
        "DESTINATION_IS_SOURCE",
        "changes no name",
    ),
    (to_itself("a/b", repository="a/b"), "destinations[0].registry", "DESTINATION_IS_SOURCE", "changes no name"),
    (to_itself("hub/b", template="{registry}/{name}"), "destinations[0].registry", "DESTINATION_IS_SOURCE", ""),
]


@pytest.mark.parametrize(("wrong", "field", "reason", "advice"), MISTAKES)
async def test_a_mistake_is_refused_with_its_field_and_a_way_out(
    service: PolicyService, wrong: PolicySpec, field: str, reason: str, advice: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await service.create("nightly", wrong)

    assert [(each.field, each.reason) for each in caught.value.violations] == [(f"policy.{field}", reason)]
    assert advice in caught.value.violations[0].description


@pytest.mark.parametrize(
    "sound",
    [
        everything(),
        scheduled("*/2 * * * *", jitter=timedelta(minutes=2)),
        scheduled("0 */2 * * * *", time_zone="Asia/Shanghai"),
        spec(windows=(TimeWindow(start="00:00", end="00:00"),)),
        spec(trigger=EVENT, deletion=Deletion(on_event=True, prune=Prune(max_tags=1))),
        spec(deletion=Deletion(prune=Prune(max_percent=1, grace_period=DAY))),
        spec(deletion=Deletion()),
        spec(retention=Retention(max_count=1)),
        spec(newest=Newest(order=Order.CREATE_TIME, max_age=DAY, min_count=5)),
        a_spec(to(), to(namespace="a"), to(namespace="a", replace_count=0), to(tag="{name}-{tag}")),
        a_spec(to(), to(rewrite=rewrite("team/(.*)", r"m/\1"))),
        a_spec(to(namespace="a"), to(template="b/{name}"), to(namespace="a", tag="{tag}-copy")),
        a_spec(to(), to(namespace="library"), filters=[a_rule("library/**")]),
        a_spec(to(rewrite=rewrite(r"(\w+)(/.*)?", r"\1-m\2")), to(rewrite=rewrite("(a)(b)?", r"\1_\2x"))),
        spec(override=True, backup_tag="old-{digest}"),
        a_spec(to(repository="a/b"), filters=[a_rule("x/y"), a_rule(Semver("1.x"), Dimension.TAG)]),
        # Back to the source, under other names.
        to_itself(namespace="mirror"),
        to_itself(namespace="library", replace_count=0),
        to_itself(template="mirror/{path}"),
        to_itself(template="{name}"),
        to_itself(tag="{tag}-copy"),
        to_itself("a/b", tag="{tag}-copy"),
        to_itself("library/*", namespace="mirror"),
        to_itself("library/**", rewrite=rewrite("library/(.*)", r"mirror/\1")),
        to_itself("a/b", rewrite=rewrite("a/(.*)", r"m/\1")),
        a_spec(to("hub", namespace="n" * 254), filters=[a_rule("a/x")]),
    ],
)
async def test_what_is_sound_is_kept(service: PolicyService, sound: PolicySpec) -> None:
    assert (await service.create("nightly", sound)).spec == sound


@pytest.mark.parametrize(
    ("wrong", "field", "reason", "advice"),
    [
        (a_spec(to("third")), "destinations[0].registry", "DESTINATION_IS_SOURCE", "has the URL of the source"),
        (
            a_spec(to(), to("third", template="{path}")),
            "destinations[1].registry",
            "DESTINATION_IS_SOURCE",
            "give it a namespace",
        ),
        (
            a_spec(to("hub"), to("third"), source="registries/backup"),
            "destinations[1]",
            "DESTINATION_DUPLICATE",
            "the same place as destinations[0]",
        ),
    ],
)
async def test_two_registries_with_one_url_are_one_place(
    service: PolicyService, registries: FakeRegistries, wrong: PolicySpec, field: str, reason: str, advice: str
) -> None:
    registries.urls = dict.fromkeys(("registries/hub", "registries/third"), "https://hub.example")

    with pytest.raises(InvalidRequest) as caught:
        await service.create("nightly", wrong)

    assert [(each.field, each.reason) for each in caught.value.violations] == [(f"policy.{field}", reason)]
    assert advice in caught.value.violations[0].description
    mapped = a_spec(to("third", namespace="mirror"))
    assert (await service.create("nightly", mapped)).spec == mapped


async def test_filters_are_read_as_often_for_many_destinations_as_for_one(service: PolicyService) -> None:
    read: Counter[int] = Counter()

    class Counted(Glob):
        def compile(self) -> Callable[[str], bool]:
            read[count] += 1
            return Glob.compile(self)

    for count in (1, 20):
        destinations = [to(namespace=f"n{number}") for number in range(count)]
        await service.create(f"to-{count}", a_spec(*destinations, filters=[a_rule(Counted("team/*"))]))
    assert read[20] == read[1] > 0


async def test_all_mistakes_are_told_at_once(service: PolicyService) -> None:
    wrong = replace(
        a_spec(to(template="{user}"), filters=[a_rule("{")]),
        trigger=ScheduledTrigger(cron="bad"),
        deletion=Deletion(prune=Prune()),
    )

    with pytest.raises(InvalidRequest) as caught:
        await service.create("nightly", wrong)

    assert [each.field for each in caught.value.violations] == [
        "policy.filters[0].glob",
        "policy.destinations[0].template",
        "policy.trigger.scheduled.cron",
        "policy.deletion.prune",
    ]


@pytest.mark.parametrize(
    ("asked", "field", "reason"),
    [
        (
            a_spec(filters=[a_rule("a"), a_rule("signed", Dimension.LABEL)]),
            "filters[1].dimension",
            "DIMENSION_UNSUPPORTED",
        ),
        (
            a_spec(filters=[a_rule("chart", Dimension.RESOURCE_TYPE, Action.EXCLUDE)]),
            "filters[0].dimension",
            "DIMENSION_UNSUPPORTED",
        ),
        (spec(trigger=EVENT), "trigger.event", "EVENTS_UNSUPPORTED"),
    ],
)
async def test_what_the_source_cannot_do_is_refused(
    service: PolicyService, registries: FakeRegistries, asked: PolicySpec, field: str, reason: str
) -> None:
    registries.dimensions, registries.sends_events = frozenset({Dimension.NAME, Dimension.TAG}), False

    with pytest.raises(InvalidRequest) as caught:
        await service.create("nightly", asked)

    assert [(each.field, each.reason) for each in caught.value.violations] == [(f"policy.{field}", reason)]
    assert "registries/hub" in caught.value.violations[0].description


async def test_a_trigger_that_stays_is_not_asked_of_the_source_again(
    service: PolicyService, registries: FakeRegistries
) -> None:
    await service.create("nightly", spec(trigger=EVENT))
    registries.reachable = False

    disabled = await service.update("nightly", etag="", change=lambda old: replace(old, disabled=True))

    assert disabled.spec == spec(trigger=EVENT, disabled=True)


async def test_a_schedule_of_every_minute_is_taken_where_the_configuration_allows_it(
    registries: FakeRegistries,
) -> None:
    store = MemoryPolicyStore()
    allowing = PolicyService(store, registries, FakeClock(), fast_schedules=True)
    await allowing.create("nightly", scheduled("* * * * * *"))

    service = PolicyService(store, registries, FakeClock())
    kept = await service.update("nightly", etag="", change=lambda old: replace(old, description="still"))
    assert kept.spec.description == "still"
    with pytest.raises(InvalidRequest):
        await service.update("nightly", etag="", change=lambda _: scheduled("*/2 * * * * *"))
