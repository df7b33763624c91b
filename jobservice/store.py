"""Where jobs are kept: what the service asks of it (`JobStore`) and what the workers do (`RunStore`).

Time is the database's own: workers on many machines need not agree on theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from jobservice.domain import Job, JobSpec, JobState, JobStatus, LogEntry, LogLine, Work
from jobservice.transfer import Failure, ReferenceResult

Cursor = tuple[datetime, str]  # create time and key of the last job that was seen


class JobStore(Protocol):
    """Jobs as their clients see them."""

    async def submit(self, specs: Sequence[JobSpec]) -> frozenset[str]:
        """Stores what is new, and gives the keys that belong to jobs with other work; those are left alone."""
        ...

    async def get(self, key: str) -> Job:
        """Raises JobNotFound."""
        ...

    async def page(self, states: frozenset[JobState], *, limit: int, after: Cursor | None) -> list[Job]:
        """Jobs in one of these states (in any, when there are none), the newest first, without results."""
        ...

    async def existing(self, keys: Sequence[str]) -> frozenset[str]:
        """Those of the keys that jobs have."""
        ...

    async def newer(self, known: Mapping[str, int]) -> list[JobStatus]:
        """The statuses of these jobs whose revision is above the known one."""
        ...

    async def request_stop(self, keys: Sequence[str]) -> None:
        """Stops what waits and tells the workers of what runs; passes over unknown and ended jobs."""
        ...

    async def read_log(self, key: str, *, after: int, limit: int) -> list[LogEntry]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A job that is ours to run, for as long as no one else has claimed a later attempt."""

    key: str
    fairness_group: str
    attempt: int
    work: Work
    failed_attempts: int  # before this one
    # What these have brought and done.
    progress: Mapping[str, int] = field(default_factory=dict)
    results: tuple[ReferenceResult, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A sign of life of one run: what it has done since the last one. No progress means that it is unchanged.

    The results are kept with the job: the next attempt begins with them. Of two of one place the later one counts.
    """

    key: str
    attempt: int
    progress: Mapping[str, int] | None = None
    results: tuple[ReferenceResult, ...] = ()
    lines: tuple[LogLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """How a run ends a job, or hands it on: `state` is final, or PENDING for another attempt after the delay.

    Without results, those that were kept with the job stay.
    """

    state: JobState
    failure: Failure | None = None
    results: tuple[ReferenceResult, ...] = ()
    delay_s: float = 0.0
    counts_as_failure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """The end of a run, with its last sign of life."""

    beat: Beat
    finish: Finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaped:
    """Jobs taken away from vanished workers, by what became of them."""

    returned: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class RunStore(Protocol):
    """Jobs as the workers see them. Whoever holds an older attempt can change nothing."""

    async def claim(self, keys: Sequence[str], *, worker: str) -> list[Claim]:
        """Takes those of the jobs that are queued."""
        ...

    async def beat(self, beats: Sequence[Beat]) -> Mapping[str, bool]:
        """Writes signs of life. Gives the keys still held, each with whether its stop was requested."""
        ...

    async def finish(self, ends: Sequence[End]) -> frozenset[str]:
        """Ends runs, all or none; a job to be stopped is not handed on. Gives the keys of those that were held."""
        ...

    async def reap(self, *, silent_s: float, max_lost: int) -> Reaped:
        """Takes the jobs of workers silent for so long; those that lost this many workers fail."""
        ...

    async def forget(self, *, ended_s: float, limit: int) -> int:
        """Deletes jobs that ended so long ago, with their logs, so many at the most; gives how many it were."""
        ...

    async def queued_for(self, seconds: float) -> list[str]:
        """Jobs that were put into the queue so long ago and not claimed since."""
        ...

    async def unqueue(self, keys: Sequence[str]) -> None:
        """Puts unclaimed jobs back into the backlog."""
        ...
