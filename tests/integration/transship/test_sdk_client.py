"""The SDK over loopback gRPC: paging, retries, streams that break, errors."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from service_kit.errors import FieldViolation, InvalidRequest, ServiceUnavailable, ShuttingDown
from tests.integration.transship.fake_services import SECRET, Execution, FakeServices
from transship.execution.v1.execution_pb2 import PlanExecutionResponse, PlanSummary
from transship.policy.v1.event_pb2 import Event
from transship.policy.v1.policy_pb2 import Match, Policy, PreviewScheduleResponse
from transship.policy.v1.policy_pb2 import TestPolicyResponse as Tried
from transship.registry.v1.registry_pb2 import Credential, Registry
from transship.sdk import (
    ErrorKind,
    TransshipClient,
    TransshipError,
    deletion,
    destination,
    name_filter,
    newest_versions,
    prune,
    pushed,
    retention,
    schedule,
    scheduled,
)
from transship.sdk.executions import FINAL_STATES
from transship.type.v1.transfer_pb2 import LogEntry


@pytest.fixture
async def client(fakes: FakeServices) -> AsyncIterator[TransshipClient]:
    async with fakes.client() as client:
        yield client


def running(tasks: int) -> Execution:
    execution = Execution(state=Execution.STATE_RUNNING)
    execution.task_counts.total = tasks
    return execution


INLINE = Policy(source_registry="registries/hub", destinations=[destination("mirror")])
SUCCEEDED = Execution(state=Execution.STATE_SUCCEEDED)


async def test_a_list_comes_from_all_its_pages(client: TransshipClient, fakes: FakeServices) -> None:
    for number in range(5):
        fakes.registries.stored[f"registries/r{number}"] = Registry(name=f"registries/r{number}")
    assert [each.name[-2:] async for each in client.registries.list()] == ["r0", "r1", "r2", "r3", "r4"]
    assert [each.page_token for each in fakes.calls.requests["ListRegistries"]] == ["", "2", "4"]


async def test_a_read_is_repeated_while_the_service_is_away(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.registries.stored["registries/hub"] = Registry(name="registries/hub")
    fakes.calls.fail_next("GetRegistry", ServiceUnavailable(service="x"), ShuttingDown())
    assert (await client.registries.get("hub")).name == "registries/hub"
    assert len(fakes.calls.requests["GetRegistry"]) == 3


async def test_a_read_ends_after_seven_attempts(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.calls.fail_next("GetRegistry", *[ShuttingDown() for _ in range(9)])
    with pytest.raises(TransshipError) as caught:
        await client.registries.get("hub")
    assert caught.value.reason == "SHUTTING_DOWN"
    assert len(fakes.calls.requests["GetRegistry"]) == 7


async def test_a_create_is_not_repeated(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.calls.fail_next("CreateRegistry", ShuttingDown())
    with pytest.raises(TransshipError):
        await client.registries.create("hub", type="docker-registry", url="https://hub.example")
    assert len(fakes.calls.requests["CreateRegistry"]) == 1


async def test_a_start_is_repeated_under_one_request_id(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.calls.fail_next("StartExecution", ShuttingDown())
    await client.executions.start("nightly")
    first, second = fakes.calls.requests["StartExecution"]
    assert first == second
    assert first.policy == "policies/nightly"
    assert len(fakes.executions.stored) == 1


async def test_an_error_of_a_service_tells_kind_reason_and_metadata(client: TransshipClient) -> None:
    with pytest.raises(TransshipError) as caught:
        await client.policies.get("nightly")
    assert caught.value.kind is ErrorKind.NOT_FOUND
    assert caught.value.reason == "POLICY_NOT_FOUND"
    assert caught.value.metadata == {"policy": "policies/nightly"}


async def test_violations_come_with_their_fields(client: TransshipClient, fakes: FakeServices) -> None:
    violation = FieldViolation("registry.url", "is no URL")
    fakes.calls.fail_next("CreateRegistry", InvalidRequest(violations=[violation]))
    with pytest.raises(TransshipError) as caught:
        await client.registries.create("hub", type="docker-registry", url="hub")
    assert caught.value.violations == (violation,)


async def test_an_update_names_what_is_given_and_nothing_else(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.registries.stored["registries/hub"] = Registry(
        name="registries/hub", description="ours", insecure=True, credential=Credential(username="u")
    )
    updated = await client.registries.update("hub", insecure=False, credential=None)
    assert not updated.insecure
    assert not updated.HasField("credential")
    assert updated.description == "ours"
    assert list(fakes.calls.requests["UpdateRegistry"][0].update_mask.paths) == ["credential", "insecure"]


async def test_a_policy_is_made_of_its_parts(client: TransshipClient) -> None:
    policy = await client.policies.create(
        "nightly",
        source_registry="hub",
        destinations=[destination("mirror", namespace="library")],
        filters=[name_filter("library/**")],
    )
    assert policy.source_registry == "registries/hub"
    assert policy.destinations[0].registry == "registries/mirror"
    assert policy.destinations[0].WhichOneof("mapping") == "namespace"
    updated = await client.policies.update("policies/nightly", source_registry="other", disabled=True)
    assert (updated.source_registry, updated.disabled) == ("registries/other", True)
    assert updated.filters[0].glob == "library/**"


async def test_a_policy_that_is_only_checked_needs_no_id(client: TransshipClient, fakes: FakeServices) -> None:
    checked = await client.policies.create(
        "", source_registry="hub", destinations=[destination("mirror")], validate_only=True
    )
    assert checked.trigger.WhichOneof("kind") == "manual"
    assert not fakes.policies.stored


async def test_what_a_policy_has_can_be_taken_away(client: TransshipClient, fakes: FakeServices) -> None:
    await client.policies.create(
        "nightly",
        source_registry="hub",
        destinations=[destination("mirror")],
        newest=newest_versions(3),
        trigger=scheduled("0 2 * * *"),
        deletion=deletion(prune=prune(max_percent=5)),
        retention=retention(max_count=9),
    )
    updated = await client.policies.update("nightly", newest=None, deletion=None, retention=None, windows=[])
    assert {field.name for field, _ in updated.ListFields()} == {
        *("name", "uid", "etag", "source_registry", "destinations", "trigger")
    }
    assert list(fakes.calls.requests["UpdatePolicy"][0].update_mask.paths) == [
        *("deletion", "newest", "retention", "windows")
    ]


async def test_a_policy_is_tried_on_candidates(client: TransshipClient, fakes: FakeServices) -> None:
    match = Match(repository="library/nginx", tag="1")
    fakes.policies.tests = [Tried(matches=[match]), Tried(rejections=[{"repository": "x"}])]
    tried = client.policies.test("nightly", candidates=[("library/nginx", "1"), ("x", "")], include_rejected=True)
    assert [(len(each.matches), len(each.rejections)) async for each in tried] == [(1, 0), (0, 1)]
    request = fakes.calls.requests["TestPolicy"][0]
    assert (request.policy, request.include_rejected) == ("policies/nightly", True)
    assert [(each.repository, each.tag) for each in request.candidates] == [("library/nginx", "1"), ("x", "")]
    async for _ in client.policies.test(INLINE):
        pass
    assert fakes.calls.requests["TestPolicy"][1].inline_policy.source_registry == "registries/hub"


async def test_a_schedule_is_previewed_of_a_policy_or_before_there_is_one(
    client: TransshipClient, fakes: FakeServices
) -> None:
    fakes.policies.preview = PreviewScheduleResponse(run_times=[Timestamp(seconds=7)])
    answer = await client.policies.preview_schedule("nightly", count=3)
    assert [each.seconds for each in answer.run_times] == [7]
    await client.policies.preview_schedule(schedule("0 2 * * *", time_zone="Europe/Berlin"))
    stored, given = fakes.calls.requests["PreviewSchedule"]
    assert (stored.policy, stored.count) == ("policies/nightly", 3)
    assert (given.schedule.cron, given.schedule.time_zone) == ("0 2 * * *", "Europe/Berlin")


async def test_a_plan_comes_as_it_is_found_and_is_not_begun_again(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.executions.plan = [PlanExecutionResponse(summary=PlanSummary(references_to_copy=n)) for n in (1, 2)]
    answers = [each.summary.references_to_copy async for each in client.executions.plan("nightly")]
    assert answers == [1, 2]
    fakes.calls.fail_next("PlanExecution", ShuttingDown())
    with pytest.raises(TransshipError, match="shutting down"):
        async for _ in client.executions.plan(INLINE):
            pass
    named, inline = fakes.calls.requests["PlanExecution"]
    assert (named.policy, inline.inline_policy.source_registry) == ("policies/nightly", "registries/hub")


async def test_a_start_that_is_only_checked_starts_nothing(client: TransshipClient, fakes: FakeServices) -> None:
    checked = await client.executions.start("nightly", validate_only=True, started_by="me")
    assert checked.name == ""
    assert not fakes.executions.stored
    assert fakes.calls.requests["StartExecution"][0].started_by == "me"


async def test_executions_are_picked_by_trigger_and_time(client: TransshipClient, fakes: FakeServices) -> None:
    since, before = datetime(2026, 11, 24, tzinfo=UTC), datetime(2026, 11, 25, 12, tzinfo=UTC)
    wanted = client.executions.list(
        policy="p", triggers=[Execution.TRIGGER_EVENT], since=since, before=before, oldest_first=True
    )
    assert [each async for each in wanted] == []
    request = fakes.calls.requests["ListExecutions"][0]
    assert (request.policy, list(request.triggers)) == ("policies/p", [Execution.TRIGGER_EVENT])
    assert request.created_since.ToDatetime(UTC) == since
    assert request.created_before.ToDatetime(UTC) == before
    assert request.order_by == "create_time"


async def test_a_skipped_execution_has_ended(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.executions.script = [Execution(state=Execution.STATE_SKIPPED)]
    execution = await client.executions.start("nightly")
    assert (await client.executions.wait(execution.name)).state in FINAL_STATES


async def test_an_event_is_told_once_though_it_is_told_again(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.calls.fail_next("PublishEvents", ShuttingDown())
    event = pushed("hub", "library/nginx", "1.27")
    answer = await client.events.publish(event)
    assert (answer.stored_count, answer.known_count) == (0, 1)
    assert [each.id async for each in client.events.list(registry="hub")] == [event.id]
    stored = await client.events.get(event.id)
    assert (stored.registry, stored.kind, stored.tag) == ("registries/hub", Event.KIND_PUSH, "1.27")
    listed = fakes.calls.requests["ListEvents"][0]
    assert listed.registry == "registries/hub"


async def test_a_secret_of_an_event_source_is_told_once(client: TransshipClient) -> None:
    assert (await client.event_sources.create("hub")).secret == SECRET
    assert [(each.name, each.secret) async for each in client.event_sources.list()] == [("eventSources/hub", "")]
    await client.event_sources.delete("registries/hub")
    with pytest.raises(TransshipError, match="no event source"):
        await client.event_sources.delete("hub")


async def test_a_watch_goes_on_after_a_break_without_saying_anything_twice(
    client: TransshipClient, fakes: FakeServices
) -> None:
    fakes.executions.script = [running(1), running(2), running(3), SUCCEEDED]
    fakes.executions.breaks_after = {2: ShuttingDown()}
    execution = await client.executions.start("nightly")
    seen = [(each.state, each.task_counts.total) async for each in client.executions.watch(execution.name)]
    final = Execution.STATE_SUCCEEDED
    assert seen == [*[(Execution.STATE_RUNNING, total) for total in (1, 2, 3)], (final, 3)]
    assert len(fakes.calls.requests["WatchExecution"]) == 2


async def test_waiting_gives_the_final_state(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.executions.script = [running(1), Execution(state=Execution.STATE_FAILED)]
    execution = await client.executions.start("nightly")
    assert (await client.executions.wait(execution.name)).state == Execution.STATE_FAILED


async def test_a_watch_of_nothing_ends_with_its_error(client: TransshipClient, fakes: FakeServices) -> None:
    with pytest.raises(TransshipError, match="no execution"):
        await client.executions.wait("unknown")
    assert len(fakes.calls.requests["WatchExecution"]) == 1


async def test_a_log_is_read_on_after_the_last_line(client: TransshipClient, fakes: FakeServices) -> None:
    fakes.executions.log = [LogEntry(sequence=number, message=f"line {number}") for number in range(1, 6)]
    fakes.executions.breaks_after = {4: ShuttingDown()}
    entries = [entry.sequence async for entry in client.executions.read_task_log("t", execution="e", follow=True)]
    assert entries == [1, 2, 3, 4, 5]
    first, second = fakes.calls.requests["ReadTaskLog"]
    assert (first.name, first.after_sequence, second.after_sequence) == ("executions/e/tasks/t", 0, 3)


async def test_a_service_that_is_not_there_is_unavailable() -> None:
    nowhere = "127.0.0.1:1"
    async with TransshipClient.connect(registry=nowhere, policy=nowhere, execution=nowhere) as client:
        with pytest.raises(TransshipError, match="registry_svc cannot be reached") as caught:
            await client.registries.get("hub")
    assert caught.value.kind is ErrorKind.UNAVAILABLE
