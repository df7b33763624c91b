"""The policy service over gRPC, as its callers see it: PostgreSQL below, a small registry service beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask

from policy_svc.convert.requests import MUTABLE
from policy_svc.gateways import GrpcCatalogGateway, GrpcRegistryGateway
from policy_svc.postgres import PostgresPolicyStore
from policy_svc.service import PolicyService
from policy_svc.servicer import PolicyServicer
from policy_svc.trials import Trials
from service_kit.clock import SystemClock
from service_kit.database import Pool, open_pool
from service_kit.errors import DOMAIN, Kind, RemoteError, ServiceError
from service_kit.paging import PageToken
from service_kit.status import from_rpc_error
from service_kit.testing import served
from tests.postgres import Database
from transship.policy.v1 import policy_pb2 as pb
from transship.policy.v1.policy_pb2_grpc import PolicyServiceStub, add_PolicyServiceServicer_to_server
from transship.registry.v1 import catalog_pb2, registry_pb2
from transship.registry.v1.catalog_pb2_grpc import CatalogServiceServicer, add_CatalogServiceServicer_to_server
from transship.registry.v1.registry_pb2_grpc import RegistryServiceServicer, add_RegistryServiceServicer_to_server
from transship.type.v1.artifact_pb2 import ArtifactReference, Resource
from transship.type.v1.filter_pb2 import Filter, Newest
from transship.type.v1.selection_pb2 import Rejection
from transship.type.v1.transfer_pb2 import Failure, TransferOptions

if TYPE_CHECKING:  # it is in the stubs only
    from transship.policy.v1.policy_pb2_grpc import PolicyServiceAsyncStub

BACKUP_UID = "0b8f6a52-6f3a-4b0e-9a53-0a3d1c0f6a11"
_NAMES = {"registries/hub": "hub", "registries/backup": "backup", f"registries/{BACKUP_UID}": "backup"}
OPTIONS = TransferOptions(
    platforms=["linux/amd64", "linux/arm64/v8"],
    referrers=True,
    referrer_types=["application/spdx+json"],
    foreign_layers=True,
    max_bytes_per_second=2**40,
)


class Catalog(CatalogServiceServicer):
    """Has what it is told to have, and remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[catalog_pb2.ListResourcesResponse] = []
        self.asked: list[catalog_pb2.ListResourcesRequest] = []

    async def ListResources(
        self, request: catalog_pb2.ListResourcesRequest, context: object
    ) -> AsyncIterator[catalog_pb2.ListResourcesResponse]:
        self.asked.append(request)
        for batch in self.batches:
            yield batch


class Registries(RegistryServiceServicer):
    """Two registries; the hub cannot be filtered by tag."""

    async def GetRegistry(self, request: registry_pb2.GetRegistryRequest, context: object) -> registry_pb2.Registry:
        if request.name not in _NAMES:
            raise RemoteError.of(Kind.NOT_FOUND, reason="REGISTRY_NOT_FOUND", domain=DOMAIN, message="no such registry")
        return registry_pb2.Registry(name=f"registries/{_NAMES[request.name]}")

    async def GetRegistryInfo(
        self, request: registry_pb2.GetRegistryInfoRequest, context: object
    ) -> registry_pb2.RegistryInfo:
        tag = [] if request.name == "registries/hub" else [Filter.DIMENSION_TAG]
        dimensions = [Filter.DIMENSION_NAME, Filter.DIMENSION_LABEL, *tag]
        return registry_pb2.RegistryInfo(filter_dimensions=dimensions, max_path_components=3)


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("policy_svc"), schema="policy") as pool:
        yield pool


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()  # type: ignore[abstract]  # the other methods answer UNIMPLEMENTED


@pytest.fixture
async def stub(pool: Pool, catalog: Catalog) -> AsyncIterator[PolicyServiceAsyncStub]:
    fake = Registries()  # type: ignore[abstract]  # the other methods answer UNIMPLEMENTED
    async with (
        served(add_RegistryServiceServicer_to_server, fake) as registry_channel,
        served(add_CatalogServiceServicer_to_server, catalog) as catalog_channel,
    ):
        registries, clock = GrpcRegistryGateway(registry_channel), SystemClock()
        policies = PolicyService(PostgresPolicyStore(pool), registries, clock)
        trials = Trials(policies, registries, GrpcCatalogGateway(catalog_channel), clock)
        async with served(add_PolicyServiceServicer_to_server, PolicyServicer(policies, trials)) as channel:
            yield PolicyServiceStub(channel)


class Refusal:
    """What the caller of a refused call learns."""

    error: ServiceError

    @property
    def fields(self) -> list[str]:
        return [each.field for each in self.error.violations]


@contextmanager
def refused(kind: Kind, reason: str) -> Iterator[Refusal]:
    refusal = Refusal()
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        yield refusal
    refusal.error = from_rpc_error(caught.value)
    assert (refusal.error.kind, refusal.error.reason) == (kind, reason), refusal.error


def a_policy(**fields: object) -> pb.Policy:
    policy = pb.Policy(source_registry="registries/hub", destinations=[pb.Destination(registry="registries/backup")])
    changed = pb.Policy(**fields)  # type: ignore[arg-type]  # any fields of it
    for field, _ in changed.ListFields():
        policy.ClearField(field.name)
    policy.MergeFrom(changed)
    return policy


def create(policy: pb.Policy, policy_id: str = "nightly", *, validate_only: bool = False) -> pb.CreatePolicyRequest:
    return pb.CreatePolicyRequest(policy_id=policy_id, policy=policy, validate_only=validate_only)


def update(policy: pb.Policy, *paths: str) -> pb.UpdatePolicyRequest:
    return pb.UpdatePolicyRequest(policy=policy, update_mask=FieldMask(paths=paths))


def a_filter(glob: str, *, exclude: bool = False) -> Filter:
    action = Filter.ACTION_EXCLUDE if exclude else Filter.ACTION_UNSPECIFIED
    return Filter(dimension=Filter.DIMENSION_NAME, glob=glob, action=action)


async def test_a_created_policy_is_read_by_name_and_by_uid(stub: PolicyServiceAsyncStub) -> None:
    wanted = a_policy(
        description="every night",
        destinations=[pb.Destination(registry=f"registries/{BACKUP_UID}", namespace="mirror")],
        filters=[
            a_filter("library/**"),
            a_filter("library/x*", exclude=True),
            Filter(dimension=Filter.DIMENSION_LABEL, action=Filter.ACTION_INCLUDE, regex="prod|live"),
        ],
        override=True,
        options=OPTIONS,
    )

    created = await stub.CreatePolicy(create(wanted))

    assert created.name == "policies/nightly"
    assert created.destinations[0] == pb.Destination(registry="registries/backup", namespace="mirror")
    assert [each.action for each in created.filters[:2]] == [Filter.ACTION_INCLUDE, Filter.ACTION_EXCLUDE]
    assert created.filters[1:] == wanted.filters[1:]
    assert created.trigger.WhichOneof("kind") == "manual"
    assert created.options == OPTIONS
    assert created.create_time == created.update_time
    assert await stub.GetPolicy(pb.GetPolicyRequest(name=created.name)) == created
    assert await stub.GetPolicy(pb.GetPolicyRequest(name=f"policies/{created.uid}")) == created


EVERYTHING = pb.Policy(
    description="Überall",
    source_registry="registries/backup",
    destinations=[
        pb.Destination(registry="registries/hub", namespace="mirror", replace_count=-1, tag="{name}-{tag}"),
        pb.Destination(registry="registries/hub", template="{registry}/{path}"),
        pb.Destination(registry="registries/hub", rewrite=pb.RegexRewrite(regex="a/(.*)", replacement=r"b/\1")),
        pb.Destination(registry="registries/hub", namespace="all", replace_count=0),
    ],
    filters=[
        Filter(dimension=Filter.DIMENSION_NAME, action=Filter.ACTION_INCLUDE, regex="library/.*"),
        Filter(dimension=Filter.DIMENSION_TAG, action=Filter.ACTION_EXCLUDE, semver="<1.0"),
    ],
    newest=Newest(order=Newest.ORDER_CREATE_TIME, count=5, max_age=Duration(seconds=86400, nanos=5000), min_count=2),
    override=True,
    backup_tag="{tag}-before-{date}",
    trigger=pb.Trigger(
        scheduled=pb.ScheduledTrigger(
            cron="0 30 2 * * *",
            time_zone="Europe/Berlin",
            jitter=Duration(seconds=600),
            missed_runs=pb.ScheduledTrigger.MISSED_RUNS_RUN_ONCE,
        )
    ),
    options=OPTIONS,
    deletion=pb.Deletion(prune=pb.Prune(max_percent=10, max_tags=5, grace_period=Duration(seconds=3600))),
    overlap=pb.Policy.OVERLAP_REPLACE,
    max_parallel_tasks=4,
    windows=[pb.TimeWindow(start="22:00", end="06:00", days=[1, 7], time_zone="Asia/Shanghai")],
    retention=pb.Retention(max_count=10, max_age=Duration(seconds=86400)),
)


def without_output(policy: pb.Policy) -> pb.Policy:
    """What people wrote of it."""
    written = pb.Policy()
    written.CopyFrom(policy)
    for field in ("name", "uid", "etag", "create_time", "update_time", "next_run_time"):
        written.ClearField(field)
    return written


async def test_every_field_comes_back_as_it_was_written(stub: PolicyServiceAsyncStub) -> None:
    """Also by an update that changes them all."""
    created = await stub.CreatePolicy(create(EVERYTHING))
    plain = await stub.CreatePolicy(create(a_policy(), "plain"))
    named = pb.Policy(name="policies/plain")
    named.MergeFrom(EVERYTHING)

    updated = await stub.UpdatePolicy(update(named, *MUTABLE))
    assert without_output(created) == without_output(updated) == EVERYTHING
    assert await stub.GetPolicy(pb.GetPolicyRequest(name=updated.name)) == updated

    plain.etag = ""
    back = await stub.UpdatePolicy(update(plain, "*"))
    assert without_output(back) == without_output(plain)


async def test_defaults_are_filled_in(stub: PolicyServiceAsyncStub) -> None:
    scheduled = pb.Trigger(scheduled=pb.ScheduledTrigger(cron="@daily"))
    window = pb.TimeWindow(start="00:00", end="01:00")

    created = await stub.CreatePolicy(create(a_policy(trigger=scheduled, windows=[window])))

    assert created.trigger.scheduled.time_zone == created.windows[0].time_zone == "UTC"
    assert created.trigger.scheduled.missed_runs == pb.ScheduledTrigger.MISSED_RUNS_SKIP
    assert created.overlap == pb.Policy.OVERLAP_QUEUE
    assert not any(map(created.HasField, ("newest", "deletion", "retention")))


async def test_the_next_run_is_that_of_the_present_schedule(stub: PolicyServiceAsyncStub) -> None:
    yearly = pb.Trigger(scheduled=pb.ScheduledTrigger(cron="0 12 24 12 *", time_zone="Europe/Berlin"))

    manual = await stub.CreatePolicy(create(a_policy()))
    scheduled = await stub.UpdatePolicy(update(pb.Policy(name=manual.name, trigger=yearly), "trigger"))
    disabled = await stub.UpdatePolicy(update(pb.Policy(name=manual.name, disabled=True), "disabled"))

    assert (manual.HasField("next_run_time"), disabled.HasField("next_run_time")) == (False, False)
    assert scheduled.next_run_time.ToDatetime().strftime("%m-%d %H:%M") == "12-24 11:00"
    assert disabled.trigger == scheduled.trigger


async def test_an_id_is_taken_once(stub: PolicyServiceAsyncStub) -> None:
    await stub.CreatePolicy(create(a_policy()))

    with refused(Kind.ALREADY_EXISTS, "POLICY_ALREADY_EXISTS") as refusal:
        await stub.CreatePolicy(create(a_policy()))

    assert refusal.error.metadata == {"policy": "policies/nightly"}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (create(a_policy(), ""), "policy_id"),
        (create(a_policy(), "Nightly"), "policy_id"),
        (create(a_policy(), "-a"), "policy_id"),
        (create(a_policy(), "a" * 65), "policy_id"),
        (pb.CreatePolicyRequest(policy_id="a"), "policy"),
        (create(a_policy(description="x" * 1001)), "policy.description"),
        (create(a_policy(description="a\0b")), "policy.description"),
        (create(a_policy(source_registry="hub")), "policy.source_registry"),
        (create(pb.Policy(source_registry="registries/hub")), "policy.destinations"),
        (create(a_policy(destinations=[pb.Destination(registry="x")])), "policy.destinations[0].registry"),
        (
            create(a_policy(destinations=[pb.Destination(registry="registries/backup", namespace="Mirror/")])),
            "policy.destinations[0].namespace",
        ),
        (
            create(a_policy(destinations=[pb.Destination(registry="registries/backup", repository="a/b")])),
            "policy.destinations[0].repository",
        ),
        (create(a_policy(destinations=[pb.Destination(registry="registries/hub")])), "policy.destinations[0].registry"),
        (create(a_policy(filters=[a_filter("a"), a_filter("[b")])), "policy.filters[1].glob"),
        (create(a_policy(filters=[a_filter("a" * 1025)])), "policy.filters[0].glob"),
        (create(a_policy(filters=[Filter(glob="a")])), "policy.filters[0].dimension"),
        (
            create(a_policy(filters=[Filter(glob="v1", dimension=Filter.DIMENSION_TAG)])),
            "policy.filters[0].dimension",
        ),
        (create(a_policy(trigger=pb.Trigger())), "policy.trigger.kind"),
        (create(a_policy(options=TransferOptions(platforms=["linux"]))), "policy.options.platforms[0]"),
        (create(a_policy(options=TransferOptions(platforms=["linux/arm64"] * 2))), "policy.options.platforms"),
        (create(a_policy(options=TransferOptions(referrer_types=[""]))), "policy.options.referrer_types[0]"),
        (create(a_policy(options=TransferOptions(max_bytes_per_second=-1))), "policy.options.max_bytes_per_second"),
    ],
)
async def test_a_bad_policy_is_refused_with_its_field(
    stub: PolicyServiceAsyncStub, request_: pb.CreatePolicyRequest, field: str
) -> None:
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.CreatePolicy(request_)

    assert refusal.fields == [field]
    assert not (await stub.ListPolicies(pb.ListPoliciesRequest())).policies


async def test_missing_registries_are_named(stub: PolicyServiceAsyncStub) -> None:
    policy = a_policy(source_registry="registries/gone")
    policy.destinations.add(registry="registries/nowhere")

    with refused(Kind.NOT_FOUND, "REGISTRY_NOT_FOUND") as refusal:
        await stub.CreatePolicy(create(policy))

    assert refusal.fields == ["policy.source_registry", "policy.destinations[1].registry"]


async def test_validate_only_fills_in_the_defaults_and_stores_nothing(stub: PolicyServiceAsyncStub) -> None:
    checked = await stub.CreatePolicy(create(a_policy(filters=[a_filter("a")]), "", validate_only=True))

    assert (checked.name, checked.uid, checked.etag) == ("", "", "")
    assert checked.trigger.WhichOneof("kind") == "manual"
    assert checked.filters[0].action == Filter.ACTION_INCLUDE
    assert checked.HasField("options")
    assert checked.options == TransferOptions()
    assert not (await stub.ListPolicies(pb.ListPoliciesRequest())).policies
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.CreatePolicy(create(a_policy(filters=[a_filter("{")]), "", validate_only=True))
    assert refusal.fields == ["policy.filters[0].glob"]


async def test_only_masked_fields_change(stub: PolicyServiceAsyncStub) -> None:
    created = await stub.CreatePolicy(create(a_policy(description="old", override=True)))
    change = pb.Policy(name=f"policies/{created.uid}", etag=created.etag, description="new", disabled=True)

    updated = await stub.UpdatePolicy(update(change, "disabled", "override"))

    assert (updated.description, updated.disabled, updated.override) == ("old", True, False)
    assert updated.destinations == created.destinations
    assert updated.etag != created.etag
    assert await stub.GetPolicy(pb.GetPolicyRequest(name=created.name)) == updated
    with refused(Kind.ABORTED, "ETAG_MISMATCH"):
        await stub.UpdatePolicy(update(change, "description"))


async def test_lists_are_replaced_whole(stub: PolicyServiceAsyncStub) -> None:
    await stub.CreatePolicy(create(a_policy(filters=[a_filter("a"), a_filter("b")])))

    updated = await stub.UpdatePolicy(update(pb.Policy(name="policies/nightly", filters=[a_filter("c")]), "filters"))
    assert [each.glob for each in updated.filters] == ["c"]

    updated = await stub.UpdatePolicy(update(pb.Policy(name="policies/nightly"), "filters"))
    assert not updated.filters


async def test_options_are_replaced_whole(stub: PolicyServiceAsyncStub) -> None:
    await stub.CreatePolicy(create(a_policy(options=OPTIONS)))
    limited = TransferOptions(max_bytes_per_second=1)

    updated = await stub.UpdatePolicy(update(pb.Policy(name="policies/nightly", options=limited), "options"))
    assert updated.options == limited

    updated = await stub.UpdatePolicy(update(pb.Policy(name="policies/nightly", options=OPTIONS), "disabled"))
    assert updated.options == limited

    updated = await stub.UpdatePolicy(update(pb.Policy(name="policies/nightly"), "options"))
    assert updated.options == TransferOptions()


@pytest.mark.parametrize(
    ("change", "path", "field"),
    [
        (pb.Policy(description="x" * 1001), "description", "policy.description"),
        (pb.Policy(), "destinations", "policy.destinations"),
        (pb.Policy(), "source_registry", "policy.source_registry"),
        (
            pb.Policy(destinations=[pb.Destination(registry="registries/backup")] * 2),
            "destinations",
            "policy.destinations[1]",
        ),
        (pb.Policy(destinations=[pb.Destination(registry="no")]), "destinations", "policy.destinations[0].registry"),
        (pb.Policy(filters=[a_filter("a"), a_filter("{")]), "filters", "policy.filters[1].glob"),
        (pb.Policy(trigger=pb.Trigger()), "trigger", "policy.trigger.kind"),
        (pb.Policy(options=TransferOptions(platforms=["Linux/x"])), "options", "policy.options.platforms[0]"),
        (pb.Policy(source_registry="registries/backup"), "source_registry", "policy.destinations[0].registry"),
    ],
)
async def test_a_bad_change_is_refused_with_its_field(
    stub: PolicyServiceAsyncStub, change: pb.Policy, path: str, field: str
) -> None:
    created = await stub.CreatePolicy(create(a_policy()))
    named = pb.Policy(name="policies/nightly")
    named.MergeFrom(change)

    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.UpdatePolicy(update(named, path))

    assert refusal.fields == [field]
    assert await stub.GetPolicy(pb.GetPolicyRequest(name="policies/nightly")) == created


async def test_what_else_an_update_may_get_wrong(stub: PolicyServiceAsyncStub) -> None:
    policy = pb.Policy(name="policies/nightly")

    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.UpdatePolicy(update(pb.Policy(), "disabled"))
    assert refusal.fields == ["policy.name"]
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.UpdatePolicy(pb.UpdatePolicyRequest(policy=policy))
    assert refusal.fields == ["update_mask"]
    for path in ("uid", "name", "nothing", "destinations.registry", "options.referrers"):
        with refused(Kind.INVALID_ARGUMENT, "UNKNOWN_FIELD_IN_MASK") as refusal:
            await stub.UpdatePolicy(update(policy, path))
        assert refusal.fields == ["update_mask"]
    with refused(Kind.NOT_FOUND, "POLICY_NOT_FOUND"):
        await stub.UpdatePolicy(update(policy, "disabled"))


async def test_a_deleted_policy_is_not_found(stub: PolicyServiceAsyncStub) -> None:
    await stub.CreatePolicy(create(a_policy()))
    await stub.DeletePolicy(pb.DeletePolicyRequest(name="policies/nightly"))

    with refused(Kind.NOT_FOUND, "POLICY_NOT_FOUND") as refusal:
        await stub.GetPolicy(pb.GetPolicyRequest(name="policies/nightly"))
    assert refusal.error.metadata == {"policy": "policies/nightly"}
    with refused(Kind.NOT_FOUND, "POLICY_NOT_FOUND"):
        await stub.DeletePolicy(pb.DeletePolicyRequest(name="policies/nightly"))


@pytest.mark.parametrize(
    "name", ["", "nightly", "policies/", "policies/A", "registries/a", "policies/a\n", "policies/a/b"]
)
async def test_what_is_no_name_is_refused(stub: PolicyServiceAsyncStub, name: str) -> None:
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.GetPolicy(pb.GetPolicyRequest(name=name))
    assert refusal.fields == ["name"]
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST"):
        await stub.DeletePolicy(pb.DeletePolicyRequest(name=name))


async def test_pages_hold_every_policy_once(stub: PolicyServiceAsyncStub) -> None:
    for number in range(5):
        await stub.CreatePolicy(create(a_policy(), f"p{number}"))

    names, token = [], ""
    for _ in range(3):
        page = await stub.ListPolicies(pb.ListPoliciesRequest(page_size=2, page_token=token))
        names += [each.name for each in page.policies]
        token = page.next_page_token

    assert names == [f"policies/p{number}" for number in range(5)]
    assert token == ""


async def test_a_page_that_would_be_too_large_ends_early(stub: PolicyServiceAsyncStub) -> None:
    large = a_policy(filters=[a_filter("é" * 1024)] * 200)
    for number in range(9):
        await stub.CreatePolicy(create(large, f"p{number}"))

    first = await stub.ListPolicies(pb.ListPoliciesRequest())
    second = await stub.ListPolicies(pb.ListPoliciesRequest(page_token=first.next_page_token))

    assert (len(first.policies), len(second.policies), second.next_page_token) == (7, 2, "")


async def test_policies_of_a_registry(stub: PolicyServiceAsyncStub) -> None:
    await stub.CreatePolicy(create(a_policy(), "a"))
    await stub.CreatePolicy(
        create(a_policy(destinations=[pb.Destination(registry="registries/hub", namespace="m")]), "b")
    )

    async def names(registry: str) -> list[str]:
        return [each.name for each in (await stub.ListPolicies(pb.ListPoliciesRequest(registry=registry))).policies]

    assert await names("registries/hub") == ["policies/a", "policies/b"]
    assert await names("registries/backup") == ["policies/a"]
    assert await names(f"registries/{BACKUP_UID}") == ["policies/a"]
    assert await names("registries/unknown") == []


@pytest.mark.parametrize(
    ("request_", "reason", "fields"),
    [
        (pb.ListPoliciesRequest(page_size=-1), "INVALID_REQUEST", ["page_size"]),
        (pb.ListPoliciesRequest(page_size=1001), "INVALID_REQUEST", ["page_size"]),
        (pb.ListPoliciesRequest(registry="backup"), "INVALID_REQUEST", ["registry"]),
        (pb.ListPoliciesRequest(page_token="nonsense"), "INVALID_PAGE_TOKEN", []),
        (pb.ListPoliciesRequest(page_token=PageToken((7,)).encode("")), "INVALID_PAGE_TOKEN", []),
        (pb.ListPoliciesRequest(page_token=PageToken(("a", "b")).encode("")), "INVALID_PAGE_TOKEN", []),
        (pb.ListPoliciesRequest(page_token=PageToken(("a\0",)).encode("")), "INVALID_PAGE_TOKEN", []),
        (pb.ListPoliciesRequest(page_token=PageToken(("a",)).encode("registries/hub")), "INVALID_PAGE_TOKEN", []),
    ],
)
async def test_a_bad_list_request_is_refused(
    stub: PolicyServiceAsyncStub, request_: pb.ListPoliciesRequest, reason: str, fields: list[str]
) -> None:
    with refused(Kind.INVALID_ARGUMENT, reason) as refusal:
        await stub.ListPolicies(request_)

    assert refusal.fields == fields


async def test_policies_of_a_registry_are_found_by_an_index(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        cursor = await connection.execute("EXPLAIN SELECT id FROM policies WHERE registries @> ARRAY['registries/hub']")
        plan = "\n".join(row[0] for row in await cursor.fetchall())

    assert "policies_registries_idx" in plan


async def tried(stub: PolicyServiceAsyncStub, request: pb.TestPolicyRequest) -> pb.TestPolicyResponse:
    """All the answers in one."""
    answer = pb.TestPolicyResponse()
    async for each in stub.TestPolicy(request):
        answer.MergeFrom(each)
    return answer


async def test_a_stored_policy_is_tried_on_what_its_source_has(stub: PolicyServiceAsyncStub, catalog: Catalog) -> None:
    newest = Newest(order=Newest.ORDER_SEMVER, count=3)
    await stub.CreatePolicy(create(a_policy(filters=[a_filter("a/**")], newest=newest)))
    failure = Failure(reason="ACCESS_DENIED", message="no", side=Failure.SIDE_SOURCE, http_status=403)
    rejection = Rejection(repository="b", cause=Rejection.CAUSE_NOT_INCLUDED, filter_index=0, message="not a/**")
    catalog.batches = [
        catalog_pb2.ListResourcesResponse(
            resources=[Resource(repository="a/x", references=[ArtifactReference(tag="1"), ArtifactReference()])],
            rejections=[rejection],
        ),
        catalog_pb2.ListResourcesResponse(
            resources=[Resource(repository="a/b/c/d", references=[ArtifactReference(tag="2")])],
            failures=[catalog_pb2.RepositoryFailure(repository="a/z", failure=failure)],
        ),
    ]

    answer = await tried(stub, pb.TestPolicyRequest(policy="policies/nightly", include_rejected=True))

    assert [(each.repository, each.tag) for each in answer.matches] == [("a/x", "1"), ("a/x", ""), ("a/b/c/d", "2")]
    assert answer.matches[0].targets == [pb.Target(registry="registries/backup", repository="a/x", tag="1")]
    assert answer.matches[2].targets[0].failure.reason == "PATH_RULE_VIOLATED"
    assert answer.rejections == [rejection]
    assert answer.problems == [pb.RepositoryProblem(repository="a/z", failure=failure)]
    [asked] = catalog.asked
    assert (asked.registry, asked.newest, asked.include_rejected) == ("registries/hub", newest, True)
    assert asked.filters[0].glob == "a/**"

    answer = await tried(stub, pb.TestPolicyRequest(policy="policies/nightly"))
    assert not answer.rejections
    assert not catalog.asked[1].include_rejected


async def test_candidates_are_tried_without_any_registry(stub: PolicyServiceAsyncStub, catalog: Catalog) -> None:
    policy = pb.Policy(
        source_registry="registries/not-there-yet",
        destinations=[pb.Destination(registry="registries/neither", namespace="mirror")],
        filters=[a_filter("a/**")],
    )
    candidates = [pb.Candidate(repository="a/x", tag="1"), pb.Candidate(repository="b", tag="1")]
    request = pb.TestPolicyRequest(inline_policy=policy, candidates=candidates, include_rejected=True)

    answer = await tried(stub, request)

    [match] = answer.matches
    assert match.targets == [pb.Target(registry="registries/neither", repository="mirror/x", tag="1")]
    assert [(each.repository, each.tag, each.filter_index) for each in answer.rejections] == [("b", "", 0)]
    assert not catalog.asked


async def test_many_matches_come_in_messages_that_clients_take(stub: PolicyServiceAsyncStub, catalog: Catalog) -> None:
    many = [pb.Destination(registry="registries/backup", namespace=f"{'n' * 200}/{number}") for number in range(20)]
    await stub.CreatePolicy(create(a_policy(destinations=many)))
    references = [ArtifactReference(tag=f"{number:0128}") for number in range(1000)]
    catalog.batches = [catalog_pb2.ListResourcesResponse(resources=[Resource(repository="a", references=references)])]

    answers = [each async for each in stub.TestPolicy(pb.TestPolicyRequest(policy="policies/nightly"))]

    assert sum(len(each.matches) for each in answers) == 1000
    assert max(each.ByteSize() for each in answers) < 2 * 1024 * 1024 < sum(each.ByteSize() for each in answers)


@pytest.mark.parametrize("candidates", [[], [pb.Candidate(repository="a", tag="1")]])
async def test_a_policy_that_is_tried_is_held_to_the_rules(
    stub: PolicyServiceAsyncStub, candidates: list[pb.Candidate]
) -> None:
    """Its fields are told as the request has them."""
    for policy, field in (
        (a_policy(filters=[a_filter("{")]), "inline_policy.filters[0].glob"),
        (a_policy(description="x" * 1001), "inline_policy.description"),
        (
            a_policy(destinations=[pb.Destination(registry="registries/hub")]),
            "inline_policy.destinations[0].registry",
        ),
    ):
        with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
            await tried(stub, pb.TestPolicyRequest(inline_policy=policy, candidates=candidates))
        assert refusal.fields == [field]
    with refused(Kind.NOT_FOUND, "POLICY_NOT_FOUND"):
        await tried(stub, pb.TestPolicyRequest(policy="policies/nobody", candidates=candidates))


async def test_registries_of_a_tried_policy_are_there_when_the_source_is_listed(stub: PolicyServiceAsyncStub) -> None:
    with refused(Kind.NOT_FOUND, "REGISTRY_NOT_FOUND") as refusal:
        await tried(stub, pb.TestPolicyRequest(inline_policy=a_policy(source_registry="registries/gone")))
    assert refusal.fields == ["inline_policy.source_registry"]


async def test_a_preview_tells_the_next_runs(stub: PolicyServiceAsyncStub) -> None:
    trigger = pb.ScheduledTrigger(cron="0 12 24 12 *", time_zone="Europe/Berlin", jitter=Duration(seconds=3600))
    policy = a_policy(trigger=pb.Trigger(scheduled=trigger), disabled=True)
    created = await stub.CreatePolicy(create(policy))

    of_policy = await stub.PreviewSchedule(pb.PreviewScheduleRequest(policy=created.name, count=100))
    of_schedule = await stub.PreviewSchedule(pb.PreviewScheduleRequest(schedule=trigger))

    assert len(of_policy.run_times) == 100
    assert of_schedule.run_times == of_policy.run_times[:5]
    assert {each.ToDatetime().strftime("%m-%d %H:%M:%S") for each in of_policy.run_times} == {"12-24 11:00:00"}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.PreviewScheduleRequest(policy="policies/nightly"), "policy"),
        (pb.PreviewScheduleRequest(schedule=pb.ScheduledTrigger(cron="61 * * * *")), "schedule.cron"),
        (pb.PreviewScheduleRequest(schedule=pb.ScheduledTrigger(cron="* * * * *")), "schedule.cron"),
        (pb.PreviewScheduleRequest(schedule=pb.ScheduledTrigger()), "schedule.cron"),
        (
            pb.PreviewScheduleRequest(schedule=pb.ScheduledTrigger(cron="@daily", time_zone="X")),
            "schedule.time_zone",
        ),
        (pb.PreviewScheduleRequest(schedule=pb.ScheduledTrigger(cron="@daily"), count=101), "count"),
        (pb.PreviewScheduleRequest(), "subject"),
    ],
)
async def test_what_has_no_schedule_has_no_preview(
    stub: PolicyServiceAsyncStub, request_: pb.PreviewScheduleRequest, field: str
) -> None:
    await stub.CreatePolicy(create(a_policy()))

    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.PreviewSchedule(request_)

    assert refusal.fields == [field]
