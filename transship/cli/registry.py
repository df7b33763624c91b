"""`transship registry`: where artifacts are replicated from and to."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.render import Columns, enum_text, last_part, time_text, yes_no
from transship.cli.transfer import rate_option, rate_text
from transship.registry.v1.registry_pb2 import Credential, Registry
from transship.sdk.registries import RegistryChanges

app = typer.Typer(help="Registries: where artifacts are replicated from and to.", no_args_is_help=True)

_COLUMNS: Final[Columns[Registry]] = {
    "NAME": lambda each: last_part(each.name),
    "TYPE": lambda each: each.type,
    "URL": lambda each: each.url,
    "USER": lambda each: each.credential.username,
    "STATE": lambda each: enum_text(Registry.State, each.state),
    "DESCRIPTION": lambda each: each.description,
}
_DETAILS: Final[Columns[Registry]] = {
    "Name": lambda each: last_part(each.name),
    "Uid": lambda each: each.uid,
    "Description": lambda each: each.description,
    "Type": lambda each: each.type,
    "URL": lambda each: each.url,
    "User": lambda each: each.credential.username,
    "Certificate unchecked": lambda each: yes_no(each.insecure),
    "Own authority": lambda each: yes_no(bool(each.ca_certificate)),
    "Rate limit": lambda each: rate_text(each.max_bytes_per_second),
    "State": lambda each: enum_text(Registry.State, each.state),
    "Because": lambda each: each.state_message,
    "Tried": lambda each: time_text(each.check_time),
    "Created": lambda each: time_text(each.create_time),
    "Changed": lambda each: time_text(each.update_time),
}

_ACCESS: Final = "Access"


class Part(StrEnum):
    """What an update can take away, named as the options that set it."""

    CREDENTIAL = "credential"
    CA_FILE = "ca-file"


_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or uid of the registry.", show_default=False)]
_Username = Annotated[
    str | None, typer.Option(metavar="USER", help="User name, or access key.", rich_help_panel=_ACCESS)
]
_PasswordStdin = Annotated[
    bool,
    typer.Option("--password-stdin", help="Read the password from standard input.", rich_help_panel=_ACCESS),
]
_CaFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        exists=True,
        dir_okay=False,
        help="Certificates in PEM to trust for this registry, at most 64 KiB.",
        rich_help_panel=_ACCESS,
    ),
]
_LimitRate = Annotated[
    int | None,
    rate_option("At most so much is read from it, and as much written to it, by all workers together."),
]
_Description = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for, at most 1,000 characters.")]
_NoCheck = Annotated[bool, typer.Option("--no-check", help="Store it without trying it.")]


@command(app, "create")
async def create(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, '.', '_' and '-'.", show_default=False)
    ],
    type: Annotated[  # noqa: A002 - the option's name
        str, typer.Option("--type", metavar="TYPE", help="As `transship adapter list` shows.", show_default=False)
    ],
    url: Annotated[str, typer.Option(metavar="URL", help="https://host[:port][/path]", show_default=False)],
    username: _Username = None,
    password_stdin: _PasswordStdin = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do not check the certificate.", rich_help_panel=_ACCESS)
    ] = False,
    ca_file: _CaFile = None,
    rate: _LimitRate = None,
    description: _Description = None,
    no_check: _NoCheck = False,
) -> None:
    """Registers a registry, after its URL and credential were tried.

    Example: transship registry create hub --type docker-registry --url https://registry.example.com
    --username robot --password-stdin < password.txt
    """
    credential = _credential(username, password_stdin=password_stdin)
    async with session.client() as client:
        registry = await client.registries.create(
            name,
            type=type,
            url=url,
            credential=credential,
            insecure=insecure,
            ca_certificate=ca_file.read_text() if ca_file else "",
            max_bytes_per_second=rate or 0,
            description=description or "",
            skip_check=no_check,
        )
    session.screen.one(registry, _DETAILS)


@command(app, "list")
async def list_registries(
    session: Session,
    type: Annotated[str, typer.Option("--type", metavar="TYPE", help="Only those of this type.")] = "",  # noqa: A002
) -> None:
    """Lists registries by name."""
    async with session.client() as client:
        await session.screen.many(client.registries.list(type=type), _COLUMNS, nothing="There are no registries.")


@command(app, "get")
async def get(session: Session, name: _Name) -> None:
    """Shows a registry. Passwords are never shown."""
    async with session.client() as client:
        session.screen.one(await client.registries.get(name), _DETAILS)


@command(app, "update")
async def update(
    session: Session,
    name: _Name,
    url: Annotated[str | None, typer.Option(metavar="URL", help="A new URL needs the password again.")] = None,
    username: _Username = None,
    password_stdin: _PasswordStdin = False,
    clear: Annotated[
        list[Part] | None,
        typer.Option(
            "--clear",
            metavar="PART",
            help=f"Take this away: {', '.join(Part)}. May be given several times.",
            show_default=False,
            rich_help_panel=_ACCESS,
        ),
    ] = None,
    insecure: Annotated[
        bool | None,
        typer.Option(
            "--insecure/--secure", help="Leave the certificate unchecked, or check it.", rich_help_panel=_ACCESS
        ),
    ] = None,
    ca_file: _CaFile = None,
    rate: _LimitRate = None,
    description: _Description = None,
    no_check: _NoCheck = False,
) -> None:
    """Changes what is given and nothing else.

    Example: transship registry update hub --username robot --password-stdin < password.txt
    """
    changes: RegistryChanges = {}
    if url is not None:
        changes["url"] = url
    if Part.CREDENTIAL in (clear or ()):
        changes["credential"] = None
    if Part.CA_FILE in (clear or ()):
        changes["ca_certificate"] = ""
    if username is not None or password_stdin:
        changes["credential"] = _credential(username, password_stdin=password_stdin)
    if insecure is not None:
        changes["insecure"] = insecure
    if ca_file is not None:
        changes["ca_certificate"] = ca_file.read_text()
    if rate is not None:
        changes["max_bytes_per_second"] = rate
    if description is not None:
        changes["description"] = description
    if not changes:
        raise typer.BadParameter("Say what to change; --help shows the options.")
    async with session.client() as client:
        registry = await client.registries.update(name, skip_check=no_check, **changes)
    session.screen.one(registry, _DETAILS)


@command(app, "delete")
async def delete(session: Session, name: _Name) -> None:
    """Deletes a registry that no policy uses."""
    async with session.client() as client:
        await client.registries.delete(name)
    session.screen.done(f"Deleted registry {last_part(name)}.")


@command(app, "ping")
async def ping(session: Session, name: _Name) -> None:
    """Tries the URL and the credential of a registry."""
    async with session.client() as client:
        answer = await client.registries.ping(name)
    session.screen.one(answer, {"Answered after": lambda each: f"{each.elapsed_ms} ms"})


def _credential(username: str | None, *, password_stdin: bool) -> Credential | None:
    """A password never comes as an argument, which everybody on the machine may read."""
    if (username is not None) != password_stdin:
        raise typer.BadParameter("--username and --password-stdin go together.")
    if username is None:
        return None
    return Credential(username=username, password=sys.stdin.read().rstrip("\r\n"))
