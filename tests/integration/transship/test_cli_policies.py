"""`transship policy apply`, `test` and `preview`, `transship plan` and `transship event`, against small working services."""

from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from service_kit.errors import FieldViolation, InvalidRequest
from tests.integration.transship.cli_kit import Cli
from tests.integration.transship.fake_services import SECRET, FakeServices
from tests.integration.transship.terminal import END_OF_INPUT, typed
from transship.execution.v1.execution_pb2 import PlanExecutionResponse, PlannedAction, PlanSummary
from transship.policy.v1.event_pb2 import Event
from transship.policy.v1.policy_pb2 import Match, Policy, PreviewScheduleResponse, RepositoryProblem, Target
from transship.policy.v1.policy_pb2 import TestPolicyResponse as Tried
from transship.type.v1.selection_pb2 import Rejection
from transship.type.v1.transfer_pb2 import Failure, PlannedReference

DIGEST = f"sha256:{'ab' * 32}"
FILE = """
policies:
  - id: nightly
    source_registry: hub
    destinations: [{registry: mirror}]
    filters:
      - {dimension: DIMENSION_NAME, glob: "library/**"}
  - id: weekly
    source_registry: hub
    destinations: [{registry: mirror}]
    trigger: {scheduled: {cron: "@weekly"}}
"""


def file_with(tmp_path: Path, text: str = FILE) -> str:
    path = tmp_path / "policies.yaml"
    path.write_text(text)
    return str(path)


async def test_a_file_is_applied_once_and_a_second_time_changes_nothing(
    cli: Cli, fakes: FakeServices, tmp_path: Path
) -> None:
    file = file_with(tmp_path)
    first = await cli("policy", "apply", "-f", file, "--yes")
    assert first.code == 0
    assert "+++ policies/nightly" in first.out
    assert "+source_registry: registries/hub" in first.out
    assert "Created policy weekly." in first.err
    assert set(fakes.policies.stored) == {"policies/nightly", "policies/weekly"}

    second = await cli("policy", "apply", "-f", file, "--yes")
    assert (second.code, second.out) == (0, "")
    assert second.err.splitlines() == ["Policy nightly: nothing changes.", "Policy weekly: nothing changes."]
    assert not fakes.calls.requests["UpdatePolicy"]


async def test_what_differs_is_shown_and_changed_and_nothing_else(
    cli: Cli, fakes: FakeServices, tmp_path: Path
) -> None:
    await cli("policy", "apply", "-f", file_with(tmp_path), "--yes")
    changed = file_with(
        tmp_path, FILE.replace("library/**", "team/**").replace('{cron: "@weekly"}', "{cron: '@daily'}")
    )
    result = await cli("policy", "apply", "-f", changed, "--yes")
    assert {"-  glob: library/**", "+  glob: team/**"} <= set(result.out.splitlines())
    assert [
        (each.policy.name, list(each.update_mask.paths), each.policy.etag)
        for each in fakes.calls.requests["UpdatePolicy"]
    ] == [("policies/nightly", ["filters"], "1"), ("policies/weekly", ["trigger"], "1")]


async def test_who_says_yes_at_the_terminal_gets_what_was_shown(cli: Cli, fakes: FakeServices, tmp_path: Path) -> None:
    code, shown = await typed(
        cli, "policy", "apply", "-f", file_with(tmp_path), prompt="Change 2 policies? [y/N]: ", answer="y\n"
    )
    assert code == 0
    assert shown.index("+source_registry: registries/hub") < shown.index("Change 2 policies?")
    assert shown.endswith("Created policy nightly.\nCreated policy weekly.\n")
    assert set(fakes.policies.stored) == {"policies/nightly", "policies/weekly"}


@pytest.mark.parametrize("answer", ["n\n", "\n", END_OF_INPUT])
async def test_who_does_not_say_yes_leaves_everything(
    cli: Cli, fakes: FakeServices, tmp_path: Path, answer: str
) -> None:
    one = FILE[: FILE.index("  - id: weekly")]
    code, shown = await typed(
        cli, "policy", "apply", "-f", file_with(tmp_path, one), prompt="Change 1 policy? [y/N]: ", answer=answer
    )
    assert (code, shown.endswith("Nothing was changed.\n")) == (1, True)
    assert not fakes.policies.stored


async def test_a_dry_run_changes_nothing_and_nobody_is_asked_where_nobody_is(
    cli: Cli, fakes: FakeServices, tmp_path: Path
) -> None:
    file = file_with(tmp_path)
    assert "+++ policies/nightly" in (await cli("policy", "apply", "-f", file, "--dry-run")).out
    asked = await cli("policy", "apply", "-f", file)
    assert asked.code == 2
    assert "repeat with --yes to make these changes, or with --dry-run to see them only" in " ".join(asked.err.split())
    as_json = await cli("policy", "apply", "-f", "-", "--dry-run", "-o", "json", stdin=FILE)
    assert [(each["id"], each["change"]) for each in as_json.json] == [("nightly", "create"), ("weekly", "create")]
    assert not fakes.policies.stored


async def test_a_mistake_in_a_file_or_a_policy_changes_nothing_and_has_its_place(
    cli: Cli, fakes: FakeServices, tmp_path: Path
) -> None:
    unknown = await cli("policy", "apply", "-f", file_with(tmp_path, FILE.replace("filters", "filtres")), "--yes")
    assert unknown.code == 1
    assert "policies[0].filtres: there is no such field. Is it filters?" in unknown.err
    fakes.calls.fail_next(
        "CreatePolicy", InvalidRequest(violations=[FieldViolation("policy.filters[0].glob", "is bad")])
    )
    refused = await cli("policy", "apply", "-f", file_with(tmp_path), "--yes")
    assert (refused.code, refused.err) == (1, "Error: policies[0] (nightly).filters[0].glob: is bad\n")
    assert not fakes.policies.stored


async def test_an_id_that_is_no_name_is_refused_before_anything_is_stored(
    cli: Cli, fakes: FakeServices, tmp_path: Path
) -> None:
    for wrong in ("Weekly!", "weekly-"):
        refused = await cli(
            "policy", "apply", "-f", file_with(tmp_path, FILE.replace("id: weekly", f"id: {wrong}")), "--yes"
        )
        assert refused.code == 1
        assert f"policies[1] ({wrong}).id: must be at most 64 lower-case letters, digits" in refused.err
    assert not fakes.policies.stored


async def test_what_is_exported_is_what_can_be_applied(cli: Cli, fakes: FakeServices, tmp_path: Path) -> None:
    await cli("policy", "apply", "-f", file_with(tmp_path), "--yes")
    exported = (await cli("policy", "export")).out
    assert exported.startswith("policies:\n- id: nightly\n")
    again = await cli("policy", "apply", "-f", "-", "--yes", stdin=exported)
    assert again.err.count("nothing changes") == 2
    assert (await cli("policy", "export", "weekly")).out.count("- id: ") == 1


async def test_a_policy_is_tried(cli: Cli, fakes: FakeServices, tmp_path: Path) -> None:
    target = Target(registry="registries/mirror", repository="x/nginx", tag="1")
    lost = Target(registry="registries/hub", failure=Failure(message="Two components are needed."))
    fakes.policies.tests = [
        Tried(matches=[Match(repository="library/nginx", tag="1", targets=[target, lost])]),
        Tried(rejections=[Rejection(repository="a", tag="rc", filter_index=0, message="Excluded by *-rc.")]),
        Tried(problems=[RepositoryProblem(repository="b", failure=Failure(message="It is gone."))]),
    ]
    result = await cli("policy", "test", "nightly", "--candidate", "library/nginx:1", "--candidate", "a", "--rejected")
    assert result.code == 0
    assert result.out.splitlines() == [
        "+ library/nginx:1 -> mirror/x/nginx:1, hub/ (cannot go there: Two components are needed.)",
        "- a:rc: Excluded by *-rc. (filters[0])",
        "! b: It is gone.",
    ]
    assert result.err == "1 would be replicated, 1 left out; 1 repository could not be listed.\n"
    request = fakes.calls.requests["TestPolicy"][0]
    assert [(each.repository, each.tag) for each in request.candidates] == [("library/nginx", "1"), ("a", "")]
    lines = (await cli("policy", "test", "nightly", "-f", file_with(tmp_path), "-o", "json")).json_lines
    assert [each["kind"] for each in lines] == ["match", "rejection", "problem"]
    assert fakes.calls.requests["TestPolicy"][1].inline_policy.filters[0].glob == "library/**"
    absent = await cli("policy", "test", "monthly", "-f", file_with(tmp_path))
    assert (absent.code, absent.out) == (1, "")


async def test_the_next_runs_are_told_on_both_clocks(cli: Cli, fakes: FakeServices) -> None:
    runs = [Timestamp(seconds=1_792_886_400), Timestamp(seconds=1_792_976_400)]  # around the end of summer time
    fakes.policies.preview = PreviewScheduleResponse(run_times=runs)
    result = await cli("policy", "preview", "--cron", "0 2 * * *", "--time-zone", "Europe/Berlin", "--count", "2")
    assert result.out.splitlines() == [
        "Sun 2026-10-25 02:00:00 CEST  2026-10-25 00:00:00Z",
        "Mon 2026-10-26 02:00:00 CET  2026-10-26 01:00:00Z",
    ]
    fakes.policies.stored["policies/p"] = Policy(name="policies/p")
    assert (await cli("policy", "preview", "p")).out.splitlines()[0] == "Sun 2026-10-25 00:00:00Z"
    assert (await cli("policy", "preview", "p", "--cron", "@daily")).code == 2
    assert [each.WhichOneof("subject") for each in fakes.calls.requests["PreviewSchedule"]] == ["schedule", "policy"]


def planned(action: PlannedReference.Action, **fields: object) -> PlannedAction:
    reference = PlannedReference(tag="1", destination_tag="1", digest=DIGEST, action=action, **fields)  # type: ignore[arg-type]
    return PlannedAction(
        destination_registry="registries/mirror",
        source_repository="library/nginx",
        destination_repository="x/nginx",
        reference=reference,
    )


async def test_a_plan_tells_every_action_and_the_sums(cli: Cli, fakes: FakeServices) -> None:
    skip = Failure(message="It exists with another digest.")
    fakes.executions.plan = [
        PlanExecutionResponse(
            actions=[
                PlannedAction(destination_registry="registries/mirror", created_namespace="x"),
                planned(PlannedReference.ACTION_COPY, blobs_to_move=2, bytes_to_move=1500, present_digest=DIGEST),
                planned(PlannedReference.ACTION_SKIP, failure=skip),
            ]
        ),
        PlanExecutionResponse(
            actions=[planned(PlannedReference.ACTION_DELETE)],
            summary=PlanSummary(references_to_copy=1, bytes_to_move=1500, tags_to_delete=1, references_skipped=1),
        ),
    ]
    result = await cli("plan", "nightly")
    assert result.code == 0
    assert result.out.splitlines() == [
        "create    mirror/x",
        "copy      library/nginx:1 -> mirror/x/nginx:1  2 blobs, 1.5 kB, overwrites sha256:abababababab",
        "skip      library/nginx:1 -> mirror/x/nginx:1: It exists with another digest.",
        "delete    mirror/x/nginx:1",
        "1 to copy (1.5 kB), 0 unchanged, 1 skipped, 1 to delete, 0 to create, 0 would fail.",
    ]
    as_json = (await cli("plan", "nightly", "-o", "json")).json_lines
    assert [each["kind"] for each in as_json] == ["action"] * 4 + ["summary"]
    assert not fakes.executions.stored


async def test_a_plan_with_failures_fails(cli: Cli, fakes: FakeServices) -> None:
    lost = PlannedAction(source_repository="a", destination_registry="registries/m", failure=Failure(message="No."))
    fakes.executions.plan = [
        PlanExecutionResponse(actions=[lost], summary=PlanSummary(failures=1, prune_guard="Too many."))
    ]
    result = await cli("plan", "nightly")
    assert result.code == 1
    assert result.out.splitlines()[0] == "fail      a -> m: No."
    assert result.out.endswith("1 would fail. Nothing would be deleted: Too many.\n")


async def test_events_are_told_and_listed(cli: Cli, fakes: FakeServices) -> None:
    told = await cli("event", "publish", "hub", "library/nginx:1.27", "--id", "e1", "-o", "json")
    assert told.json == {"stored_count": 1}
    assert (await cli("event", "publish", "hub", "library/nginx:1.27", "--id", "e1")).out.split()[-1] == "1"
    await cli("event", "publish", "hub", f"library/nginx@{DIGEST}", "--delete", "--id", "e2")
    first, second = fakes.events.stored.values()
    assert (first.kind, first.tag, second.kind, second.digest) == (Event.KIND_PUSH, "1.27", Event.KIND_DELETE, DIGEST)
    table = (await cli("event", "list", "--registry", "hub", "--state", "pending")).out
    assert "hub       PUSH    library/nginx:1.27" in table
    request = fakes.calls.requests["ListEvents"][0]
    assert (request.registry, request.states) == ("registries/hub", [Event.STATE_PENDING])
    assert (await cli("event", "publish", "hub", "library/nginx")).code == 2


async def test_an_event_source_shows_its_secret_once(cli: Cli) -> None:
    made = (await cli("event-source", "create", "hub")).out
    assert SECRET in made
    assert "/v1/events/hub" in made
    listed = (await cli("event-source", "list")).out
    assert "/v1/events/hub" in listed
    assert SECRET not in listed
    assert (await cli("event-source", "delete", "hub")).out == "Deleted the event source of hub.\n"
    assert (await cli("event-source", "delete", "hub")).code == 1
