"""The command line as a process of its own, against small working services."""

import re
import signal
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from service_kit.errors import FieldViolation, InvalidRequest, ShuttingDown
from tests.integration.transship.cli_kit import PASSWORD, Cli
from tests.integration.transship.fake_services import Execution, FakeServices, Task
from tests.integration.transship.terminal import typed
from transship.policy.v1.policy_pb2 import Policy
from transship.registry.v1.registry_pb2 import Registry
from transship.type.v1.filter_pb2 import Filter
from transship.type.v1.transfer_pb2 import Failure, LogEntry, TransferOptions

ERASE = "\x1b[2J"


def with_registries(fakes: FakeServices, **urls: str) -> None:
    for name, url in urls.items():
        fakes.registries.stored[f"registries/{name}"] = Registry(
            name=f"registries/{name}", type="docker-registry", url=url
        )


def finished(state: Execution.State) -> Execution:
    execution = Execution(state=state)
    execution.task_counts.total = 2
    execution.task_counts.succeeded = 2
    execution.progress.blobs_copied = 3
    execution.progress.bytes_copied = 1_500_000
    execution.create_time.seconds, execution.end_time.seconds = 100, 107
    return execution


async def test_a_registry_lives_and_dies(cli: Cli, fakes: FakeServices) -> None:
    made = await cli(
        *("registry", "create", "hub", "--type", "docker-registry", "--url", "https://hub.example"),
        *("--username", "robot", "--password-stdin", "-o", "json"),
        stdin=f"{PASSWORD}\n",
    )
    assert (made.code, made.json["name"], made.json["credential"]) == (0, "registries/hub", {"username": "robot"})
    assert fakes.calls.requests["CreateRegistry"][0].registry.credential.password == PASSWORD
    assert (await cli("registry", "get", "registries/hub", "-o", "json")).json["url"] == "https://hub.example"
    assert (await cli("registry", "ping", "hub")).out.split() == ["Answered", "after", "12", "ms"]
    assert (await cli("registry", "delete", "hub")).out == "Deleted registry hub.\n"
    assert (await cli("registry", "list", "-o", "json")).json == []


async def test_a_list_is_a_table_or_an_array(cli: Cli, fakes: FakeServices) -> None:
    with_registries(fakes, a="https://a.example", b="https://b.example", c=f"https://c.example/{ERASE}")
    table = await cli("registry", "list")
    assert [line.split()[0] for line in table.out.splitlines()] == ["NAME", "a", "b", "c"]
    assert ERASE not in table.out
    assert [each["name"][-1] for each in (await cli("registry", "list", "-o", "json")).json] == ["a", "b", "c"]


async def test_an_update_sends_what_is_given(cli: Cli, fakes: FakeServices) -> None:
    with_registries(fakes, hub="https://hub.example")
    assert (await cli("registry", "update", "hub", "--description", "", "--secure", "--no-check")).code == 0
    request = fakes.calls.requests["UpdateRegistry"][0]
    assert (list(request.update_mask.paths), request.skip_check) == (["description", "insecure"], True)
    assert (await cli("registry", "update", "hub", "--clear", "credential", "--clear", "ca-file")).code == 0
    cleared = fakes.calls.requests["UpdateRegistry"][1]
    assert list(cleared.update_mask.paths) == ["ca_certificate", "credential"]
    assert not cleared.registry.HasField("credential")


async def test_the_version_is_shown(cli: Cli) -> None:
    assert (await cli("--version")).out == f"transship {version('transship')}\n"


async def test_help_shows_no_value_after_a_switch(cli: Cli) -> None:
    shown = (await cli("policy", "update", "--help")).out
    assert re.search(r"--manual +Only when", shown)
    assert "<bool>" not in shown


@pytest.mark.parametrize(
    "args",
    [
        ("registry", "update", "hub"),
        ("registry", "create", "hub", "--type", "t", "--url", "u", "--username", "robot"),
        ("registry", "update", "hub", "--limit-rate", "-1"),
        ("policy", "update", "p", "--namespace", "mirror"),
        ("policy", "update", "p", "--limit-rate", "10Mb"),
        ("copy", "nginx", "host.example/nginx"),
        ("copy", "host.example/nginx:1", "host.example/nginx:2"),
        ("copy", f"host.example/nginx@sha256:{'0' * 64}", "host.example/nginx"),
        ("--registry-target", "", "registry", "list"),
        ("registry", "list", "-o", "yaml"),
        ("no-such-command",),
    ],
)
async def test_a_wrong_use_has_exit_code_2(cli: Cli, args: tuple[str, ...]) -> None:
    result = await cli(*args)
    assert (result.code, result.out) == (2, "")
    assert result.err


async def test_an_error_is_a_sentence_and_a_line_for_each_violation(cli: Cli, fakes: FakeServices) -> None:
    unknown = await cli("policy", "get", "nightly")
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err == (
        "Error: There is no policy policies/nightly. `transship policy list` shows those that there are.\n"
    )
    violations = [FieldViolation("policy.filters[0].glob", "is no glob"), FieldViolation("policy.source", "is empty")]
    fakes.calls.fail_next("CreatePolicy", InvalidRequest(violations=violations))
    invalid = await cli("policy", "create", "p", "--source", "a", "--destination", "b", "--name", "[")
    assert invalid.code == 1
    assert invalid.err.splitlines()[1:] == ["  policy.filters[0].glob: is no glob", "  policy.source: is empty"]


async def test_a_service_that_is_away_is_told_with_advice(cli: Cli, fakes: FakeServices) -> None:
    fakes.calls.fail_next("CreatePolicy", ShuttingDown())
    result = await cli("policy", "create", "p", "--source", "a", "--destination", "b")
    assert result.code == 1
    assert "transship status" in result.err


async def test_options_make_a_policy(cli: Cli, fakes: FakeServices) -> None:
    options = "--source hub --namespace mirror --destination x --destination y --no-override --disabled"
    assert (await cli("policy", "create", "nightly", *options.split())).code == 0
    policy = fakes.policies.stored["policies/nightly"]
    assert [(each.registry, each.namespace) for each in policy.destinations] == [
        ("registries/x", "mirror"),
        ("registries/y", "mirror"),
    ]
    assert (policy.override, policy.disabled) == (False, True)
    assert (await cli("policy", "update", "nightly", "--enabled")).code == 0
    assert list(fakes.calls.requests["UpdatePolicy"][0].update_mask.paths) == ["disabled"]


async def test_filters_keep_the_order_in_which_they_are_given(cli: Cli, fakes: FakeServices) -> None:
    filters = "--exclude-tag *-rc* --name a/** --semver=~1.2 --exclude-name a/old --label prod --name a/old/but-this"
    await cli("policy", "create", "nightly", "--source", "hub", *filters.split(), "--destination", "x")
    policy = fakes.policies.stored["policies/nightly"]
    name, tag, label = Filter.DIMENSION_NAME, Filter.DIMENSION_TAG, Filter.DIMENSION_LABEL
    include, exclude = Filter.ACTION_INCLUDE, Filter.ACTION_EXCLUDE
    assert [(each.dimension, each.action, each.glob or each.semver) for each in policy.filters] == [
        (tag, exclude, "*-rc*"),
        (name, include, "a/**"),
        (tag, include, "~1.2"),
        (name, exclude, "a/old"),
        (label, include, "prod"),
        (name, include, "a/old/but-this"),
    ]


async def test_an_update_changes_parts_only_if_nobody_else_has(cli: Cli, fakes: FakeServices) -> None:
    await cli(
        *[
            "policy",
            "create",
            "nightly",
            "--source",
            "hub",
            "--destination",
            "x",
            "--newest",
            "5",
            "--cron",
            "@daily",
            "--keep",
            "3",
        ]
    )
    assert (
        await cli(
            *["policy", "update", "nightly", "--time-zone", "Europe/Berlin", "--newest", "0", "--keep-for", "30d"]
        )
    ).code == 0
    request = fakes.calls.requests["UpdatePolicy"][0]
    assert (list(request.update_mask.paths), request.policy.etag) == (["newest", "retention", "trigger"], "1")
    policy = fakes.policies.stored["policies/nightly"]
    assert (policy.trigger.scheduled.cron, policy.trigger.scheduled.time_zone) == ("@daily", "Europe/Berlin")
    assert not policy.HasField("newest")
    assert (policy.retention.max_count, policy.retention.max_age.seconds) == (3, 30 * 86400)
    shown = " ".join((await cli("policy", "get", "nightly")).out.split())
    assert "Trigger @daily Europe/Berlin" in shown
    assert "Keeps 3 runs, 30d" in shown


async def test_a_policy_overrides_unless_told_otherwise(cli: Cli, fakes: FakeServices) -> None:
    await cli("policy", "create", "nightly", "--source", "hub", "--destination", "x")
    assert fakes.policies.stored["policies/nightly"].override


HOW = "--platform linux/amd64 --platform linux/arm64/v8 --referrer-type a/sbom --foreign-layers --limit-rate 10MiB"


async def test_a_policy_says_how_artifacts_are_copied(cli: Cli, fakes: FakeServices) -> None:
    created = await cli("policy", "create", "nightly", "--source", "hub", "--destination", "x", *HOW.split())
    assert created.code == 0
    assert fakes.policies.stored["policies/nightly"].options == TransferOptions(
        platforms=["linux/amd64", "linux/arm64/v8"],
        referrers=True,
        referrer_types=["a/sbom"],
        foreign_layers=True,
        max_bytes_per_second=10 * 2**20,
    )
    shown = " ".join((await cli("policy", "get", "nightly")).out.split())
    assert "Platforms linux/amd64 linux/arm64/v8 Referrers a/sbom Foreign layers yes Rate limit 10.5 MB/s" in shown


async def test_an_update_keeps_the_options_that_are_not_given(cli: Cli, fakes: FakeServices) -> None:
    await cli("policy", "create", "nightly", "--source", "hub", "--destination", "x", *HOW.split())
    updated = await cli("policy", "update", "nightly", "--clear", "platforms", "--no-referrers", "--limit-rate", "0")
    assert updated.code == 0
    request = fakes.calls.requests["UpdatePolicy"][0]
    assert (list(request.update_mask.paths), request.policy.etag) == (["options"], "1")
    assert request.policy.options == TransferOptions(foreign_layers=True)


async def test_a_registry_has_a_limit_of_bytes(cli: Cli, fakes: FakeServices) -> None:
    options = ("--type", "docker-registry", "--url", "https://hub.example")
    assert "2.5 MB/s" in (await cli("registry", "create", "hub", *options, "--limit-rate", "2.5MB")).out
    assert fakes.registries.stored["registries/hub"].max_bytes_per_second == 2_500_000
    assert (await cli("registry", "update", "hub", "--limit-rate", "0")).code == 0
    assert list(fakes.calls.requests["UpdateRegistry"][0].update_mask.paths) == ["max_bytes_per_second"]
    assert fakes.registries.stored["registries/hub"].max_bytes_per_second == 0


async def test_a_run_that_succeeds_sums_up(cli: Cli, fakes: FakeServices) -> None:
    fakes.executions.script = [Execution(state=Execution.STATE_RUNNING), finished(Execution.STATE_SUCCEEDED)]
    result = await cli("run", "nightly")
    assert result.code == 0
    assert result.out.startswith("SUCCEEDED: 2 of 2 tasks; ")
    assert "3 copied (1.5 MB)" in result.out
    assert "7 s." in result.out
    assert "RUNNING\nSUCCEEDED: tasks 2 of 2" in result.err
    assert fakes.calls.requests["StartExecution"][0].policy == "policies/nightly"


async def test_what_a_run_waits_for_is_told_when_it_comes(cli: Cli, fakes: FakeServices) -> None:
    running = Execution(state=Execution.STATE_RUNNING)
    waiting = Execution(state=Execution.STATE_RUNNING, state_message="waits for a time window")
    fakes.executions.script = [running, waiting, finished(Execution.STATE_SUCCEEDED)]
    assert "RUNNING\nRUNNING (waits for a time window)\n" in (await cli("run", "nightly")).err
    fakes.executions.stored.clear()
    code, shown = await typed(cli, "run", "nightly")
    assert code == 0
    assert shown.count("waits for a time window") == 2  # once above the bars, once in the sum
    assert "2 of 2" in shown


async def test_a_run_that_fails_says_which_tasks_and_why(cli: Cli, fakes: FakeServices) -> None:
    failed = finished(Execution.STATE_FAILED)
    failed.task_counts.failed = 7
    fakes.executions.script = [failed]
    failure = Failure(reason="DIGEST_MISMATCH", message=f"The bytes are not{ERASE} those.")
    fakes.executions.tasks = [
        Task(source_repository=f"a{number}", destination_repository="b", state=Task.STATE_FAILED, failure=failure)
        for number in range(7)
    ]
    result = await cli("run", "nightly")
    assert result.code == 1
    assert result.out.startswith("FAILED")
    assert "a4 -> b: The bytes are not" in result.err
    assert "a5 -> b" not in result.err
    assert ERASE not in result.err
    assert "transship execution retry" in result.err


async def test_a_run_that_is_skipped_is_no_failure(cli: Cli, fakes: FakeServices) -> None:
    fakes.executions.script = [Execution(state=Execution.STATE_SKIPPED, state_message="executions/e7 goes on")]
    result = await cli("run", "nightly")
    assert result.code == 0
    assert result.out.startswith("SKIPPED (executions/e7 goes on): ")


async def test_a_run_as_json_is_a_line_for_each_state(cli: Cli, fakes: FakeServices) -> None:
    fakes.executions.script = [Execution(state=Execution.STATE_RUNNING), finished(Execution.STATE_STOPPED)]
    result = await cli("run", "nightly", "-o", "json")
    assert result.code == 1
    assert [each["state"] for each in result.json_lines] == ["STATE_RUNNING", "STATE_STOPPED"]


async def test_a_run_need_not_be_waited_for(cli: Cli, fakes: FakeServices) -> None:
    result = await cli("run", "nightly", "--no-wait", "-o", "json")
    assert (result.code, result.json["state"]) == (0, "STATE_PENDING")
    assert not fakes.calls.requests["WatchExecution"]


async def test_ctrl_c_ends_the_watching_and_says_how_to_stop(cli: Cli, fakes: FakeServices) -> None:
    fakes.executions.hangs = True
    fakes.executions.script = [Execution(state=Execution.STATE_RUNNING)]
    process = await cli.start("run", "nightly")
    assert process.stderr
    while b"RUNNING" not in await process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    assert process.returncode == 130
    assert b"transship execution stop" in err
    assert b"Traceback" not in err
    assert not fakes.calls.requests["StopExecution"]


async def test_executions_can_be_seen_and_stopped(cli: Cli, fakes: FakeServices) -> None:
    for number in range(3):
        name = f"executions/e{number}"
        fakes.executions.stored[name] = Execution(name=name, policy="policies/p", state=Execution.STATE_RUNNING)
    wanted = ("--state", "running", "--trigger", "event", "--since", "2026-11-24", "--oldest-first", "--limit", "2")
    listed = await cli("execution", "list", *wanted, "-o", "json")
    assert [each["name"] for each in listed.json] == ["executions/e0", "executions/e1"]
    request = fakes.calls.requests["ListExecutions"][0]
    assert (request.states, request.triggers) == ([Execution.STATE_RUNNING], [Execution.TRIGGER_EVENT])
    assert (request.created_since.ToJsonString(), request.order_by) == ("2026-11-24T00:00:00Z", "create_time")
    assert "STOPPING" in (await cli("execution", "stop", "e1")).out
    assert (await cli("execution", "retry", "executions/e1")).code == 0
    assert (await cli("execution", "get", "e9")).err == (
        "Error: There is no execution executions/e9. `transship execution list` shows those that there are.\n"
    )


async def test_tasks_and_their_logs(cli: Cli, fakes: FakeServices) -> None:
    fakes.executions.stored["executions/e"] = Execution(name="executions/e", state=Execution.STATE_SUCCEEDED)
    fakes.executions.tasks = [
        Task(name=f"executions/e/tasks/t{number}", source_repository="nginx", state=Task.STATE_SUCCEEDED)
        for number in (1, 2, 3)
    ]
    fakes.executions.log = [LogEntry(sequence=1, severity=LogEntry.SEVERITY_INFO, message="copied", fields={"n": "1"})]
    assert [each["name"][-2:] for each in (await cli("execution", "tasks", "e", "-o", "json")).json] == [
        "t1",
        "t2",
        "t3",
    ]
    assert "copied n=1" in (await cli("execution", "logs", "e", "t2", "--follow")).out
    assert [each.name[-2:] for each in fakes.calls.requests["ReadTaskLog"]] == ["t2"]
    all_of_them = await cli("execution", "logs", "e", "--follow", "-o", "json")
    assert [each["task"][-2:] for each in all_of_them.json_lines] == ["t1", "t2", "t3"]


async def test_a_copy_uses_the_registries_that_are_there(cli: Cli, fakes: FakeServices) -> None:
    with_registries(fakes, hub="https://hub.example", mirror="http://127.0.0.1:5000", path="https://x.example/path")
    fakes.executions.script = [finished(Execution.STATE_SUCCEEDED)]
    options = ("--no-override", "--platform", "linux/arm64", "--referrers", "--limit-rate", "1MB")
    result = await cli("copy", "hub.example:443/library/nginx:1.27", "127.0.0.1:5000/nginx", *options)
    assert result.code == 0
    policy = fakes.calls.requests["StartExecution"][0].inline_policy
    assert policy.source_registry == "registries/hub"
    assert (
        policy.destinations[0]
        == Policy(destinations=[{"registry": "registries/mirror", "repository": "nginx"}]).destinations[0]
    )
    assert [(each.dimension, each.glob) for each in policy.filters] == [
        (Filter.DIMENSION_NAME, "library/nginx"),
        (Filter.DIMENSION_TAG, "1.27"),
    ]
    assert not policy.override
    assert policy.options == TransferOptions(platforms=["linux/arm64"], referrers=True, max_bytes_per_second=10**6)
    assert not fakes.calls.requests["CreateRegistry"]


async def test_a_copy_of_nothing_has_failed(cli: Cli, fakes: FakeServices) -> None:
    with_registries(fakes, hub="https://hub.example", mirror="http://127.0.0.1:5000")
    result = await cli("copy", "hub.example/nginx:1.72", "127.0.0.1:5000/nginx")
    assert result.code == 1
    assert result.err.endswith("Error: There is no tag 1.72 in nginx.\n")
    assert (await cli("copy", "hub.example/nginx:1.72", "127.0.0.1:5000/nginx", "--no-wait")).code == 0


async def test_a_copy_registers_hosts_it_does_not_know_and_says_so(cli: Cli, fakes: FakeServices) -> None:
    fakes.executions.script = [finished(Execution.STATE_SUCCEEDED)]
    result = await cli("copy", "docker.io/nginx", "localhost:5000/nginx")
    assert result.code == 0
    made = {each.registry_id: each.registry.url for each in fakes.calls.requests["CreateRegistry"]}
    assert made == {
        "registry-1.docker.io": "https://registry-1.docker.io",
        "localhost-5000": "http://localhost:5000",
    }
    assert "Registered http://localhost:5000 as registry localhost-5000" in result.err
    (name,) = fakes.calls.requests["StartExecution"][0].inline_policy.filters
    assert name.glob == "library/nginx"


async def test_adapters_are_listed(cli: Cli) -> None:
    assert (await cli("adapter", "list", "-o", "json")).json[0]["type"] == "docker-registry"


@pytest.mark.parametrize("args", [("status",), ("down",), ("registry", "list")])
async def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, args: tuple[str, ...]) -> None:
    result = await Cli("", tmp_path)(*args, "--state-dir", str(tmp_path / "none"))
    assert (result.code, result.out) == (1, "")
    assert result.err == f"Error: No stack is running in {tmp_path / 'none'}. Start one with `transship up`.\n"


async def test_a_database_is_migrated_once(tmp_path: Path, postgres: Any, databases: Any) -> None:
    url = postgres.url(await databases.create())
    cli = Cli("", tmp_path)
    first = await cli("migrate", "--database-url", url, "registry", "policy", "-o", "json")
    assert (first.code, list(first.json)) == (0, ["registry", "policy"])
    assert first.json["registry"]
    again = await cli("migrate", "--database-url", url, "registry")
    assert again.out == "registry: up to date\n"


@pytest.mark.parametrize("url", [f"postgresql://me:{PASSWORD}@127.0.0.1:1/x", f"nonsense {PASSWORD}"])
async def test_a_database_that_is_not_there_is_told_without_its_password(tmp_path: Path, url: str) -> None:
    result = await Cli("", tmp_path)("migrate", "--database-url", url.replace(" ", "%20"))
    assert result.code == 1
    assert result.err.startswith("Error: The database")
    assert PASSWORD.split(maxsplit=1)[0] not in result.err


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("policy", "create"),
        ("policy", "update"),
        ("copy",),
        ("policy", "apply"),
        *(("policy", "test"), ("policy", "preview"), ("plan",), ("event", "publish"), ("event-source", "create")),
        *(("execution", "list"), ("execution", "logs"), ("up",), ("migrate",)),
    ],
)
async def test_help_is_there_and_whole_on_a_narrow_screen(tmp_path: Path, args: tuple[str, ...]) -> None:
    result = await Cli("", tmp_path, columns=80)(*args, "--help")
    assert (result.code, result.err) == (0, "")
    assert "Usage: transship" in result.out
    assert not re.search(r"--\S*…", result.out)
