"""What is asked of the database, by its three users. Each method is one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from execution_svc.domain.execution import Execution, ExecutionFilter, ExecutionId, FlowLease, StartRequest
from execution_svc.domain.retention import Retention
from execution_svc.domain.task import (
    Collision,
    Job,
    JobKey,
    JobStatus,
    Operation,
    PlannedTask,
    Task,
    TaskFilter,
    TaskId,
)
from execution_svc.domain.transfer import Failure, Reference

ExecutionCursor = tuple[datetime, ExecutionId]


class ExecutionStore(Protocol):
    """What the API reads and changes."""

    async def started_by(self, request_id: str, subject: str) -> Execution | None:
        """The execution that the request id has started; raises RequestIdReused if that was for another subject."""
        ...

    async def create(self, request: StartRequest) -> Execution:
        """A new execution, or the one that the same request has started meanwhile; raises as `started_by`.

        Where others of its policy have not ended, the policy's overlap decides: it waits, is kept as SKIPPED, or has
        the others stopped. Of starts that come together, each sees those before it.
        """
        ...

    async def get(self, execution: ExecutionId) -> Execution:
        """Raises ExecutionNotFound."""
        ...

    async def list_executions(
        self, wanted: ExecutionFilter, after: ExecutionCursor | None, limit: int
    ) -> list[Execution]:
        """In the order that is wanted, those beyond the cursor."""
        ...

    async def stop(self, execution: ExecutionId, now: datetime) -> Execution:
        """Stops tasks that have no job, and asks that the others be stopped; raises ExecutionFinished."""
        ...

    async def retry(self, execution: ExecutionId, now: datetime) -> Execution:
        """Begins a new run of what failed or was stopped; raises ExecutionRunning or NothingToRetry.

        Items without a job, and a listing that did not come to its end, are repeated by another run of the flow.
        """
        ...

    async def task(self, execution: ExecutionId, task: TaskId) -> Task:
        """Raises TaskNotFound."""
        ...

    async def list_tasks(self, wanted: TaskFilter, after: int, limit: int) -> list[Task]:
        """In the order they were created, those with a sequence above `after`; without their results."""
        ...


class FlowStore(Protocol):
    """What a flow worker reads and writes. With a lease that is no longer its own, each method raises LeaseLost."""

    async def claim_flow(self, *, token: str, now: datetime, until: datetime) -> FlowLease | None:
        """The oldest execution that wants listing, that nobody is at, and that no other of its policy is before."""
        ...

    async def renew(self, lease: FlowLease, until: datetime) -> None: ...

    async def release(self, lease: FlowLease) -> None:
        """Gives the flow to the next worker; no error when it was taken away before."""
        ...

    async def begin_listing(self, lease: FlowLease, *, release_tasks: bool) -> None:
        """Forgets the items that ended in an earlier run of the flow, and says whether tasks may start at once.

        Tasks that wait for the copies are forgotten too.
        """
        ...

    async def unwritten(
        self,
        lease: FlowLease,
        operation: Operation,
        destination_index: int,
        repository: str,
        references: Sequence[Reference],
    ) -> list[Reference]:
        """Those references of a source repository that no such task of the destination has yet."""
        ...

    async def write_tasks(self, lease: FlowLease, tasks: Sequence[PlannedTask], now: datetime) -> None:
        """Adds the tasks; one whose id exists stays as it is."""
        ...

    async def collisions(self, lease: FlowLease) -> list[Collision]:
        """Repositories of destinations that tasks of more than one source repository write to.

        Where the policy maps tags, tags that more than one tag of the source is mapped to.
        """
        ...

    async def fail_collided(
        self, lease: FlowLease, collided: Sequence[tuple[Collision, Failure]], now: datetime
    ) -> None:
        """Fails what collides and has no job yet; other references of the same tasks are not touched."""
        ...

    async def complete_listing(self, lease: FlowLease, now: datetime, message: str = "") -> None:
        """Ends the flow and lets its tasks start; an execution without open tasks ends with it.

        Tasks that wait for the copies get jobs when those have ended, and are stopped when one of those has failed.
        """
        ...

    async def fail_listing(self, lease: FlowLease, failure: Failure, now: datetime) -> None:
        """Ends the flow; the execution fails when the tasks that have jobs have ended."""
        ...


class DelegationStore(Protocol):
    """What the delegator reads and writes."""

    async def in_flight(self) -> list[JobKey]:
        """Jobs that may exist and have not ended."""
        ...

    async def claim_tasks(self, limit: int, now: datetime) -> list[Job]:
        """Tasks that get jobs now, taken in turns from the running executions. They are in flight from here on.

        Of a policy no more are in flight than its limits allow; an execution that waits for a time window says so.
        """
        ...

    async def resubmit(self, keys: Sequence[JobKey]) -> list[Job]:
        """Those of the jobs in flight that are still wanted, their revisions forgotten."""
        ...

    async def to_stop(self) -> list[JobKey]:
        """Jobs in flight of executions that are being stopped."""
        ...

    async def fold(self, statuses: Sequence[JobStatus], now: datetime) -> None:
        """Takes the statuses over into their tasks, and ends executions whose last task has ended.

        A status of another run, with an old revision, or of a task that has ended changes nothing.
        """
        ...


class RetentionStore(Protocol):
    """What is asked about executions that have ended long ago."""

    async def policies_with_ended(self) -> list[str]:
        """Names of policies of which there are ended executions; inline policies share the empty name."""
        ...

    async def delete_batch(self, policy: str, keep: Retention, now: datetime) -> bool:
        """Deletes some of the policy's ended executions that are not to be kept; whether there may be more."""
        ...
