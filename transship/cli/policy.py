"""`transship policy`: what is replicated from where to where."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer

from transship.cli.apply import apply, export
from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.describe import COLUMNS, DETAILS
from transship.cli.options.cleared import Cleared
from transship.cli.options.there import About, There
from transship.cli.options.what import What
from transship.cli.options.when import When
from transship.cli.options.where import Where
from transship.cli.policy_fields import fields_of, value_of
from transship.cli.render import last_part
from transship.cli.transfer import How
from transship.cli.tryout import preview, try_policy
from transship.policy.v1.policy_pb2 import Policy

app = typer.Typer(help="Policies: what is replicated from where to where.", no_args_is_help=True)

command(app, "apply")(apply)
command(app, "export")(export)
command(app, "test")(try_policy)
command(app, "preview")(preview)

# They are changed in part and sent as a whole, so nobody else may have changed them meanwhile.
_MERGED: Final = frozenset({"options", "newest", "trigger", "deletion", "retention"})
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or uid of the policy.", show_default=False)]
_Options = Cleared | Where | What | When | There | How | About


@command(app, "create")
async def create(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, '.', '_' and '-'.", show_default=False)
    ],
    where: Where,
    what: What,
    when: When,
    there: There,
    how: How,
    about: About,
) -> None:
    """Creates a policy. Without a filter it takes everything; without a trigger it runs when somebody starts it.

    Filters are read in the order in which they are given: of those on names, and of those on tags, the last one that
    matches decides. In a glob `*` is any text without a slash, `**` any number of path parts, `?` one character,
    `{a,b}` either.

    Example: `transship policy create nightly --source hub --destination mirror --name 'library/**' --cron '0 2 * * *'`
    """
    if where.source is None or not where.destination:
        raise typer.BadParameter("A policy needs --source and --destination.")
    policy = Policy(override=True)
    _change(policy, session, (where, what, when, there, how, about))
    async with session.client() as client:
        session.screen.one(await client.policies.create(name, **fields_of(policy)), DETAILS)


@command(app, "list")
async def list_policies(
    session: Session,
    registry: Annotated[
        str, typer.Option(metavar="REGISTRY", help="Only those that read from it or write to it.")
    ] = "",
) -> None:
    """Lists policies by name."""
    async with session.client() as client:
        await session.screen.many(client.policies.list(registry=registry), COLUMNS, nothing="There are no policies.")


@command(app, "get")
async def get(session: Session, name: _Name) -> None:
    """Shows a policy."""
    async with session.client() as client:
        session.screen.one(await client.policies.get(name), DETAILS)


@command(app, "update")
async def update(
    session: Session,
    name: _Name,
    cleared: Cleared,
    where: Where,
    what: What,
    when: When,
    there: There,
    how: How,
    about: About,
) -> None:
    """Changes what is given and nothing else.

    What there can be several of (filters, destinations with their mappings, windows, platforms, referrer types) takes
    the place of all that there were. 0 lifts a limit, and `--clear` takes away what is neither a number nor a switch.

    Example: `transship policy update nightly --clear filters --newest 5`
    """
    options = (cleared, where, what, when, there, how, about)
    # Tried on an empty one first: what is wrong on the command line is told without asking anybody.
    if not _change(Policy(), session, options):
        raise typer.BadParameter("Say what to change; --help shows the options.")
    async with session.client() as client:
        policy = await client.policies.get(name)
        changed = _change(policy, session, options)
        changes: Any = {each: value_of(policy, each) for each in changed}
        etag = policy.etag if changed & _MERGED else ""
        session.screen.one(await client.policies.update(name, etag=etag, **changes), DETAILS)


@command(app, "delete")
async def delete(session: Session, name: _Name) -> None:
    """Deletes a policy. Its executions stay until their retention ends."""
    async with session.client() as client:
        await client.policies.delete(name)
    session.screen.done(f"Deleted policy {last_part(name)}.")


def _change(policy: Policy, session: Session, options: Sequence[_Options]) -> set[str]:
    return {name for each in options for name in each.change(policy, session.said)}
