"""Products with an adapter to each, set up alike, for the one suite that every adapter passes."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import quote

from oci_client.auth import Credential as OciCredential
from oci_client.challenge_authorizer import ChallengeAuthorizer
from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.http import HttpClient
from oci_client.manifest import parse_manifest
from oci_client.testing import BearerAuth, BuiltManifest, FakeRegistry, Match, an_image
from registry_svc.adapters.base import Adapter
from registry_svc.adapters.docker_hub import DockerHubAdapter, Hosts
from registry_svc.adapters.harbor import HarborAdapter
from registry_svc.adapters.native import NativeAdapter
from registry_svc.domain.registry import Credential, Endpoint
from service_kit.secret import Secret
from tests.fakes.docker_hub import FakeDockerHub
from tests.fakes.harbor import FIRST_PUSH, FakeHarbor
from tests.registries import PASSWORD, USERNAME, DockerRegistry

Put = Callable[[str, BuiltManifest, Sequence[str], int], Awaitable[str]]


class Sleeps:
    """Takes no time and remembers how long it was to be."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


@dataclass(kw_only=True)
class Stage:
    """A product with nothing in it, and how to get at it past its adapter.

    Images go into the namespace `team`. `faults` is where lists are asked for, None for a real product, which cannot be
    told to misbehave; `search` is what a search for repositories asks for there, as an expression of paths.
    """

    endpoint: Endpoint
    make: Callable[[Endpoint, Sleeps], Adapter]
    registry_url: str
    put: Put
    empty: Callable[[str], Awaitable[None]]
    """Makes a repository without anything in it."""
    faults: FakeRegistry | None
    search: str
    list_of: Callable[[str], str]
    """What the list of one repository asks for, as an expression of paths."""
    namespaces: Callable[[], list[str]]
    """Those that were made, in a product that has such a thing."""
    sleeps: Sleeps = field(default_factory=Sleeps)

    @property
    def credential(self) -> Credential:
        assert self.endpoint.credential is not None
        return self.endpoint.credential

    def adapter(self) -> Adapter:
        return self.make(self.endpoint, self.sleeps)

    def adapter_with(self, password: str) -> Adapter:
        credential = replace(self.credential, password=Secret(password))
        return self.make(replace(self.endpoint, credential=credential), self.sleeps)

    async def push(self, repository: str, *tags: str, seed: int = 0, days: int = 0) -> str:
        """An image, created and pushed `days` after the first of January; returns its digest."""
        created = (FIRST_PUSH + timedelta(days=days)).isoformat().replace("+00:00", ".123456789Z")
        return await self.put(repository, an_image((16,), seed=seed, created=created), tags, days)

    def asked(self, pattern: str) -> int:
        """How many requests had such a path."""
        assert self.faults is not None
        return sum(1 for entry in self.faults.requests if re.search(pattern, entry.path))


@asynccontextmanager
async def native() -> AsyncIterator[Stage]:
    """The distribution specification, in full and by tokens."""
    auth = BearerAuth(username="robot", password="pa55word-native")
    async with FakeRegistry(auth=auth) as registry:

        async def put(repository: str, built: BuiltManifest, tags: Sequence[str], days: int) -> str:
            return registry.push(repository, built, *tags)

        yield Stage(
            endpoint=_endpoint(registry.url, auth.username, auth.password),
            make=lambda endpoint, sleeps: NativeAdapter(endpoint, sleep=sleeps),
            registry_url=registry.url,
            put=put,
            empty=partial(_emptied, registry),
            faults=registry,
            search=r"^/v2/_catalog$",
            list_of=lambda name: rf"^/v2/{name}/tags/list$",
            namespaces=list,
        )


@asynccontextmanager
async def docker_registry(directory: Path) -> AsyncIterator[Stage]:
    """The real one, by passwords. It deletes digests only."""
    with DockerRegistry(directory, htpasswd=True) as docker:
        async with HttpClient() as http:
            authorizer = ChallengeAuthorizer(http, docker.url, OciCredential(username=USERNAME, password=PASSWORD))
            client = RegistryClient(docker.url, http=http, authorizer=authorizer)

            async def empty(repository: str) -> None:
                await client.delete_manifest(repository, await _push(client, repository, an_image((16,)), ["1"], 0))

            yield Stage(
                endpoint=_endpoint(docker.url, USERNAME, PASSWORD),
                make=lambda endpoint, sleeps: NativeAdapter(endpoint, sleep=sleeps),
                registry_url=docker.url,
                put=partial(_push, client),
                empty=empty,
                faults=None,
                search="",
                list_of=str,
                namespaces=list,
            )


@asynccontextmanager
async def harbor() -> AsyncIterator[Stage]:
    async with FakeHarbor() as fake:

        async def put(repository: str, built: BuiltManifest, tags: Sequence[str], days: int) -> str:
            return fake.push(repository, built, *tags, days=days)

        fake.add_project("team")
        yield Stage(
            endpoint=_endpoint(fake.url, fake.username, fake.password),
            make=lambda endpoint, sleeps: HarborAdapter(endpoint, sleep=sleeps),
            registry_url=fake.url,
            put=put,
            empty=partial(_emptied, fake.registry),
            faults=fake.registry,
            search=r"/projects/[^/]+/repositories$",
            list_of=_harbor_list,
            namespaces=lambda: sorted(fake.projects),
        )


@asynccontextmanager
async def docker_hub() -> AsyncIterator[Stage]:
    async with FakeDockerHub() as fake:
        hosts = Hosts(api=fake.api.url, registry=fake.registry.url)

        async def put(repository: str, built: BuiltManifest, tags: Sequence[str], days: int) -> str:
            return fake.push(repository, built, *tags, days=days)

        fake.organisations["team"] = True
        yield Stage(
            endpoint=_endpoint("https://hub.docker.com", fake.username, fake.password),
            make=lambda endpoint, sleeps: DockerHubAdapter(endpoint, hosts=hosts, sleep=sleeps),
            registry_url=fake.registry.url,
            put=put,
            empty=partial(_emptied, fake.registry),
            faults=fake.api,
            search=r"^/v2/(repositories/namespaces|namespaces/[^/]+/repositories)$",
            list_of=lambda name: rf"^/v2/namespaces/{name.replace('/', '/repositories/')}/tags$",
            namespaces=lambda: list(fake.registry.store.names),
        )


def open_stage(name: str, directory: Path) -> AbstractAsyncContextManager[Stage]:
    """The stage of a product; what it stores, it stores in the directory."""
    return docker_registry(directory) if name == "docker-registry" else FAKES[name]()


FAKES: Final[Mapping[str, Callable[[], AbstractAsyncContextManager[Stage]]]] = {
    "native": native,
    "harbor": harbor,
    "docker-hub": docker_hub,
}
PRODUCTS: Final = (*FAKES, "docker-registry")


def fails(stage: Stage, repository: str) -> Match:
    """The requests that list a repository."""
    return Match(path=stage.list_of(repository))


def _endpoint(url: str, username: str, password: str) -> Endpoint:
    credential = Credential(username=username, password=Secret(password))
    return Endpoint(registry="registries/hub", url=url, credential=credential)


def _harbor_list(repository: str) -> str:
    """Paths are seen as the server unescapes them, once of twice."""
    project, _, name = repository.partition("/")
    return rf"/projects/{project}/repositories/{re.escape(quote(name, safe=''))}/artifacts$"


async def _emptied(registry: FakeRegistry, repository: str) -> None:
    registry.store.repository(repository)


async def _push(client: RegistryClient, repository: str, built: BuiltManifest, tags: Sequence[str], days: int) -> str:
    for digest, blob in built.blobs.items():
        session = await client.start_upload(repository)
        await client.put_blob(session, Digest.parse(digest), b"".join(blob.pieces()))
    manifest = parse_manifest(built.manifest, built.media_type)
    for reference in tags or (str(manifest.digest),):
        await client.put_manifest(repository, reference, manifest)
    return str(manifest.digest)
