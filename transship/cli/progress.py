"""How a running execution looks: bars on a terminal, a line now and then elsewhere, JSON lines for programs."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from transship.cli.amounts import duration_text
from transship.cli.render import Screen, bytes_text, enum_text, printable
from transship.cli.transfer import rate_text
from transship.execution.v1.execution_pb2 import Execution

LINE_INTERVAL_S: Final = 5.0  # Often enough to see it move, and rare enough for the log of a build.

Show = Callable[[Execution], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How much of something is done."""

    label: str
    done: int
    total: int
    text: str


def counts(execution: Execution) -> tuple[Count, Count, Count]:
    """Tasks, blobs and bytes; what the destination had already is done as well."""
    tasks, progress = execution.task_counts, execution.progress
    blobs = progress.blobs_copied + progress.blobs_mounted + progress.blobs_present
    size = progress.bytes_copied + progress.bytes_mounted + progress.bytes_present
    sizes = f"{bytes_text(size)} of {bytes_text(progress.bytes_total)}{_pace(execution)}"
    return (
        _count("tasks", tasks.succeeded + tasks.failed + tasks.stopped + tasks.skipped, tasks.total),
        _count("blobs", blobs, progress.blobs_total),
        Count(label="bytes", done=size, total=progress.bytes_total, text=sizes),
    )


@contextmanager
def shown(screen: Screen) -> Iterator[Show]:
    """Gives what shows each state of an execution."""
    if screen.is_json:
        yield lambda execution: screen.line(execution, "")
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield bars
    else:
        yield _Lines(screen).show


@contextmanager
def _bars() -> Iterator[Show]:
    columns = (TextColumn("{task.description:5}"), BarColumn(), TextColumn("{task.fields[text]}"), TimeElapsedColumn())
    # On standard error: what is printed to standard output is the result.
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bars = {each.label: progress.add_task(each.label, total=None, text="") for each in counts(Execution())}

        said = ""

        def show(execution: Execution) -> None:
            nonlocal said
            if execution.state_message and execution.state_message != said:
                said = execution.state_message
                progress.console.print(Text(printable(said)))
            for each in counts(execution):
                # Without a total a bar moves to and fro, which says that listing has not found anything yet.
                progress.update(bars[each.label], completed=each.done, total=each.total or None, text=each.text)

        yield show


class _Lines:
    """A line when the state changes, or what there is to say of it, and now and then in between."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._state: tuple[int, str] | None = None
        self._due = 0.0

    def show(self, execution: Execution) -> None:
        state = (execution.state, execution.state_message)
        if state == self._state and time.monotonic() < self._due:
            return
        self._state = state
        self._due = time.monotonic() + LINE_INTERVAL_S
        amounts = ", ".join(f"{each.label} {each.text}" for each in counts(execution) if each.total)
        told = ": ".join(filter(None, (enum_text(Execution.State, execution.state), amounts)))
        self._screen.say(f"{told} ({execution.state_message})" if execution.state_message else told)


def _pace(execution: Execution) -> str:
    """How fast it goes and how long it still takes, where that can be said."""
    parts = (rate_text(execution.bytes_per_second), _left(duration_text(execution.remaining_duration)))
    return "".join(f", {each}" for each in parts if each)


def _left(duration: str) -> str:
    return f"{duration} left" if duration else ""


def _count(label: str, done: int, total: int) -> Count:
    return Count(label=label, done=done, total=total, text=f"{done} of {total}")
