"""From where to where: the source, the destinations, and what things are called there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from transship.cli.connect import Said
from transship.policy.v1.policy_pb2 import Destination, Policy
from transship.sdk import destination
from transship.sdk.names import registry_name

_PANEL: Final = "From where to where"
_FOR_WHICH: Final = "For the --destination before it, or, before all of them, for every one."
# The names of the parameters below, and which argument of `sdk.destination` each of them gives.
_MAPPINGS: Final = {
    "namespace": "namespace",
    "replace_count": "replace_count",
    "repository": "repository",
    "template": "template",
    "rewrite": "rewrite",
    "tag_template": "tag",
}
_WAYS: Final = ("namespace", "repository", "template", "rewrite")


def _option(flag: str, metavar: str | None, described: str, **beside: Any) -> Any:
    return typer.Option(flag, metavar=metavar, help=described, show_default=False, rich_help_panel=_PANEL, **beside)


@dataclass(frozen=True)
class Where:
    """Options of --help's panel."""

    source: Annotated[str | None, _option("--source", "REGISTRY", "Copied from here.")] = None
    destination: Annotated[
        list[str] | None, _option("--destination", "REGISTRY", "Copied to here. May be given up to 20 times.")
    ] = None
    namespace: Annotated[
        list[str] | None,
        _option("--namespace", "PATH", f"Path in place of its own: a/b/c becomes PATH/c. {_FOR_WHICH}"),
    ] = None
    replace_count: Annotated[
        list[int] | None,
        _option(
            "--replace-count",
            "N",
            "How many components --namespace takes the place of: 0 makes a/b/c PATH/a/b/c, 1 makes it PATH/b/c. "
            "Default: all but the last.",
            min=-1,
        ),
    ] = None
    repository: Annotated[
        list[str] | None, _option("--repository", "PATH", "This very repository, for a policy of a single one.")
    ] = None
    template: Annotated[
        list[str] | None,
        _option("--template", "TEMPLATE", "Name made of {path}, {namespace}, {name} and {registry}."),
    ] = None
    rewrite: Annotated[
        list[str] | None,
        _option("--rewrite", "REGEX=>NAME", r"Name that a regular expression gives; \1 stands for its first group."),
    ] = None
    tag_template: Annotated[
        list[str] | None,
        _option("--tag-template", "TEMPLATE", "Tag made of {tag}, {name}, {namespace} and {registry}."),
    ] = None

    def change(self, policy: Policy, said: Said) -> Iterator[str]:
        """Writes what was given into the policy, and tells which fields that changed."""
        if self.source is not None:
            policy.source_registry = registry_name(self.source)
            yield "source_registry"
        destinations = _destinations(said)
        if destinations:
            del policy.destinations[:]
            policy.destinations.extend(destinations)
            yield "destinations"


def _destinations(said: Said) -> list[Destination]:
    """Each --destination with the mapping that follows it, or else with what was said before all of them."""
    for_all: dict[str, Any] = {}
    found: list[tuple[str, dict[str, Any]]] = []
    for name, value in said:
        if name == "destination":
            found.append((value, {}))
        elif name in _MAPPINGS:
            _note(found[-1][1] if found else for_all, name, value)
    if for_all and not found:
        raise typer.BadParameter("What things are called at a destination needs --destination beside it.")
    return [destination(registry, **(mapping or for_all)) for registry, mapping in found]


def _note(mapping: dict[str, Any], name: str, value: Any) -> None:
    argument = _MAPPINGS[name]
    if argument in mapping:
        raise typer.BadParameter(f"--{name.replace('_', '-')} is given twice for one destination.")
    if argument in _WAYS and (other := next((way for way in _WAYS if way in mapping), None)):
        raise typer.BadParameter(f"--{other} and --{name} exclude each other for one destination.")
    mapping[argument] = _PARSERS.get(name, str)(value)


def parse_rewrite(text: str) -> tuple[str, str]:
    """The two sides of `REGEX=>NAME`. Raises typer.BadParameter."""
    regex, arrow, name = text.partition("=>")
    if not arrow:
        raise typer.BadParameter(rf"{text!r} is no rewrite: write it such as `(\w+)/(.*)=>\2-of-\1`.")
    return regex.strip(), name.strip()


_PARSERS: Final[dict[str, Callable[[str], Any]]] = {"replace_count": int, "rewrite": parse_rewrite}
