"""What is said over the stream, and who says it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from execution_svc.domain.task import Job, JobKey, JobStatus
from execution_svc.domain.transfer import Failure


@dataclass(frozen=True, slots=True)
class Submit:
    """Do these jobs, and tell how they go."""

    jobs: Sequence[Job]


@dataclass(frozen=True, slots=True)
class Follow:
    """Tell how these jobs go."""

    keys: Sequence[JobKey]


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop these jobs."""

    keys: Sequence[JobKey]


@dataclass(frozen=True, slots=True)
class Accepted:
    """These jobs are stored and will be done."""

    keys: Sequence[JobKey]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A job that will not be done."""

    key: JobKey
    failure: Failure


@dataclass(frozen=True, slots=True)
class Changed:
    """The newest states of some jobs."""

    statuses: Sequence[JobStatus]


@dataclass(frozen=True, slots=True)
class Unknown:
    """No jobs have these keys."""

    keys: Sequence[JobKey]


Command = Submit | Follow | Stop
Report = Accepted | Rejected | Changed | Unknown


class JobStream(Protocol):
    """One stream, until it breaks."""

    async def send(self, command: Command) -> None:
        """Waits while the peer takes nothing, for ever if the stream has broken."""
        ...

    def reports(self) -> AsyncIterator[Report]:
        """What the peer says; ends when it closes the stream, and raises ServiceError when the stream breaks."""
        ...


class JobStreams(Protocol):
    """Opens streams to the jobservice."""

    def open(self) -> AbstractAsyncContextManager[JobStream]:
        """A stream to the next replica."""
        ...
