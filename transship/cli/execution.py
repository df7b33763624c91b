"""`transship execution`: the runs of policies."""

import asyncio
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

import typer

from transship.cli.amounts import duration_text, parse_moment
from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.listing import Limit, first
from transship.cli.render import Columns, bytes_text, counted, enum_text, last_part, time_text
from transship.cli.run import follow
from transship.cli.transfer import rate_text
from transship.execution.v1.execution_pb2 import Execution
from transship.execution.v1.task_pb2 import Task
from transship.sdk import TransshipClient
from transship.sdk.executions import FINAL_STATES
from transship.sdk.names import task_name
from transship.type.v1.transfer_pb2 import LogEntry

app = typer.Typer(help="Executions: the runs of policies.", no_args_is_help=True)

# An execution that is being listed makes its tasks in batches; this is how soon we see a new one.
_NEW_TASKS_INTERVAL_S: Final = 1.0

_COLUMNS: Final[Columns[Execution]] = {
    "ID": lambda each: last_part(each.name),
    "POLICY": lambda each: last_part(each.policy) or "(inline)",
    "STATE": lambda each: enum_text(Execution.State, each.state),
    "TRIGGER": lambda each: enum_text(Execution.Trigger, each.trigger),
    "TASKS": lambda each: f"{each.task_counts.succeeded}/{each.task_counts.total}",
    "COPIED": lambda each: bytes_text(each.progress.bytes_copied),
    "STARTED": lambda each: time_text(each.create_time),
    "ENDED": lambda each: time_text(each.end_time),
}
_DETAILS: Final[Columns[Execution]] = {
    "Id": lambda each: last_part(each.name),
    "Policy": lambda each: last_part(each.policy) or "(inline)",
    "State": lambda each: enum_text(Execution.State, each.state),
    "Because": lambda each: _why(each),
    "Trigger": lambda each: enum_text(Execution.Trigger, each.trigger),
    "Started by": lambda each: each.started_by,
    "Events": lambda each: str(len(each.event_resources) or ""),
    "Tasks": lambda each: _parts(
        each.task_counts.total,
        succeeded=each.task_counts.succeeded,
        failed=each.task_counts.failed,
        stopped=each.task_counts.stopped,
        skipped=each.task_counts.skipped,
        running=each.task_counts.running,
        pending=each.task_counts.pending,
    ),
    "References": lambda each: _parts(
        each.progress.references_total,
        copied=each.progress.references_copied,
        unchanged=each.progress.references_unchanged,
        skipped=each.progress.references_skipped,
        deleted=each.progress.references_deleted,
        failed=each.progress.references_failed,
    ),
    "Copied": lambda each: _amount(each.progress.blobs_copied, each.progress.bytes_copied),
    "Mounted": lambda each: _amount(each.progress.blobs_mounted, each.progress.bytes_mounted),
    "Present": lambda each: _amount(each.progress.blobs_present, each.progress.bytes_present),
    "Rate": lambda each: rate_text(each.bytes_per_second),
    "Time left": lambda each: duration_text(each.remaining_duration),
    "Started": lambda each: time_text(each.create_time),
    "Ended": lambda each: time_text(each.end_time),
}
_TASK_COLUMNS: Final[Columns[Task]] = {
    "ID": lambda each: last_part(each.name),
    "SOURCE": lambda each: f"{last_part(each.source_registry)}/{each.source_repository}",
    "DESTINATION": lambda each: f"{last_part(each.destination_registry)}/{each.destination_repository}",
    "REFERENCES": lambda each: str(each.reference_count),
    "OPERATION": lambda each: enum_text(Task.Operation, each.operation),
    "STATE": lambda each: enum_text(Task.State, each.state),
    "ATTEMPT": lambda each: str(each.attempt),
    "COPIED": lambda each: bytes_text(each.progress.bytes_copied),
    "FAILURE": lambda each: each.failure.message,
}


class ExecutionState(StrEnum):
    """As on the wire, in lower case."""

    PENDING = "pending"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"


class TaskState(StrEnum):
    """As on the wire, in lower case."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    SKIPPED = "skipped"


class StartedBy(StrEnum):
    """What starts executions, as on the wire in lower case."""

    MANUAL = "manual"
    SCHEDULED = "scheduled"
    EVENT = "event"


_Name = Annotated[str, typer.Argument(metavar="EXECUTION", help="Id of the execution.", show_default=False)]


@command(app, "list")
async def list_executions(
    session: Session,
    policy: Annotated[str, typer.Option(metavar="POLICY", help="Only those of this policy.")] = "",
    state: Annotated[
        list[ExecutionState] | None,
        typer.Option(
            metavar="STATE", help=f"Only those in this state: {', '.join(ExecutionState)}. May be given several times."
        ),
    ] = None,
    trigger: Annotated[
        list[StartedBy] | None,
        typer.Option(
            metavar="TRIGGER",
            help=f"Only those that this has started: {', '.join(StartedBy)}. May be given several times.",
        ),
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            help="Only those that were started since `2026-11-24`, `2026-11-24T10:00+01:00`, or in the last `12h`. "
            "In UTC unless it says otherwise.",
            parser=parse_moment,
        ),
    ] = None,
    before: Annotated[
        datetime | None,
        typer.Option(metavar="TIME", help="Only those started before it.", parser=parse_moment),
    ] = None,
    oldest_first: Annotated[bool, typer.Option("--oldest-first", help="The oldest first.")] = False,
    limit: Limit = 50,
) -> None:
    """Lists executions, the newest first unless told otherwise."""
    states = [getattr(Execution, f"STATE_{each.name}") for each in state or ()]
    triggers = [getattr(Execution, f"TRIGGER_{each.name}") for each in trigger or ()]
    async with session.client() as client:
        found = client.executions.list(
            policy=policy, states=states, triggers=triggers, since=since, before=before, oldest_first=oldest_first
        )
        await session.screen.many(first(limit, found), _COLUMNS, nothing="There are no executions.")


@command(app, "get")
async def get(session: Session, execution: _Name) -> None:
    """Shows an execution as it is now."""
    async with session.client() as client:
        session.screen.one(await client.executions.get(execution), _DETAILS)


@command(app, "stop")
async def stop(session: Session, execution: _Name) -> None:
    """Asks an execution to stop. What is copied stays copied."""
    async with session.client() as client:
        session.screen.one(await client.executions.stop(execution), _DETAILS)


@command(app, "retry")
async def retry(session: Session, execution: _Name) -> None:
    """Runs the failed and stopped tasks of an execution once more, and returns at once."""
    async with session.client() as client:
        session.screen.one(await client.executions.retry(execution), _DETAILS)


@command(app, "watch")
async def watch(session: Session, execution: _Name) -> None:
    """Shows how an execution goes until it has ended. Exit code 0 only if everything succeeded."""
    async with session.client() as client:
        await follow(session, client, execution)


@command(app, "tasks")
async def tasks(
    session: Session,
    execution: _Name,
    state: Annotated[
        list[TaskState] | None,
        typer.Option(
            metavar="STATE", help=f"Only those in this state: {', '.join(TaskState)}. May be given several times."
        ),
    ] = None,
) -> None:
    """Lists the tasks of an execution in the order of their creation."""
    states = [getattr(Task, f"STATE_{each.name}") for each in state or ()]
    async with session.client() as client:
        found = client.executions.tasks(execution, states=states)
        await session.screen.many(found, _TASK_COLUMNS, nothing="There are no tasks.")


@command(app, "logs")
async def logs(
    session: Session,
    execution: _Name,
    task: Annotated[str, typer.Argument(metavar="TASK", help="Id of a task. Default: all of them.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more lines until all has ended.")] = False,
) -> None:
    """Prints the log of one task, or of all tasks one after the other."""
    async with session.client() as client:
        if task:
            await _print_log(session, client, task_name(task, execution=execution), follow=follow)
        else:
            await _print_logs(session, client, execution, follow=follow)


async def _print_logs(session: Session, client: TransshipClient, execution: str, *, follow: bool) -> None:
    """Of every task; following, also of those that come to be while the execution lasts."""
    printed: set[str] = set()
    while True:
        has_ended = (await client.executions.get(execution)).state in FINAL_STATES
        async for task in client.executions.tasks(execution):
            if task.name not in printed:
                printed.add(task.name)
                session.screen.say(f"==> {last_part(task.name)} {task.source_repository}")
                await _print_log(session, client, task.name, follow=follow)
        if has_ended or not follow:
            return
        await asyncio.sleep(_NEW_TASKS_INTERVAL_S)


async def _print_log(session: Session, client: TransshipClient, task: str, *, follow: bool) -> None:
    async for entry in client.executions.read_task_log(task, follow=follow):
        session.screen.line(entry, _log_text(entry), task=task)


def _why(execution: Execution) -> str:
    """Why it is in its state, or where to look for that."""
    failed = f"Tasks have failed; `transship execution tasks {last_part(execution.name)} --state failed` tells why."
    is_told = execution.state_message or execution.failure.message
    return is_told or (failed if execution.task_counts.failed else "")


def _parts(total: int, **parts: int) -> str:
    """`3: 2 copied, 1 failed`; nothing of what there is none of."""
    named = ", ".join(f"{count} {name}" for name, count in parts.items() if count)
    return f"{total}: {named}" if named else str(total)


def _amount(blobs: int, size: int) -> str:
    return f"{counted(blobs, 'blob', 'blobs')}, {bytes_text(size)}" if blobs else ""


def _log_text(entry: LogEntry) -> str:
    fields = "".join(f" {name}={value}" for name, value in sorted(entry.fields.items()))
    return f"{time_text(entry.write_time)} {enum_text(LogEntry.Severity, entry.severity):7} {entry.message}{fields}"
