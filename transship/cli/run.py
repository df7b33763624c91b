"""`transship run`: starts a policy and stays with it to its end."""

import asyncio
import getpass
from typing import Annotated, Final

import typer

from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.errors import EXIT_FAILED
from transship.cli.progress import shown
from transship.cli.render import bytes_text, enum_text, last_part
from transship.execution.v1.execution_pb2 import Execution
from transship.execution.v1.task_pb2 import Task
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk import TransshipClient

# Enough to see what is wrong; `execution tasks` has them all.
_FAILURES_SHOWN: Final = 5

NoWait = Annotated[bool, typer.Option("--no-wait", help="Return as soon as it is started.")]


def register(app: typer.Typer) -> None:
    command(app, "run", panel="Replicate")(run)


async def run(
    session: Session,
    policy: Annotated[str, typer.Argument(metavar="POLICY", help="Name or uid of the policy.", show_default=False)],
    no_wait: NoWait = False,
) -> None:
    """Runs a policy and shows how it goes. Exit code 0 if everything succeeded, or another run of it goes on.

    Ctrl-C ends the watching, not the execution.
    """
    async with session.client() as client:
        await start(session, client, policy, no_wait=no_wait)


async def start(session: Session, client: TransshipClient, policy: str | Policy, *, no_wait: bool) -> Execution:
    """Starts the policy and, unless told otherwise, follows it to its end."""
    execution = await client.executions.start(policy, started_by=_user())
    if no_wait:
        session.screen.line(execution, last_part(execution.name))
        return execution
    session.screen.say(f"Execution {last_part(execution.name)}")
    return await follow(session, client, execution.name)


async def follow(session: Session, client: TransshipClient, name: str) -> Execution:
    """Shows the execution until it has ended, then sums it up. Exits with 1 unless it succeeded or was skipped."""
    execution = Execution()
    try:
        with shown(session.screen) as show:
            async for execution in client.executions.watch(name):
                show(execution)
    except asyncio.CancelledError:
        stop = f"transship execution stop {last_part(name)}"
        session.screen.say(f"No longer watching; the execution goes on. Stop it with `{stop}`.")
        raise
    if not session.screen.is_json:
        typer.echo(summary(execution))
    if execution.state not in {Execution.STATE_SUCCEEDED, Execution.STATE_SKIPPED}:
        await _tell_failures(session, client, execution)
        raise typer.Exit(EXIT_FAILED)
    return execution


def summary(execution: Execution) -> str:
    """One line on what became of it."""
    tasks, done = execution.task_counts, execution.progress
    state = enum_text(Execution.State, execution.state)
    # A failure has a line of its own.
    has_message = execution.state_message and not execution.HasField("failure")
    message = f" ({execution.state_message})" if has_message else ""
    deleted = f"{done.references_deleted} deleted, " if done.references_deleted else ""
    return (
        f"{state}{message}: {tasks.succeeded} of {tasks.total} tasks; "
        f"references: {done.references_copied} copied, {done.references_unchanged} unchanged, "
        f"{done.references_skipped} skipped, {deleted}{done.references_failed} failed; "
        f"blobs: {done.blobs_copied} copied ({bytes_text(done.bytes_copied)}), {done.blobs_mounted} mounted, "
        f"{done.blobs_present} present; {execution.end_time.seconds - execution.create_time.seconds} s."
    )


async def _tell_failures(session: Session, client: TransshipClient, execution: Execution) -> None:
    if execution.HasField("failure"):
        session.screen.say(f"{execution.failure.message} ({execution.failure.reason})")
    if not execution.task_counts.failed:
        return
    shown_count = 0
    async for task in client.executions.tasks(execution.name, states=[Task.STATE_FAILED]):
        if shown_count == _FAILURES_SHOWN:
            session.screen.say(f"All of them: transship execution tasks {last_part(execution.name)} --state failed")
            break
        session.screen.say(f"{_where(task)}: {task.failure.message} ({task.failure.reason})")
        shown_count += 1
    session.screen.say(f"Try the failed tasks again with `transship execution retry {last_part(execution.name)}`.")


def _user() -> str:
    """Who is at the keyboard, for those who read the list of executions."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # A container may run under an id that has no name.
        return ""


def _where(task: Task) -> str:
    """A repository that could not be listed has no destination yet."""
    return " -> ".join(filter(None, (task.source_repository, task.destination_repository)))
