"""`transship copy`: one repository, now, without a policy to write first."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

import typer

from oci_client.errors import InvalidReference
from oci_client.reference import Reference
from transship.cli.command import command
from transship.cli.connect import Session
from transship.cli.errors import fail
from transship.cli.render import last_part
from transship.cli.run import NoWait, start
from transship.cli.transfer import How
from transship.execution.v1.execution_pb2 import Execution
from transship.policy.v1.policy_pb2 import Policy
from transship.registry.v1.registry_pb2 import Registry
from transship.sdk import TransshipClient, destination, literal, name_filter, tag_filter

_TYPE: Final = "docker-registry"
_LOOPBACK_HOSTS: Final = ("localhost", "127.0.0.1")
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MAX_ID_CHARS: Final = 64
_DOCKER_HUB: Final = "docker.io"
_DOCKER_HUB_REGISTRY: Final = "registry-1.docker.io"  # Where the registry of docker.io really is.


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A repository, the host of its registry, and perhaps a tag."""

    host: str
    repository: str
    tag: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of `host/repository[:tag]`. Raises typer.BadParameter."""
        try:
            reference = Reference.parse(text)
        except InvalidReference as error:
            raise typer.BadParameter(f"{text!r} is not of the form HOST/REPOSITORY[:TAG].") from error
        if reference.host is None or reference.digest is not None:
            raise typer.BadParameter(f"{text!r} is not of the form HOST/REPOSITORY[:TAG].")
        if reference.host == _DOCKER_HUB:
            name = str(reference.repository)
            full = name if "/" in name else f"library/{name}"
            return cls(host=_DOCKER_HUB_REGISTRY, repository=full, tag=reference.tag)
        return cls(host=reference.host.lower(), repository=str(reference.repository), tag=reference.tag)


def register(app: typer.Typer) -> None:
    command(app, "copy", panel="Replicate")(copy)


async def copy(
    session: Session,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="HOST/REPOSITORY[:TAG]", show_default=False)],
    target: Annotated[str, typer.Argument(metavar="DESTINATION", help="HOST/REPOSITORY", show_default=False)],
    override: Annotated[
        bool, typer.Option("--override/--no-override", help="Overwrite tags that have another digest, or leave them.")
    ] = True,
    *,
    how: How,
    plain_http: Annotated[
        bool, typer.Option("--plain-http", help="Register unknown hosts with http. Default for localhost.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Register unknown hosts with their certificate unchecked.")
    ] = False,
    no_wait: NoWait = False,
) -> None:
    """Copies a tag of a repository, or all of its tags, which keep their names.

    A host that no registry has is registered, without a credential. Exit code 0 only if everything succeeded, and there
    was something to copy.

    Example: `transship copy registry.example.com/library/nginx:1.27 localhost:5000/nginx`
    """
    origin, goal = Place.parse(source), Place.parse(target)
    if goal.tag is not None:
        raise typer.BadParameter("The destination takes no tag: a tag keeps its name.")
    async with session.client() as client:
        hosts = _Hosts(session, client, plain_http=plain_http, insecure=insecure)
        policy = Policy(
            source_registry=await hosts.registry_of(origin.host),
            destinations=[destination(await hosts.registry_of(goal.host), repository=goal.repository)],
            filters=[name_filter(literal(origin.repository))],
            override=override,
        )
        list(how.change(policy))
        if origin.tag is not None:
            policy.filters.append(tag_filter(literal(origin.tag)))
        execution = await start(session, client, policy, no_wait=no_wait)
    if execution.state == Execution.STATE_SUCCEEDED and not execution.task_counts.total:
        fail(
            f"There is no tag {origin.tag} in {origin.repository}."
            if origin.tag
            else f"{origin.repository} has no tags."
        )


class _Hosts:
    """The registries of hosts: those that are registered, and those that are from now on."""

    def __init__(self, session: Session, client: TransshipClient, *, plain_http: bool, insecure: bool) -> None:
        self._session = session
        self._client = client
        self._plain_http = plain_http
        self._insecure = insecure

    async def registry_of(self, host: str) -> str:
        found = await _at(host, self._client.registries.list())
        if found is not None:
            return found.name
        is_plain = self._plain_http or host.rpartition(":")[0] in _LOOPBACK_HOSTS or host in _LOOPBACK_HOSTS
        registry = await self._client.registries.create(
            registry_id(host),
            type=_TYPE,
            url=f"{'http' if is_plain else 'https'}://{host}",
            insecure=self._insecure,
            description="Registered by `transship copy`.",
        )
        self._session.screen.say(f"Registered {registry.url} as registry {last_part(registry.name)}, no credential.")
        return registry.name


async def _at(host: str, registries: AsyncIterator[Registry]) -> Registry | None:
    async for registry in registries:
        if host in hosts_of(registry.url):
            return registry
    return None


def hosts_of(url: str) -> set[str]:
    """How the host of a registry may be written: as in the URL, and without the port that goes without saying.

    None for a URL with a path, below which `host/repository` would be another repository.
    """
    parts = urlsplit(url)
    if parts.path.strip("/"):
        return set()
    port = parts.port or _DEFAULT_PORTS[parts.scheme]
    host = parts.netloc.lower().removesuffix(f":{port}")
    return {f"{host}:{port}", host} if port == _DEFAULT_PORTS[parts.scheme] else {f"{host}:{port}"}


def registry_id(host: str) -> str:
    """An id that says the host: `localhost-5000` for `localhost:5000`."""
    return re.sub(r"[^a-z0-9.]+", "-", host.lower())[:_MAX_ID_CHARS].strip("-.")
