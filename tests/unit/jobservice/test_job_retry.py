"""What becomes of a job after an attempt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobservice.domain import JobState
from jobservice.retry import BACKOFF_CAP_S, MAX_ATTEMPTS, backoff_s, conclude, conclude_crash
from tests.jobs import COPIED, failed


def no_jitter() -> float:
    return 1.0


def test_all_copied_is_a_success() -> None:
    finish = conclude([COPIED], failed_attempts=0, jitter=no_jitter)
    assert (finish.state, finish.results, finish.failure) == (JobState.SUCCEEDED, (COPIED,), None)


def test_a_final_failure_fails_the_job_at_once() -> None:
    denied = failed("ACCESS_DENIED", retryable=False)
    finish = conclude([COPIED, denied], failed_attempts=0, jitter=no_jitter)
    assert (finish.state, finish.failure, finish.results) == (JobState.FAILED, denied.failure, (COPIED, denied))


def test_one_failure_that_may_pass_is_worth_another_attempt() -> None:
    transient = failed("RATE_LIMITED")
    finish = conclude([failed("ACCESS_DENIED", retryable=False), transient], failed_attempts=0, jitter=no_jitter)
    assert (finish.state, finish.failure, finish.delay_s) == (JobState.PENDING, transient.failure, 2.0)
    assert finish.counts_as_failure


@pytest.mark.parametrize(("failed_attempts", "state"), [(1, JobState.PENDING), (2, JobState.FAILED)])
def test_attempts_run_out(failed_attempts: int, state: JobState) -> None:
    assert conclude([failed()], failed_attempts=failed_attempts, jitter=no_jitter).state is state
    assert conclude_crash(failed_attempts=failed_attempts, jitter=no_jitter).state is state
    assert MAX_ATTEMPTS == 3


def test_a_registry_may_ask_for_patience() -> None:
    finish = conclude([failed(retry_after_s="17"), failed()], failed_attempts=0, jitter=lambda: 0.0)
    assert finish.delay_s == 17.0


def test_patience_has_an_end() -> None:
    assert conclude([failed(retry_after_s="1e9")], failed_attempts=0, jitter=lambda: 0.0).delay_s == 3600.0


@given(st.integers(0, 100), st.floats(0, 1))
def test_backoff_is_bounded(failed_attempts: int, jitter: float) -> None:
    assert 0 <= backoff_s(failed_attempts, jitter) <= BACKOFF_CAP_S
