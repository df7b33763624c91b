"""`transship policy`: what is replicated from where to where."""

from collections.abc import Sequence
from typing import Annotated, Final

import typer

from transship.cli import transfer
from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.render import Columns, last_part, time_text, yes_no
from transship.cli.transfer import ForeignLayers, LimitRate, Platforms, Referrers, ReferrerTypes, given
from transship.policy.v1.policy_pb2 import Destination, Policy
from transship.sdk import destination, name_filter, tag_filter
from transship.sdk.policies import PolicyChanges
from transship.type.v1.filter_pb2 import Filter
from transship.type.v1.transfer_pb2 import TransferOptions

app = typer.Typer(help="Policies: what is replicated from where to where.", no_args_is_help=True)


def _destination_text(each: Destination) -> str:
    mapped = {"namespace": f"/{each.namespace}/*", "repository": f"/{each.repository}"}
    return last_part(each.registry) + mapped.get(each.WhichOneof("mapping") or "", "")


def _filter_text(each: Filter) -> str:
    sign = "-" if each.action == Filter.ACTION_EXCLUDE else "+"
    return f"{sign}{'tag' if each.dimension == Filter.DIMENSION_TAG else 'name'}:{each.glob}"


_COLUMNS: Final[Columns[Policy]] = {
    "NAME": lambda each: last_part(each.name),
    "SOURCE": lambda each: last_part(each.source_registry),
    "DESTINATIONS": lambda each: " ".join(map(_destination_text, each.destinations)),
    "FILTERS": lambda each: " ".join(map(_filter_text, each.filters)),
    "OVERRIDE": lambda each: yes_no(each.override),
    "ENABLED": lambda each: yes_no(not each.disabled),
}
_DETAILS: Final[Columns[Policy]] = {
    "Name": lambda each: last_part(each.name),
    "Uid": lambda each: each.uid,
    "Description": lambda each: each.description,
    "Source": lambda each: last_part(each.source_registry),
    "Destinations": lambda each: "\n".join(map(_destination_text, each.destinations)),
    "Filters": lambda each: "\n".join(map(_filter_text, each.filters)),
    "Override": lambda each: yes_no(each.override),
    **transfer.DETAILS,
    "Enabled": lambda each: yes_no(not each.disabled),
    "Created": lambda each: time_text(each.create_time),
    "Changed": lambda each: time_text(each.update_time),
}

_WHERE: Final = "From where to where"
_WHAT: Final = "What"
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Name or uid of the policy.", show_default=False)]
_Namespace = Annotated[
    str | None,
    typer.Option(
        metavar="PATH",
        help="Path that repositories get in place of theirs: with `mirror`, library/nginx becomes mirror/nginx.",
        rich_help_panel=_WHERE,
    ),
]
_Description = Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for, at most 1,000 characters.")]


def _globs(flag: str, described: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        flag, metavar="GLOB", help=f"{described} May be given several times.", rich_help_panel=_WHAT
    )
    return option


_Names = Annotated[list[str] | None, _globs("--name", "Only repositories such as `library/**`.")]
_Tags = Annotated[list[str] | None, _globs("--tag", "Only tags such as `1.*`.")]
_ExcludedNames = Annotated[list[str] | None, _globs("--exclude-name", "But not these repositories.")]
_ExcludedTags = Annotated[list[str] | None, _globs("--exclude-tag", "But not these tags.")]


@command(app, "create")
async def create(
    session: Session,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Lower-case letters, digits, '.', '_' and '-'.", show_default=False)
    ],
    source: Annotated[
        str,
        typer.Option(metavar="REGISTRY", help="Copied from here.", show_default=False, rich_help_panel=_WHERE),
    ],
    destination: Annotated[
        list[str],
        typer.Option(
            metavar="REGISTRY",
            help="Copied to here. May be given up to 20 times.",
            show_default=False,
            rich_help_panel=_WHERE,
        ),
    ],
    namespace: _Namespace = None,
    names: _Names = None,
    tags: _Tags = None,
    excluded_names: _ExcludedNames = None,
    excluded_tags: _ExcludedTags = None,
    override: Annotated[
        bool, typer.Option("--override/--no-override", help="Overwrite tags that have another digest, or leave them.")
    ] = True,
    disabled: Annotated[bool, typer.Option("--disabled", help="It cannot be run until it is enabled.")] = False,
    platforms: Platforms = None,
    referrers: Referrers = None,
    referrer_types: ReferrerTypes = None,
    foreign_layers: ForeignLayers = None,
    rate: LimitRate = None,
    description: _Description = None,
) -> None:
    """Creates a policy. Without a filter it takes everything.

    In a glob `*` is any text without a slash, `**` any number of path parts, `?` one character, `{a,b}` either.

    Example: `transship policy create nightly --source hub --destination mirror --name 'library/**'`
    """
    async with session.client() as client:
        policy = await client.policies.create(
            name,
            source_registry=source,
            destinations=_destinations(destination, namespace),
            filters=_filters(names, excluded_names, tags, excluded_tags),
            override=override,
            disabled=disabled,
            description=description or "",
            options=TransferOptions(**given(platforms, referrers, referrer_types, foreign_layers, rate)),
        )
    session.screen.one(policy, _DETAILS)


@command(app, "list")
async def list_policies(
    session: Session,
    registry: Annotated[
        str, typer.Option(metavar="REGISTRY", help="Only those that read from it or write to it.")
    ] = "",
) -> None:
    """Lists policies by name."""
    async with session.client() as client:
        await session.screen.many(client.policies.list(registry=registry), _COLUMNS, nothing="There are no policies.")


@command(app, "get")
async def get(session: Session, name: _Name) -> None:
    """Shows a policy."""
    async with session.client() as client:
        session.screen.one(await client.policies.get(name), _DETAILS)


@command(app, "update")
async def update(
    session: Session,
    name: _Name,
    source: Annotated[
        str | None, typer.Option(metavar="REGISTRY", help="Copied from here.", rich_help_panel=_WHERE)
    ] = None,
    destination: Annotated[
        list[str] | None,
        typer.Option(metavar="REGISTRY", help="Takes the place of all destinations.", rich_help_panel=_WHERE),
    ] = None,
    namespace: _Namespace = None,
    names: _Names = None,
    tags: _Tags = None,
    excluded_names: _ExcludedNames = None,
    excluded_tags: _ExcludedTags = None,
    override: Annotated[
        bool | None, typer.Option("--override/--no-override", help="Overwrite tags, or leave them.")
    ] = None,
    disabled: Annotated[bool | None, typer.Option("--disabled/--enabled", help="Whether it can be run.")] = None,
    platforms: Platforms = None,
    referrers: Referrers = None,
    referrer_types: ReferrerTypes = None,
    foreign_layers: ForeignLayers = None,
    rate: LimitRate = None,
    description: _Description = None,
) -> None:
    """Changes what is given and nothing else. Filters that are given take the place of all that there were.

    Example: `transship policy update nightly --disabled`
    """
    if namespace is not None and not destination:
        raise typer.BadParameter("--namespace needs --destination beside it.")
    changes: PolicyChanges = {}
    if source is not None:
        changes["source_registry"] = source
    if destination:
        changes["destinations"] = _destinations(destination, namespace)
    if filters := _filters(names, excluded_names, tags, excluded_tags):
        changes["filters"] = filters
    if override is not None:
        changes["override"] = override
    if disabled is not None:
        changes["disabled"] = disabled
    if description is not None:
        changes["description"] = description
    options = given(platforms, referrers, referrer_types, foreign_layers, rate)
    if not changes and not options:
        raise typer.BadParameter("Say what to change; --help shows the options.")
    async with session.client() as client:
        etag = ""
        if options:  # They are replaced as a whole, so nobody else may have changed them meanwhile.
            present = await client.policies.get(name)
            etag, changes["options"] = present.etag, transfer.changed(present.options, options)
        policy = await client.policies.update(name, etag=etag, **changes)
    session.screen.one(policy, _DETAILS)


@command(app, "delete")
async def delete(session: Session, name: _Name) -> None:
    """Deletes a policy. Its executions stay."""
    async with session.client() as client:
        await client.policies.delete(name)
    session.screen.done(f"Deleted policy {last_part(name)}.")


def _destinations(registries: Sequence[str], namespace: str | None) -> list[Destination]:
    return [destination(each, namespace=namespace) for each in registries]


def _filters(
    names: Sequence[str] | None,
    excluded_names: Sequence[str] | None,
    tags: Sequence[str] | None,
    excluded_tags: Sequence[str] | None,
) -> list[Filter]:
    """The last rule that matches decides, so what is excluded comes last."""
    return [
        *(name_filter(glob) for glob in names or ()),
        *(name_filter(glob, exclude=True) for glob in excluded_names or ()),
        *(tag_filter(glob) for glob in tags or ()),
        *(tag_filter(glob, exclude=True) for glob in excluded_tags or ()),
    ]
