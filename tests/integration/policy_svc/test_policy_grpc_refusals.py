"""What the policy service refuses over gRPC, with the field at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service_kit.errors import Kind
from service_kit.paging import PageToken
from tests.integration.policy_svc.policy_peers import a_filter, a_policy, create, update
from tests.refusals import refused
from transship.policy.v1 import policy_pb2 as pb
from transship.type.v1.filter_pb2 import Filter
from transship.type.v1.transfer_pb2 import TransferOptions

if TYPE_CHECKING:  # it is in the stubs only
    from transship.policy.v1.policy_pb2_grpc import PolicyServiceAsyncStub


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
        (create(a_policy(trigger=pb.Trigger())), "policy.trigger"),
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
        (pb.Policy(trigger=pb.Trigger()), "trigger", "policy.trigger"),
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


@pytest.mark.parametrize(
    "name", ["", "nightly", "policies/", "policies/A", "registries/a", "policies/a\n", "policies/a/b"]
)
async def test_what_is_no_name_is_refused(stub: PolicyServiceAsyncStub, name: str) -> None:
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
        await stub.GetPolicy(pb.GetPolicyRequest(name=name))
    assert refusal.fields == ["name"]
    with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST"):
        await stub.DeletePolicy(pb.DeletePolicyRequest(name=name))


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
