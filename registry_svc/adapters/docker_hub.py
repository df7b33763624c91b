"""The adapter for Docker Hub, which is two hosts: one for its API, one for its registry."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

from oci_client.errors import NotFound, OciError, Unauthorized, UnexpectedAnswer
from registry_svc.adapters.base import (
    Access,
    AdapterType,
    Failure,
    Info,
    Listing,
    Preparation,
    Query,
    RepositoryFailure,
    RepositoryScope,
)
from registry_svc.adapters.border import registry_errors, repository_failure
from registry_svc.adapters.connection import credential_of, open_http
from registry_svc.adapters.docker_hub_api import DockerHubApi
from registry_svc.adapters.docker_hub_preparing import HubPreparing
from registry_svc.adapters.listing import RepositoryLister
from registry_svc.adapters.narrowing import namespaces
from registry_svc.adapters.native import NativeAdapter
from registry_svc.adapters.retries import Retries, Sleep
from registry_svc.adapters.source import Artifact, Listed, Repository
from registry_svc.domain.errors import CatalogUnsupported, TagNotFound
from registry_svc.domain.registry import Endpoint
from replication.filters import Selection
from replication.newest import DatedTag


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Base URLs of the API and of the registry."""

    api: str
    registry: str


DOCKER_HUB_HOSTS: Final = Hosts(api="https://hub.docker.com", registry="https://registry-1.docker.io")
# All of them are Docker Hub to those who write them down.
_NAMES: Final = frozenset({"hub.docker.com", "docker.io", "index.docker.io", "registry-1.docker.io"})
_COMPONENTS: Final = 2


class DockerHubAdapter:
    """Speaks to Docker Hub. A URL of another host is that of a stand-in, as in tests, which plays both hosts."""

    def __init__(self, endpoint: Endpoint, *, hosts: Hosts | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self._endpoint = endpoint
        self._hosts = hosts or _hosts(endpoint.url)
        self._sleep = sleep
        self._native = NativeAdapter(replace(endpoint, url=self._hosts.registry), sleep=sleep)
        self._http = open_http(replace(endpoint, url=self._hosts.api))
        self._api = DockerHubApi(self._http, self._hosts.api, credential_of(endpoint), sleep)

    def info(self) -> Info:
        # Its webhooks tell of pushes alone, and in a form of their own, which nothing here takes.
        return Info(
            description="Docker Hub.",
            min_path_components=_COMPONENTS,
            max_path_components=_COMPONENTS,
            lists_digests=True,
        )

    async def health_check(self) -> None:
        with registry_errors(self._endpoint):
            await self._api.log_in()
        await self._native.health_check()

    async def list_artifacts(self, query: Query) -> AsyncGenerator[Listing, None]:
        source = DockerHubSource(self._api, self._endpoint, Retries(self._sleep))
        with registry_errors(self._endpoint):
            lister = RepositoryLister(source, query, now=datetime.now(UTC))
            async with aclosing(lister.batches()) as batches:
                async for batch in batches:
                    yield batch

    async def prepare(self, repositories: Sequence[str], *, public: bool, validate_only: bool) -> Preparation:
        preparing = HubPreparing(self._api, self._endpoint, Retries(self._sleep), public=public)
        with registry_errors(self._endpoint):
            return await preparing.run(repositories, validate_only=validate_only)

    async def delete_tag(self, repository: str, tag: str, *, along: Collection[str] = ()) -> None:  # noqa: ARG002 - an Adapter
        with registry_errors(self._endpoint):
            try:
                await Retries(self._sleep).run(lambda: self._api.delete_tag(repository, tag))
            except NotFound as error:
                raise TagNotFound(repository=repository, tag=tag) from error

    async def issue_access(self, scopes: Sequence[RepositoryScope], *, rejected: str = "") -> Access:
        return replace(await self._native.issue_access(scopes, rejected=rejected), url=self._hosts.registry)

    async def aclose(self) -> None:
        await self._native.aclose()
        await self._http.aclose()


class DockerHubSource:
    """What Docker Hub has, namespace by namespace. There is no list of all of it, only of one's own namespaces."""

    def __init__(self, api: DockerHubApi, endpoint: Endpoint, retries: Retries) -> None:
        self._api = api
        self._endpoint = endpoint
        self._retries = retries

    async def repositories(self, selection: Selection) -> AsyncGenerator[list[Listed], None]:
        names = namespaces(selection)
        if names is None:
            if self._endpoint.credential is None:
                raise CatalogUnsupported(registry=self._endpoint.registry)
            names = await self._retries.run(self._api.own_namespaces)
        for name in names:
            async with aclosing(self._of_namespace(name)) as pages:
                async for page in pages:
                    yield page

    async def named(self, names: Sequence[str]) -> AsyncGenerator[list[Listed], None]:
        yield [_named(name) for name in names]

    async def artifacts(self, repository: str) -> AsyncGenerator[list[Artifact], None]:
        pages = self._retries.pages(lambda: self._api.artifacts(repository), key=lambda each: each.key)
        async with aclosing(pages):
            async for page in pages:
                yield page

    async def look_up(self, repository: str, reference: str) -> list[Artifact]:
        """A digest is passed over: Hub's API knows tags alone."""
        if ":" in reference:
            return []
        return await self._retries.run(lambda: self._api.artifact(repository, reference))

    async def dated(self, repository: str, artifact: DatedTag) -> DatedTag | None:
        raise UnexpectedAnswer(f"Docker Hub did not tell when {repository}:{artifact.tag} was pushed")

    async def _of_namespace(self, name: str) -> AsyncGenerator[list[Listed], None]:
        """One namespace that cannot be listed does not keep the others back."""
        pages = self._retries.pages(lambda: self._api.repositories(name), key=lambda each: each.name)
        try:
            async with aclosing(pages):
                async for page in pages:
                    yield [*page]
        except Unauthorized:
            raise
        except NotFound:
            return
        except OciError as error:
            yield [repository_failure(name, error)]


def _hosts(url: str) -> Hosts:
    return DOCKER_HUB_HOSTS if urlsplit(url).hostname in _NAMES else Hosts(api=url, registry=url)


def _named(name: str) -> Listed:
    if name.count("/") + 1 == _COMPONENTS:
        return Repository(name=name)
    hint = f"write library/{name} for the official image" if "/" not in name else "it has too many"
    message = f"a repository of Docker Hub has just two path components: {hint}"
    failure = Failure(reason="REPOSITORY_UNKNOWN", message=message, metadata={"repository": name})
    return RepositoryFailure(repository=name, failure=failure)


DOCKER_HUB: Final = AdapterType(
    type="docker-hub",
    description="Docker Hub, with its namespaces and limits.",
    url_pattern=DOCKER_HUB_HOSTS.api,
    open=DockerHubAdapter,
    urls=(DOCKER_HUB_HOSTS.api,),
    username_hint="Docker ID, or the name of the organisation for an organisation access token.",
    password_hint="Personal or organisation access token, or password.",  # noqa: S106 - a hint, not a password
)
