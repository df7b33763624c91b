"""`transship up`, `down`, `status` and `migrate`: the machinery itself."""

import os
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Final

import typer
from google.protobuf.duration_pb2 import Duration
from pydantic import TypeAdapter

from service_kit.migrations import migrate
from transship.cli.amounts import duration_text
from transship.cli.command import command
from transship.cli.connect import Session
from transship.local import commands
from transship.local.services import SERVICES
from transship.local.state import LocalStack
from transship.sdk import endpoints

_PANEL: Final = "The stack of this machine"
# A service takes a variable with its prefix that it does not know for a misspelt setting, and does not start.
_OURS_ALONE: Final = (
    endpoints.REGISTRY_TARGET_VARIABLE,
    endpoints.POLICY_TARGET_VARIABLE,
    endpoints.EXECUTION_TARGET_VARIABLE,
)
_DatabaseUrl = typer.Option(
    envvar=commands.DATABASE_URL_VARIABLE,
    show_default=False,
    metavar="URL",
    help="postgresql://user:password@host/name",
)


class Schema(StrEnum):
    """The schema of a service."""

    REGISTRY = "registry"
    POLICY = "policy"
    EXECUTION = "execution"
    JOB = "job"


def register(app: typer.Typer) -> None:
    command(app, "up", panel=_PANEL)(up)
    command(app, "down", panel=_PANEL)(down)
    command(app, "status", panel=_PANEL)(status)
    command(app, "migrate", panel="Operate")(migrate_services)


async def up(
    session: Session,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when it serves, and leave it running.")
    ] = False,
    database_url: Annotated[str | None, _DatabaseUrl] = None,
    processes: Annotated[int, typer.Option(metavar="N", min=1, help="How many processes copy.")] = 1,
) -> None:
    """Runs the four services and a PostgreSQL of their own on this machine, until Ctrl-C.

    With `--database-url` they use that database in place of their own.
    """
    for variable in _OURS_ALONE:
        os.environ.pop(variable, None)
    await commands.up(
        session.state,
        on_ready=lambda stack: _show_stack(session, stack),
        database_url=database_url,
        detach=detach,
        jobservice_processes=processes,
    )


async def down(session: Session) -> None:
    """Stops the stack that runs on this machine, and waits until it has ended."""
    await commands.down(session.state)
    session.screen.done("Transship is down.")


async def status(session: Session) -> None:
    """Shows the processes of the stack on this machine. Exit code 1 when there is none."""
    found = await commands.status(session.state)
    if session.screen.is_json:
        session.screen.data(asdict(found))
        return
    session.screen.rows(
        [
            {"process": "postgres", "state": found.postgres, "pid": found.postgres_pid or "", "up": "", "address": ""},
            *(
                {
                    "process": each.name,
                    "state": each.health,
                    "pid": each.pid or "",
                    "up": duration_text(Duration(seconds=int(each.uptime_s))) or "0s",
                    "address": _addresses(each),
                }
                for each in found.services
            ),
        ]
    )


async def migrate_services(
    session: Session,
    database_url: Annotated[str, _DatabaseUrl],
    services: Annotated[list[Schema] | None, typer.Argument(metavar="SERVICE", help="Default: all of them.")] = None,
) -> None:
    """Brings the schemas of a PostgreSQL database up to date. May be run again and by several at once."""
    wanted = [each for each in SERVICES if not services or each.schema in services]
    applied = [await migrate(database_url, schema=each.schema, package=each.package) for each in wanted]
    if session.screen.is_json:
        session.screen.data({each.schema: names for each, names in zip(wanted, applied, strict=True)})
        return
    for service, names in zip(wanted, applied, strict=True):
        typer.echo(f"{service.schema}: {', '.join(names) or 'up to date'}")


def _addresses(service: commands.ServiceStatus) -> str:
    notifications = f", notifications at http://{service.http_endpoint}" if service.http_endpoint else ""
    return f"{service.endpoint}{notifications}"


def _show_stack(session: Session, stack: LocalStack) -> None:
    if session.screen.is_json:
        session.screen.data(TypeAdapter(LocalStack).dump_python(stack, mode="json"))
        return
    session.screen.say(f"Transship is up (process {stack.pid}). Stop it with `transship down`.")
    for each in stack.services:
        session.screen.say(f"  {each.name:13} {each.endpoint}")
    if stack.events_url:
        session.screen.say(f"Registries tell of pushes and deletions at {stack.events_url}/v1/events/REGISTRY.")
