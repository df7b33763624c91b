"""A task, and the job that carries it out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NewType, Self

from execution_svc.domain.execution import ExecutionId
from execution_svc.domain.transfer import NO_PROGRESS, Failure, Progress, Reference, ReferenceResult

TaskId = NewType("TaskId", str)


# Above any revision of the jobservice: what we say ourselves about a job that will never exist.
LAST_REVISION: Final = 2**63 - 1


class Operation(StrEnum):
    """What a task does with its references."""

    COPY = "COPY"
    DELETE = "DELETE"


class TaskState(StrEnum):
    """Passages of a task's life, and of its job's, which is never skipped."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    SKIPPED = "SKIPPED"

    @property
    def is_final(self) -> bool:
        return self not in {TaskState.PENDING, TaskState.RUNNING}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKey:
    """The key of the job of one run of a task. Keys are used once, so each retry has another one."""

    task: TaskId
    run: int

    def __str__(self) -> str:
        return f"{self.task}-{self.run}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError when no key of ours looks like that."""
        task, _, run = text.rpartition("-")
        return cls(task=TaskId(task), run=int(run))


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTask:
    """A task to be written; with a failure, an item that has ended already and gets no job.

    Such an item has failed or, when there is nothing to do on purpose, is `skipped`; the failure says why.
    """

    id: TaskId
    operation: Operation
    destination_index: int
    source_registry: str
    source_repository: str
    destination_registry: str
    destination_repository: str
    references: tuple[Reference, ...]
    failure: Failure | None = None
    skipped: bool = False
    after_copies: bool = False  # whether it waits for all copies of its execution, and is stopped when one fails

    @property
    def state(self) -> TaskState:
        """The state in which it is written."""
        if self.failure is None:
            return TaskState.PENDING
        return TaskState.SKIPPED if self.skipped else TaskState.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Some references of one repository on their way to one destination."""

    id: TaskId
    execution: ExecutionId
    sequence: int
    operation: Operation
    source_registry: str
    source_repository: str
    destination_registry: str
    destination_repository: str
    reference_count: int
    state: TaskState
    run: int
    delegated: bool
    attempt: int
    failure: Failure | None
    results: tuple[ReferenceResult, ...]
    progress: Progress
    create_time: datetime
    start_time: datetime | None
    end_time: datetime | None

    @property
    def job(self) -> JobKey:
        return JobKey(task=self.id, run=self.run)


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFilter:
    """Picks tasks of an execution; no states keep all."""

    execution: ExecutionId
    states: Sequence[TaskState] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A task as it is handed to the jobservice.

    `options` is the JSON form of `transship.type.v1.TransferOptions`, with the field names of the proto: how artifacts
    are copied is decided by the policy and understood by the jobservice; here it passes through.
    """

    key: JobKey
    operation: Operation
    fairness_group: str
    source_registry: str
    source_repository: str
    destination_registry: str
    destination_repository: str
    references: tuple[Reference, ...]
    override: bool
    backup_tag: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """Where a job stands. Of two statuses of a job, the one with the higher revision holds."""

    key: JobKey
    revision: int
    state: TaskState
    attempt: int = 0
    progress: Progress = NO_PROGRESS
    failure: Failure | None = None
    results: tuple[ReferenceResult, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collision:
    """Several source repositories that are mapped to one repository or, with a tag, several tags mapped to one."""

    destination_registry: str
    destination_repository: str
    destination_tag: str = ""
    sources: tuple[str, ...]
