"""How fast an execution is, and how long it will still take."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_svc.domain.execution import Execution, ExecutionId, ExecutionState
from execution_svc.domain.origin import BY_HAND
from execution_svc.domain.policy import Policy
from execution_svc.domain.transfer import Progress

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = START + timedelta(seconds=40)


def an_execution(**progress: int) -> Execution:
    return Execution(
        id=ExecutionId("e"),
        policy=Policy.of_document(
            {"source_registry": "registries/a", "destinations": [{"registry": "registries/b"}]},
        ),
        origin=BY_HAND,
        state=ExecutionState.RUNNING,
        listing_complete=True,
        progress=Progress(**progress),
        create_time=START,
        start_time=START,
    )


def test_the_rate_is_over_the_time_from_start_to_now_or_to_the_end() -> None:
    running = an_execution(bytes_copied=4000)
    ended = replace(running, state=ExecutionState.SUCCEEDED, end_time=START + timedelta(seconds=8))
    assert (running.bytes_per_second(NOW), ended.bytes_per_second(NOW)) == (100, 500)


def test_no_time_is_no_rate() -> None:
    running = an_execution(bytes_copied=4000)
    assert replace(running, start_time=None).bytes_per_second(NOW) == 0
    assert running.bytes_per_second(START) == 0
    assert running.bytes_per_second(START - timedelta(seconds=1)) == 0


def test_every_way_to_be_done_with_a_reference_counts() -> None:
    progress = {f"references_{each}": 1 for each in ("copied", "unchanged", "skipped", "deleted", "failed")}
    assert an_execution(references_total=20, **progress).remaining(NOW) == timedelta(seconds=120)


def test_with_everything_done_nothing_remains() -> None:
    assert an_execution(references_total=3, references_copied=3).remaining(NOW) == timedelta()


@pytest.mark.parametrize(
    "changes",
    [
        {"listing_complete": False},
        {"progress": Progress(references_total=2)},
        {"state": ExecutionState.PENDING},
        {"state": ExecutionState.STOPPING},
        {"state": ExecutionState.FAILED, "end_time": NOW},
    ],
)
def test_where_nothing_can_be_said_nothing_is(changes: dict[str, object]) -> None:
    execution = an_execution(references_total=2, references_copied=1)
    assert execution.remaining(NOW) is not None
    assert replace(execution, **changes).remaining(NOW) is None  # type: ignore[arg-type]  # fields of Execution


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_it_is_never_negative(total: int, done: int, seconds: int) -> None:
    execution = an_execution(references_total=total, references_copied=done)
    remaining = execution.remaining(START + timedelta(seconds=seconds))
    assert remaining is None or remaining >= timedelta()
