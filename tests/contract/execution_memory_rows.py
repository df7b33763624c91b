"""Rows of the stores in memory, and what becomes of them: pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from execution_svc.domain.execution import Execution, ExecutionFilter, ExecutionId, ExecutionState, StartRequest
from execution_svc.domain.limits import Limits
from execution_svc.domain.origin import Trigger
from execution_svc.domain.overlap import OpenExecution
from execution_svc.domain.task import JobStatus, PlannedTask, Task, TaskState
from execution_svc.domain.transfer import NO_PROGRESS, Failure


@dataclass(kw_only=True)
class Row:
    """An execution, and what its worker needs to know."""

    execution: Execution
    request_id: str | None
    subject: str
    released: bool = False
    attempt: int = 0
    token: str | None = None
    leased_until: datetime | None = None


@dataclass(kw_only=True)
class TaskRow:
    task: Task
    planned: PlannedTask
    revision: int = 0

    @property
    def open(self) -> bool:
        return not self.task.state.is_final

    @property
    def waiting(self) -> bool:
        return self.task.state is TaskState.PENDING and not self.task.delegated

    @property
    def in_flight(self) -> bool:
        return self.task.delegated and self.open


def targets_of(row: TaskRow, by_tag: Sequence[str]) -> list[tuple[str, str]]:
    """What the task writes to in its repository, and from where: tags, or all of it."""
    task = row.task
    if task.destination_registry not in by_tag:
        return [("", task.source_repository)]
    named = [(each.destination_tag or each.tag, each.tag) for each in row.planned.references]
    return [(there, f"{task.source_repository}:{tag}") for there, tag in named if there]


def tasks_allowed(row: Row, now: datetime) -> int | None:
    return Limits.of_document(row.execution.policy.document).allowed(now)


def picks(wanted: ExecutionFilter, execution: Execution) -> bool:
    return (
        wanted.policy in {"", execution.policy.name}
        and (not wanted.states or execution.state in wanted.states)
        and (not wanted.triggers or execution.origin.trigger in wanted.triggers)
        and (wanted.created_since is None or execution.create_time >= wanted.created_since)
        and (wanted.created_before is None or execution.create_time < wanted.created_before)
    )


def open_execution(row: Row, request: StartRequest) -> OpenExecution:
    document = {**row.execution.policy.document, "next_run_time": ""}
    return OpenExecution(
        id=row.execution.id,
        pending=row.execution.state is ExecutionState.PENDING,
        by_event=row.execution.origin.trigger is Trigger.EVENT,
        whole=not row.execution.origin.event_resources,
        same_policy=document == {**request.policy.document, "next_run_time": ""},
    )


def ending(execution: Execution) -> ExecutionState:
    if execution.failure or execution.task_counts.failed:
        return ExecutionState.FAILED
    if execution.task_counts.stopped or not execution.listing_complete:
        return ExecutionState.STOPPED
    return ExecutionState.SUCCEEDED


def written_task(planned: PlannedTask, execution: ExecutionId, sequence: int, now: datetime) -> Task:
    task = Task(
        id=planned.id,
        execution=execution,
        sequence=sequence,
        operation=planned.operation,
        source_registry=planned.source_registry,
        source_repository=planned.source_repository,
        destination_registry=planned.destination_registry,
        destination_repository=planned.destination_repository,
        reference_count=len(planned.references),
        state=TaskState.PENDING,
        run=1,
        delegated=False,
        attempt=0,
        failure=None,
        results=(),
        progress=replace(NO_PROGRESS, references_total=len(planned.references)),
        create_time=now,
        start_time=None,
        end_time=None,
    )
    return _ended_item(task, planned.state, planned.failure, now) if planned.failure else task


def failed_item(task: Task, failure: Failure, now: datetime) -> Task:
    return _ended_item(task, TaskState.FAILED, failure, now)


def _ended_item(task: Task, state: TaskState, failure: Failure, now: datetime) -> Task:
    skipped = task.reference_count if state is TaskState.SKIPPED else 0
    progress = replace(task.progress, references_failed=task.reference_count - skipped, references_skipped=skipped)
    return replace(task, state=state, run=0, failure=failure, end_time=now, progress=progress)


def waiting_task(task: Task, *, run: int) -> Task:
    return replace(
        task,
        state=TaskState.PENDING,
        run=run,
        delegated=False,
        attempt=0,
        failure=None,
        results=(),
        progress=replace(NO_PROGRESS, references_total=task.reference_count),
        start_time=None,
        end_time=None,
    )


def folded_task(task: Task, status: JobStatus, now: datetime) -> Task:
    final = status.state.is_final
    total = max(status.progress.references_total, task.reference_count)
    return replace(
        task,
        state=task.state if status.state is TaskState.PENDING else status.state,
        attempt=status.attempt,
        failure=status.failure if status.state is TaskState.FAILED else None,
        results=status.results if final else (),
        progress=replace(status.progress, references_total=total),
        start_time=task.start_time or status.start_time,
        end_time=(status.end_time or now) if final else None,
    )
