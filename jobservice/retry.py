"""What becomes of a job after an attempt. Pure rules."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from jobservice.domain import JobState
from jobservice.store import Finish
from jobservice.transfer import Failure, Outcome, ReferenceResult

MAX_ATTEMPTS: Final = 3  # as many as Harbor makes; requests are repeated within an attempt as well
BACKOFF_BASE_S: Final = 2.0
BACKOFF_CAP_S: Final = 60.0
MAX_RETRY_AFTER_S: Final = 3600.0  # a registry may ask for patience, not for ever
RETRY_AFTER: Final = "retry_after_s"  # metadata of a failure: what the registry asked for


def conclude(results: Sequence[ReferenceResult], *, failed_attempts: int, jitter: Callable[[], float]) -> Finish:
    """Succeeded when no reference failed; another attempt when one may do better; failed with the first failure else.

    `jitter` gives a number from 0 to 1.
    """
    failures = [each.failure or _UNEXPLAINED for each in results if each.outcome is Outcome.FAILED]
    if not failures:
        return Finish(state=JobState.SUCCEEDED, results=tuple(results))
    retryable = [failure for failure in failures if failure.retryable]
    if retryable and failed_attempts + 1 < MAX_ATTEMPTS:
        return Finish(
            state=JobState.PENDING,
            failure=retryable[0],
            delay_s=max(_delay_s(failure, failed_attempts, jitter()) for failure in retryable),
            counts_as_failure=True,
        )
    return Finish(state=JobState.FAILED, failure=failures[0], results=tuple(results), counts_as_failure=True)


def conclude_crash(*, failed_attempts: int, jitter: Callable[[], float]) -> Finish:
    """After an exception that no handler should raise: another attempt while there is one left."""
    if failed_attempts + 1 < MAX_ATTEMPTS:
        delay_s = backoff_s(failed_attempts, jitter())
        return Finish(state=JobState.PENDING, failure=_CRASHED, delay_s=delay_s, counts_as_failure=True)
    return Finish(state=JobState.FAILED, failure=_CRASHED, counts_as_failure=True)


def backoff_s(failed_attempts: int, jitter: float) -> float:
    """Full jitter: anything from nothing to a bound that doubles, so that jobs that failed together come back apart."""
    return min(BACKOFF_CAP_S, BACKOFF_BASE_S * 2.0**failed_attempts) * jitter


def _delay_s(failure: Failure, failed_attempts: int, jitter: float) -> float:
    asked = failure.metadata.get(RETRY_AFTER)
    if asked is None:
        return backoff_s(failed_attempts, jitter)
    return min(MAX_RETRY_AFTER_S, max(0.0, float(asked))) + jitter


_UNEXPLAINED: Final = Failure(reason="INTERNAL", message="The reference failed, and the handler did not say why.")
_CRASHED: Final = Failure(
    reason="INTERNAL", message="The attempt ended in a fault of the job service. Its log tells more.", retryable=True
)
