"""The policy service over gRPC, as its callers see it: what is written, changed, deleted and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration

from policy_svc.convert.requests import MUTABLE
from service_kit.database import Pool
from service_kit.errors import Kind
from tests.integration.policy_svc.policy_peers import BACKUP_UID, a_filter, a_policy, create, update
from tests.refusals import refused
from transship.policy.v1 import policy_pb2 as pb
from transship.type.v1.filter_pb2 import Filter, Newest
from transship.type.v1.transfer_pb2 import TransferOptions

if TYPE_CHECKING:  # it is in the stubs only
    from transship.policy.v1.policy_pb2_grpc import PolicyServiceAsyncStub


OPTIONS = TransferOptions(
    platforms=["linux/amd64", "linux/arm64/v8"],
    referrers=True,
    referrer_types=["application/spdx+json"],
    foreign_layers=True,
    max_bytes_per_second=2**40,
)


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


async def test_a_deleted_policy_is_not_found(stub: PolicyServiceAsyncStub) -> None:
    await stub.CreatePolicy(create(a_policy()))
    await stub.DeletePolicy(pb.DeletePolicyRequest(name="policies/nightly"))

    with refused(Kind.NOT_FOUND, "POLICY_NOT_FOUND") as refusal:
        await stub.GetPolicy(pb.GetPolicyRequest(name="policies/nightly"))
    assert refusal.error.metadata == {"policy": "policies/nightly"}
    with refused(Kind.NOT_FOUND, "POLICY_NOT_FOUND"):
        await stub.DeletePolicy(pb.DeletePolicyRequest(name="policies/nightly"))


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


async def test_policies_of_a_registry_are_found_by_an_index(pool: Pool) -> None:
    async with pool.connection() as connection:
        await connection.execute("SET LOCAL enable_seqscan = off")
        cursor = await connection.execute("EXPLAIN SELECT id FROM policies WHERE registries @> ARRAY['registries/hub']")
        plan = "\n".join(row[0] for row in await cursor.fetchall())

    assert "policies_registries_idx" in plan


async def test_a_preview_tells_the_next_runs(stub: PolicyServiceAsyncStub) -> None:
    trigger = pb.ScheduledTrigger(cron="0 12 24 12 *", time_zone="Europe/Berlin", jitter=Duration(seconds=3600))
    policy = a_policy(trigger=pb.Trigger(scheduled=trigger), disabled=True)
    created = await stub.CreatePolicy(create(policy))

    of_policy = await stub.PreviewSchedule(pb.PreviewScheduleRequest(policy=created.name, count=100))
    of_schedule = await stub.PreviewSchedule(pb.PreviewScheduleRequest(schedule=trigger))

    assert len(of_policy.run_times) == 100
    assert of_schedule.run_times == of_policy.run_times[:5]
    assert {each.ToDatetime().strftime("%m-%d %H:%M:%S") for each in of_policy.run_times} == {"12-24 11:00:00"}
