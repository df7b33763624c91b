"""An execution: one run of a policy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NewType, Self

from execution_svc.domain.errors import ExecutionFinished, ExecutionRunning, NothingToRetry
from execution_svc.domain.origin import BY_HAND, EventResource, Origin, Trigger
from execution_svc.domain.policy import Policy
from execution_svc.domain.transfer import NO_PROGRESS, Failure, Progress

ExecutionId = NewType("ExecutionId", str)

UNSTORED: Final = ExecutionId("")  # of an execution that is only a thought
NOTHING_TO_REPLICATE: Final = "no resources need to be replicated"


class ExecutionState(StrEnum):
    """Passages of an execution's life; README.md draws them."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    SKIPPED = "SKIPPED"

    @property
    def is_final(self) -> bool:
        return self not in {ExecutionState.PENDING, ExecutionState.RUNNING, ExecutionState.STOPPING}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskCounts:
    """Tasks of an execution by state."""

    total: int = 0
    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    stopped: int = 0
    skipped: int = 0


NO_TASKS: Final = TaskCounts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One run of a policy."""

    id: ExecutionId
    policy: Policy
    origin: Origin
    state: ExecutionState
    state_message: str = ""
    failure: Failure | None = None
    task_counts: TaskCounts = NO_TASKS
    progress: Progress = NO_PROGRESS
    listing_complete: bool = False
    create_time: datetime
    start_time: datetime | None = None
    end_time: datetime | None = None

    def check_stoppable(self) -> None:
        """Raises ExecutionFinished when it has ended."""
        if self.state.is_final:
            raise ExecutionFinished(execution=self.id, state=self.state)

    def check_retryable(self) -> None:
        """Raises ExecutionRunning when it has not ended, NothingToRetry when nothing failed or was stopped."""
        if not self.state.is_final:
            raise ExecutionRunning(execution=self.id, state=self.state)
        if self.state in {ExecutionState.SUCCEEDED, ExecutionState.SKIPPED}:
            raise NothingToRetry(execution=self.id)

    def bytes_per_second(self, now: datetime) -> int:
        """Bytes copied a second, over the time from its start to now or to its end."""
        elapsed = self._elapsed(now)
        return round(self.progress.bytes_copied / elapsed.total_seconds()) if elapsed else 0

    def remaining(self, now: datetime) -> timedelta | None:
        """How long it will still take if the references to come take as long as those that are done.

        None when there is nothing to judge by: before the listing is complete, before a reference is done, and when it
        does not run.
        """
        done, total = self.progress.references_done, self.progress.references_total
        if self.state is not ExecutionState.RUNNING or not self.listing_complete or not done:
            return None
        return self._elapsed(now) * (max(total - done, 0) / done)

    def _elapsed(self, now: datetime) -> timedelta:
        """None yet is none: another machine's clock may be behind that of the start."""
        if self.start_time is None:
            return timedelta()
        return max((self.end_time or now) - self.start_time, timedelta())


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRequest:
    """Asks for an execution; `subject` says what `request_id` stands for."""

    id: ExecutionId
    request_id: str | None
    subject: str
    policy: Policy
    origin: Origin = BY_HAND
    now: datetime

    def execution(self) -> Execution:
        """What it makes."""
        return Execution(
            id=self.id, policy=self.policy, origin=self.origin, state=ExecutionState.PENDING, create_time=self.now
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionFilter:
    """Picks executions, and says in which order; what is empty keeps all."""

    policy: str = ""
    states: Sequence[ExecutionState] = ()
    triggers: Sequence[Trigger] = ()
    created_since: datetime | None = None
    created_before: datetime | None = None
    oldest_first: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLease:
    """The right of one worker to carry on the flow of an execution, until it ends or is taken away."""

    execution: ExecutionId
    token: str
    policy: Policy
    attempt: int
    resources: tuple[EventResource, ...] = ()  # what events told of; none for all of the source

    @property
    def resumed(self) -> bool:
        """Whether tasks of this execution may have been written before."""
        return self.attempt > 1

    def again(self) -> Self:
        """The lease for another run by the same worker."""
        return replace(self, attempt=self.attempt + 1)
