"""Values of the job service: jobs, where they stand, and what their logs hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from jobservice.transfer import DeleteWork, Failure, ReferenceResult, ReplicateWork

Work = ReplicateWork | DeleteWork


class JobState(StrEnum):
    """Passages of a job's life. It may go from running back to pending; a final state stays."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        return self in {JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """What is asked for, under a key that the client chose; groups take turns."""

    key: str
    fairness_group: str
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """Where a job stands. Of two statuses of a job the one with the higher revision is the newer."""

    key: str
    revision: int = 1
    state: JobState = JobState.PENDING
    stop_requested: bool = False
    attempt: int = 0
    progress: Mapping[str, int] = field(default_factory=dict)
    failure: Failure | None = None
    results: tuple[ReferenceResult, ...] = ()
    start_time: datetime | None = None
    end_time: datetime | None = None
    next_attempt_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job: what it does and where it stands."""

    spec: JobSpec
    status: JobStatus
    create_time: datetime


class Severity(StrEnum):
    """How grave a line of a log is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLine:
    """One line of a job's log."""

    write_time: datetime
    severity: Severity
    message: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """A line with its place in the log of its job, counted from 1."""

    sequence: int
    line: LogLine
