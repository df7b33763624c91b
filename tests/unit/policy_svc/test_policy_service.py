"""What policies are held to, without a server: every mistake names its field."""

import asyncio
from dataclasses import replace

import pytest

from policy_svc.domain.errors import PolicyAlreadyExists, PolicyNotFound
from policy_svc.domain.policy import Destination, PolicySpec, TransferOptions
from policy_svc.service import PolicyService
from replication.filters import Action, Dimension, FilterRule
from replication.matchers import Matcher, Regex, Semver
from service_kit.clock import FakeClock
from service_kit.errors import EtagMismatch, InvalidRequest, Kind, ServiceError, ServiceUnavailable
from tests.policies import FakeRegistries, MemoryPolicyStore, a_rule, a_spec

UID = "0b8f6a52-6f3a-4b0e-9a53-0a3d1c0f6a11"


@pytest.fixture
def registries() -> FakeRegistries:
    return FakeRegistries()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def service(registries: FakeRegistries, clock: FakeClock) -> PolicyService:
    return PolicyService(MemoryPolicyStore(), registries, clock)


def to(registry: str = "backup", *, namespace: str = "", repository: str = "") -> Destination:
    return Destination(registry=f"registries/{registry}", namespace=namespace, repository=repository)


def _tags(matcher: Matcher) -> FilterRule:
    return FilterRule(dimension=Dimension.TAG, matcher=matcher)


@pytest.mark.parametrize(
    ("spec", "field", "reason"),
    [
        (a_spec(filters=[a_rule("a"), a_rule("b{c")]), "policy.filters[1].glob", "GLOB_INVALID"),
        (a_spec(filters=[_tags(Regex("v("))]), "policy.filters[0].regex", "REGEX_INVALID"),
        (a_spec(filters=[a_rule("a"), _tags(Semver("~"))]), "policy.filters[1].semver", "SEMVER_INVALID"),
        (
            a_spec(filters=[FilterRule(dimension=Dimension.NAME, matcher=Semver("1.x"))]),
            "policy.filters[0].semver",
            "MATCHER_MISPLACED",
        ),
        (a_spec(filters=[a_rule("a\0")]), "policy.filters[0].glob", "CHARACTER_INVALID"),
        (a_spec(description="a\0b"), "policy.description", "CHARACTER_INVALID"),
        (
            replace(a_spec(), options=TransferOptions(referrer_types=("a/b", "a\0b"))),
            "policy.options.referrer_types[1]",
            "CHARACTER_INVALID",
        ),
        (a_spec(to(), to()), "policy.destinations[1]", "DESTINATION_DUPLICATE"),
        (a_spec(to(namespace="a"), to("third"), to(namespace="a")), "policy.destinations[2]", "DESTINATION_DUPLICATE"),
        (a_spec(to(repository="a/b")), "policy.destinations[0].repository", "NAME_NOT_LITERAL"),
        (
            a_spec(to("third"), to(repository="a/b"), filters=[a_rule("library/{a,b}")]),
            "policy.destinations[1].repository",
            "NAME_NOT_LITERAL",
        ),
        (
            a_spec(to(repository="a/b"), filters=[a_rule("x", action=Action.EXCLUDE)]),
            "policy.destinations[0].repository",
            "NAME_NOT_LITERAL",
        ),
        (a_spec(to("third"), to("hub")), "policy.destinations[1].registry", "DESTINATION_IS_SOURCE"),
        (
            a_spec(to("hub", repository="a/b"), filters=[a_rule("a/b")]),
            "policy.destinations[0].registry",
            "DESTINATION_IS_SOURCE",
        ),
        (
            a_spec(to("hub", namespace="a"), filters=[a_rule("{a,b}/x")]),
            "policy.destinations[0].registry",
            "DESTINATION_IS_SOURCE",
        ),
    ],
)
async def test_a_mistake_names_its_field(service: PolicyService, spec: PolicySpec, field: str, reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await service.create("nightly", spec)

    assert [(each.field, each.reason) for each in caught.value.violations] == [(field, reason)]
    with pytest.raises(PolicyNotFound):
        await service.get("nightly")


async def test_a_bad_glob_is_told_with_its_place(service: PolicyService) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await service.create("nightly", a_spec(filters=[a_rule("library/[z-a]")]))

    assert caught.value.violations[0].description == "the range z-a runs backwards (at character 10)"


@pytest.mark.parametrize(
    "spec",
    [
        a_spec(to(), to(namespace="a"), to(namespace="b"), to("third")),
        a_spec(to(repository="a/b"), filters=[a_rule("library/nginx"), a_rule("v*", Dimension.TAG)]),
        a_spec(to("hub", namespace="mirror")),
        a_spec(to("hub", repository="mirror/x"), filters=[a_rule("a/x")]),
        a_spec(to("hub", namespace="n" * 254), filters=[a_rule("a/x")]),
    ],
)
async def test_sound_policies_are_stored(service: PolicyService, spec: PolicySpec) -> None:
    assert (await service.create("nightly", spec)).spec == spec


async def test_each_missing_registry_is_named_with_its_field(service: PolicyService) -> None:
    with pytest.raises(ServiceError) as caught:
        await service.create("nightly", a_spec(to("backup"), to("nowhere"), source="registries/gone"))

    assert (caught.value.kind, caught.value.reason) == (Kind.NOT_FOUND, "REGISTRY_NOT_FOUND")
    assert caught.value.metadata == {"registry": "registries/gone, registries/nowhere"}
    assert [each.field for each in caught.value.violations] == [
        "policy.source_registry",
        "policy.destinations[1].registry",
    ]


async def test_registries_are_kept_under_their_names(service: PolicyService, registries: FakeRegistries) -> None:
    registries.names[f"registries/{UID}"] = "registries/backup"

    policy = await service.create("nightly", a_spec(to(UID)))

    assert policy.spec == a_spec(to("backup"))
    assert await service.page(after="", limit=9, registry=f"registries/{UID}") == [policy]
    with pytest.raises(InvalidRequest) as caught:
        await service.create("twice", a_spec(to(UID), to("backup")))
    assert caught.value.violations[0].reason == "DESTINATION_DUPLICATE"


async def test_a_dimension_that_the_source_cannot_filter_by_is_refused(
    service: PolicyService, registries: FakeRegistries
) -> None:
    registries.dimensions = frozenset({Dimension.NAME})

    with pytest.raises(InvalidRequest) as caught:
        await service.create("nightly", a_spec(filters=[a_rule("a"), a_rule("v1", Dimension.TAG)]))

    assert [(each.field, each.reason) for each in caught.value.violations] == [
        ("policy.filters[1].dimension", "DIMENSION_UNSUPPORTED")
    ]


async def test_a_check_stores_nothing_and_tells_a_taken_id(service: PolicyService) -> None:
    assert await service.check("nightly", a_spec()) == a_spec()
    await service.create("nightly", a_spec())

    assert await service.check("", a_spec()) == a_spec()
    with pytest.raises(PolicyAlreadyExists):
        await service.check("nightly", a_spec())


async def test_an_update_is_a_new_revision(service: PolicyService, clock: FakeClock) -> None:
    created = await service.create("nightly", a_spec())
    clock.advance(5)

    updated = await service.update("nightly", etag=created.etag, change=lambda spec: replace(spec, disabled=True))

    assert updated.spec == replace(created.spec, disabled=True)
    assert (updated.create_time, updated.update_time) == (created.create_time, clock.now())
    assert updated.etag != created.etag
    assert await service.get("nightly") == updated


async def test_an_old_etag_changes_nothing(service: PolicyService) -> None:
    created = await service.create("nightly", a_spec())
    updated = await service.update("nightly", etag="", change=lambda spec: replace(spec, override=True))

    with pytest.raises(EtagMismatch):
        await service.update("nightly", etag=created.etag, change=lambda spec: replace(spec, disabled=True))

    assert await service.get("nightly") == updated


async def test_an_etag_of_a_deleted_namesake_is_old(service: PolicyService) -> None:
    before = await service.create("nightly", a_spec())
    await service.delete("nightly")
    await service.create("nightly", a_spec())

    with pytest.raises(EtagMismatch):
        await service.update("nightly", etag=before.etag, change=lambda spec: spec)


async def test_changes_at_once_are_all_kept(registries: FakeRegistries) -> None:
    """Whoever loses the race applies its change to what the winner wrote."""

    class SlowStore(MemoryPolicyStore):
        async def get(self, key: str):  # type: ignore[no-untyped-def]
            policy = await super().get(key)
            await asyncio.sleep(0)
            return policy

    service = PolicyService(SlowStore(), registries, FakeClock())
    await service.create("nightly", a_spec())

    await asyncio.gather(
        service.update("nightly", etag="", change=lambda spec: replace(spec, disabled=True)),
        service.update("nightly", etag="", change=lambda spec: replace(spec, override=True)),
        service.update("nightly", etag="", change=lambda spec: replace(spec, description="all")),
    )

    policy = await service.get("nightly")
    assert policy.spec == replace(a_spec(), disabled=True, override=True, description="all")
    assert policy.revision == 4


async def test_a_policy_can_be_disabled_while_the_registry_service_is_away(
    service: PolicyService, registries: FakeRegistries
) -> None:
    await service.create("nightly", a_spec(filters=[a_rule("library/**")]))
    registries.reachable = False

    updated = await service.update("nightly", etag="", change=lambda spec: replace(spec, disabled=True))

    assert updated.spec.disabled
    with pytest.raises(ExceptionGroup) as caught:
        await service.update("nightly", etag="", change=lambda _: a_spec(to("third")))
    assert {type(each) for each in caught.value.exceptions} == {ServiceUnavailable}


async def test_the_registries_are_asked_when_something_of_theirs_has_changed(
    service: PolicyService, registries: FakeRegistries
) -> None:
    await service.create("nightly", a_spec(filters=[a_rule("a")]))
    registries.asked.clear()

    await service.update("nightly", etag="", change=lambda spec: replace(spec, override=True))
    assert registries.asked == []
    await service.update("nightly", etag="", change=lambda spec: replace(spec, destinations=(to("third"),)))
    assert sorted(registries.asked) == ["registries/hub", "registries/third"]
    await service.update("nightly", etag="", change=lambda spec: replace(spec, filters=(a_rule("b"),)))
    assert registries.asked[-1] == "registries/hub info"
