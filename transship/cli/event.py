"""`transship event` and `transship event-source`: the news of registries, and where they send them."""

from enum import StrEnum
from typing import Annotated, Final

import typer

from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.listing import Limit, first
from transship.cli.render import Columns, enum_text, last_part, time_text
from transship.policy.v1.event_pb2 import Event, EventSource, PublishEventsResponse
from transship.sdk import deleted, pushed

app = typer.Typer(help="Events: what registries tell of.", no_args_is_help=True)
sources = typer.Typer(help="Event sources: where registries send their notifications.", no_args_is_help=True)


class EventState(StrEnum):
    """As on the wire, in lower case."""

    PENDING = "pending"
    DELIVERED = "delivered"
    EXPIRED = "expired"


_COLUMNS: Final[Columns[Event]] = {
    "NAME": lambda each: last_part(each.name),
    "REGISTRY": lambda each: last_part(each.registry),
    "KIND": lambda each: enum_text(Event.Kind, each.kind),
    "ARTIFACT": lambda each: _artifact(each),
    "STATE": lambda each: enum_text(Event.State, each.state),
    "EXECUTIONS": lambda each: " ".join(map(last_part, each.executions)),
    "RECEIVED": lambda each: time_text(each.receive_time),
    "PROBLEM": lambda each: each.problem,
}
_SOURCE_COLUMNS: Final[Columns[EventSource]] = {
    "REGISTRY": lambda each: last_part(each.registry),
    "PATH": lambda each: each.path,
    "CREATED": lambda each: time_text(each.create_time),
    "LAST RECEIVED": lambda each: time_text(each.last_receive_time),
}
_SOURCE_DETAILS: Final[Columns[EventSource]] = {
    "Registry": lambda each: last_part(each.registry),
    "Path": lambda each: each.path,
    "Secret": lambda each: each.secret,
    "Header": lambda each: f"Authorization: Bearer {each.secret}",
}
_TAKEN: Final[Columns[PublishEventsResponse]] = {
    "Stored": lambda each: str(each.stored_count),
    "Known already": lambda each: str(each.known_count),
}
_Registry = Annotated[str, typer.Argument(metavar="REGISTRY", help="Name of the registry.", show_default=False)]


@command(app, "publish")
async def publish(
    session: Session,
    registry: _Registry,
    artifact: Annotated[
        str, typer.Argument(metavar="REPO[:TAG][@DIGEST]", help="What was pushed or deleted.", show_default=False)
    ],
    delete: Annotated[bool, typer.Option("--delete", help="It was deleted. Default: it was pushed.")] = False,
    event_id: Annotated[
        str, typer.Option("--id", metavar="ID", help="Makes a repeated event harmless. Default: made up.")
    ] = "",
) -> None:
    """Tells that something was pushed or deleted, for a registry that cannot tell itself.

    Example: `transship event publish hub library/nginx:1.27`
    """
    repository, tag, digest = _parts(artifact)
    make = deleted if delete else pushed
    async with session.client() as client:
        taken = await client.events.publish(make(registry, repository, tag, digest=digest, event_id=event_id))
    session.screen.one(taken, _TAKEN)


@command(app, "list")
async def list_events(
    session: Session,
    registry: Annotated[str, typer.Option(metavar="REGISTRY", help="Only those of this registry.")] = "",
    state: Annotated[
        list[EventState] | None,
        typer.Option(
            metavar="STATE", help=f"Only those in this state: {', '.join(EventState)}. May be given several times."
        ),
    ] = None,
    limit: Limit = 50,
) -> None:
    """Lists events, the newest first."""
    states = [getattr(Event, f"STATE_{each.name}") for each in state or ()]
    async with session.client() as client:
        found = first(limit, client.events.list(registry=registry, states=states))
        await session.screen.many(found, _COLUMNS, nothing="There are no events.")


@command(sources, "create")
async def create(session: Session, registry: _Registry) -> None:
    """Makes a path and a secret for the notifications of a registry. The secret is shown this once.

    The registry sends them to the path below the address on which the policy service listens for events, with the
    header that is shown. Docker's registry has both in its `config.yml`, Harbor in the webhooks of each project.
    """
    async with session.client() as client:
        source = await client.event_sources.create(registry)
    url = session.events_url()
    where: Columns[EventSource] = {"URL": lambda each: f"{url}{each.path}"} if url else {}
    session.screen.one(source, {**_SOURCE_DETAILS, **where})


@command(sources, "list")
async def list_sources(session: Session) -> None:
    """Lists event sources by registry."""
    async with session.client() as client:
        await session.screen.many(client.event_sources.list(), _SOURCE_COLUMNS, nothing="There are no event sources.")


@command(sources, "delete")
async def delete_source(session: Session, registry: _Registry) -> None:
    """Deletes an event source. What comes with its secret is refused from then on."""
    async with session.client() as client:
        await client.event_sources.delete(registry)
    session.screen.done(f"Deleted the event source of {last_part(registry)}.")


def _parts(artifact: str) -> tuple[str, str, str]:
    named, _, digest = artifact.partition("@")
    repository, _, tag = named.partition(":")
    if not tag and not digest:
        raise typer.BadParameter(f"{artifact!r} has neither a tag nor a digest.")
    return repository, tag, digest


def _artifact(event: Event) -> str:
    tag = f":{event.tag}" if event.tag else ""
    return f"{event.repository}{tag}" if tag else f"{event.repository}@{event.digest}"
