"""What does the work of a job, and what it is given for it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from jobservice.domain import LogLine, Severity, Work
from jobservice.record import Record
from jobservice.transfer import Progress, ReferenceResult

MAX_BUFFERED_LINES: Final = 10_000  # of one job, while the database cannot be reached; then the oldest go


class JobLog:
    """The log of one job. Writing never waits: the runner stores the lines now and then, in batches."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._lines: deque[LogLine] = deque(maxlen=MAX_BUFFERED_LINES)

    def debug(self, message: str, **fields: object) -> None:
        self._write(Severity.DEBUG, message, fields)

    def info(self, message: str, **fields: object) -> None:
        self._write(Severity.INFO, message, fields)

    def warning(self, message: str, **fields: object) -> None:
        self._write(Severity.WARNING, message, fields)

    def error(self, message: str, **fields: object) -> None:
        self._write(Severity.ERROR, message, fields)

    def __bool__(self) -> bool:
        """Whether there are lines to take."""
        return bool(self._lines)

    def take(self) -> tuple[LogLine, ...]:
        """The lines written since they were last taken."""
        taken = tuple(self._lines)
        self._lines.clear()
        return taken

    def put_back(self, lines: Sequence[LogLine]) -> None:
        """Returns lines that could not be stored; they come first again."""
        self._lines.extendleft(reversed(lines))

    def _write(self, severity: Severity, message: str, fields: dict[str, object]) -> None:
        texts = {name: str(value) for name, value in fields.items()}
        self._lines.append(LogLine(write_time=self._now(), severity=severity, message=message, fields=texts))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobContext:
    """One attempt of a job: the work, what earlier attempts have done of it, and where to tell how it goes.

    A limit on bytes a second holds for all jobs of the fairness group together.
    """

    key: str
    fairness_group: str
    attempt: int
    work: Work
    progress: Progress
    record: Record
    log: JobLog


class Handler(Protocol):
    """Does one kind of work. It is cancelled when its job is stopped or its worker drains: then it writes down where
    it stands, within seconds, and lets the cancellation pass.
    """

    async def run(self, context: JobContext) -> Sequence[ReferenceResult]:
        """Gives a result for every reference; what failed is in there and is not raised."""
        ...
