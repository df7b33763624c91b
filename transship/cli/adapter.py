"""`transship adapter`: the kinds of registries that there are."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

import typer

from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.render import Columns
from transship.registry.v1.registry_pb2 import Adapter

app = typer.Typer(help="The kinds of registries that there are.", no_args_is_help=True)

_COLUMNS: Final[Columns[Adapter]] = {
    "TYPE": lambda each: each.type,
    "PRODUCT": lambda each: each.description,
    "URL": lambda each: ", ".join(each.urls) or each.url_pattern,
    "USERNAME": lambda each: each.username_hint,
    "PASSWORD": lambda each: each.password_hint,
}


@command(app, "list")
async def list_adapters(session: Session) -> None:
    """Lists what `registry create --type` takes."""
    async with session.client() as client:
        adapters = await client.registries.adapters()
    await session.screen.many(_each(adapters), _COLUMNS, nothing="There are no adapters.")


async def _each(adapters: Sequence[Adapter]) -> AsyncIterator[Adapter]:
    for adapter in adapters:
        yield adapter
