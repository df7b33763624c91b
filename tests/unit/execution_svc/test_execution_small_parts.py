"""Job keys, patience, newest statuses, wake-ups and the configuration."""

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest

from execution_svc.config import ExecutionConfig
from execution_svc.delegation.session import newest
from execution_svc.domain.execution import ExecutionId, ExecutionState
from execution_svc.domain.retention import Retention
from execution_svc.domain.task import JobKey, JobStatus, TaskId, TaskState
from execution_svc.patience import REGISTRY_PATIENCE_S, SERVICE_PATIENCE_S, patience_s, waits_s
from execution_svc.signals import Changes
from service_kit.errors import Kind, RemoteError, ServiceUnavailable

KEY = JobKey(task=TaskId("0b9c-1"), run=2)


def test_a_job_key_reads_back() -> None:
    assert JobKey.parse(str(KEY)) == KEY


def test_what_is_no_job_key_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        JobKey.parse("no-number")


def test_of_two_statuses_of_a_job_the_newer_holds() -> None:
    old, new = (JobStatus(key=KEY, revision=n, state=TaskState.RUNNING) for n in (1, 2))
    assert newest([new, old]) == [new]


def test_patience_depends_on_who_does_not_answer() -> None:
    unreachable = RemoteError.of(Kind.FAILED_PRECONDITION, message="", reason="REGISTRY_UNREACHABLE")
    rejected = RemoteError.of(Kind.FAILED_PRECONDITION, message="", reason="REGISTRY_CREDENTIAL_REJECTED")
    assert [patience_s(error) for error in (ServiceUnavailable(), unreachable, rejected)] == [
        SERVICE_PATIENCE_S,
        REGISTRY_PATIENCE_S,
        0.0,
    ]


def test_waits_grow_up_to_a_limit() -> None:
    assert max(islice(waits_s(longest=1.0), 50)) <= 1.0
    assert next(waits_s()) <= 0.2


def test_final_states_are_four() -> None:
    final = ["SUCCEEDED", "FAILED", "STOPPED", "SKIPPED"]
    assert [state.name for state in ExecutionState if state.is_final] == final
    assert [state.name for state in TaskState if state.is_final] == final


async def test_many_changes_wake_once_and_none_is_missed() -> None:
    changes = Changes()
    with changes.subscribe(ExecutionId("a")) as mine, changes.subscribe() as every:
        for execution in ("a", "b", "b"):
            changes.notify(ExecutionId(execution))
        await asyncio.gather(mine.wait(60.0), every.wait(60.0))
        waiting = asyncio.create_task(mine.wait(60.0))
        changes.notify(ExecutionId("b"))
        await asyncio.sleep(0)
        assert not waiting.done()
        changes.notify(None)  # notifications may have been missed
        await waiting


def test_job_targets_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "DATABASE_URL": "postgresql://",
        "REGISTRY_TARGET": "r:1",
        "POLICY_TARGET": "p:1",
        "JOB_TARGETS": "a:1, b:2",
    }.items():
        monkeypatch.setenv(f"TRANSSHIP_EXECUTION_{name}", value)
    config = ExecutionConfig()  # type: ignore[call-arg]  # from the environment
    assert (config.job_targets, config.flow_workers) == (("a:1", "b:2"), 10)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({}, Retention()),
        ({"max_count": 5}, Retention(max_count=5)),
        ({"max_age": "86400s"}, Retention(max_age=timedelta(days=1))),
        ({"max_age": "0.250s"}, Retention(max_age=timedelta(milliseconds=250))),
    ],
)
def test_a_retention_is_read_as_the_policy_has_it(document: dict[str, object], expected: Retention) -> None:
    assert Retention.of_document(document) == expected


def test_an_age_beyond_all_time_deletes_nothing() -> None:
    ten_thousand_years = Retention.of_document({"max_age": "315576000000s"})
    assert ten_thousand_years.ended_before(datetime(2026, 1, 1, tzinfo=UTC)) is None
