"""The adapter for Harbor 2: its own API for what is there, its registry for the rest."""

import asyncio
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from oci_client.errors import Denied, NotFound, OciError, RegistryError, Unauthorized, UnexpectedAnswer
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
from registry_svc.adapters.harbor_api import HarborApi, Project, may_be_attached
from registry_svc.adapters.listing import RepositoryLister
from registry_svc.adapters.narrowing import namespaces
from registry_svc.adapters.native import NativeAdapter
from registry_svc.adapters.retries import Retries, Sleep
from registry_svc.adapters.source import Artifact, Listed, Repository
from registry_svc.domain.errors import TagDeletionUnsupported, TagNotFound
from registry_svc.domain.registry import Endpoint
from replication.filters import Dimension, Selection
from replication.newest import DatedTag

_CONFLICT: Final = 409  # the project is there, though perhaps not shown to us
_IMMUTABLE: Final = 412  # a rule of the project keeps the tag


class HarborAdapter:
    """Speaks to one Harbor."""

    def __init__(self, endpoint: Endpoint, *, sleep: Sleep = asyncio.sleep) -> None:
        self._endpoint = endpoint
        self._sleep = sleep
        self._native = NativeAdapter(endpoint, sleep=sleep)
        self._http = open_http(endpoint)
        self._api = HarborApi(self._http, endpoint.url, credential_of(endpoint))

    def info(self) -> Info:
        return Info(
            description="A Harbor of version 2.0 or newer.",
            filter_dimensions=(Dimension.NAME, Dimension.TAG, Dimension.LABEL, Dimension.RESOURCE_TYPE),
            min_path_components=2,
            sends_events=True,
            lists_digests=True,
        )

    async def health_check(self) -> None:
        with registry_errors(self._endpoint):
            await self._api.check()
        await self._native.health_check()

    async def list_artifacts(self, query: Query) -> AsyncGenerator[Listing, None]:
        # The API takes a wrong password for nobody, who sees what is public and no more. The registry tells.
        await self._native.prove_credential()
        source = HarborSource(self._api, Retries(self._sleep))
        with registry_errors(self._endpoint):
            lister = RepositoryLister(source, query, now=datetime.now(UTC))
            async with aclosing(lister.batches()) as batches:
                async for batch in batches:
                    yield batch

    async def prepare(self, repositories: Sequence[str], *, public: bool, validate_only: bool) -> Preparation:
        with registry_errors(self._endpoint):
            preparing = _Preparing(self._api, Retries(self._sleep), public=public, validate_only=validate_only)
            return await preparing.run(repositories)

    async def delete_tag(self, repository: str, tag: str, *, along: Collection[str] = ()) -> None:  # noqa: ARG002 - an Adapter
        with registry_errors(self._endpoint):
            try:
                await Retries(self._sleep).run(lambda: self._api.delete_tag(repository, tag))
            except NotFound as error:
                raise TagNotFound(repository=repository, tag=tag) from error
            except RegistryError as error:
                if error.status == _IMMUTABLE:
                    raise TagDeletionUnsupported(repository=repository, tag=tag) from error
                raise

    async def issue_access(self, scopes: Sequence[RepositoryScope], *, rejected: str = "") -> Access:
        return await self._native.issue_access(scopes, rejected=rejected)

    async def aclose(self) -> None:
        await self._native.aclose()
        await self._http.aclose()


class HarborSource:
    """What a Harbor has, project by project. Proxy caches are passed over: what they hold is another registry's."""

    def __init__(self, api: HarborApi, retries: Retries) -> None:
        self._api = api
        self._retries = retries

    async def repositories(self, selection: Selection) -> AsyncGenerator[list[Listed], None]:
        names = namespaces(selection)
        async with aclosing(self._projects(names)) as pages:
            async for page in pages:
                for project in page:
                    async with aclosing(self._of_project(project)) as repositories:
                        async for each in repositories:
                            yield each

    async def named(self, names: Sequence[str]) -> AsyncGenerator[list[Listed], None]:
        projects: dict[str, Project] = {}
        async with aclosing(self._projects(sorted({_project_of(name) for name in names}))) as pages:
            async for page in pages:
                projects |= {project.name: project for project in page}
        yield [_named(name, projects.get(_project_of(name))) for name in names]

    async def artifacts(self, repository: str) -> AsyncGenerator[list[Artifact], None]:
        pages = self._retries.pages(lambda: self._api.artifacts(repository), key=lambda each: each.key)
        async with aclosing(pages):
            async for page in pages:
                yield page

    async def look_up(self, repository: str, reference: str) -> list[Artifact]:
        found = await self._retries.run(lambda: self._api.artifact(repository, reference))
        if not any(map(may_be_attached, found)):
            return found
        # Parts of an image and accessories are told when they are asked for, but not listed.
        asked = {each.key for each in found}
        async with aclosing(self.artifacts(repository)) as pages:
            return [each async for page in pages for each in page if each.key in asked]

    async def dated(self, repository: str, artifact: DatedTag) -> DatedTag | None:
        raise UnexpectedAnswer(f"Harbor did not tell when {repository}:{artifact.tag or artifact.digest} was pushed")

    async def _projects(self, names: Sequence[str] | None) -> AsyncGenerator[list[Project], None]:
        pages = self._retries.pages(lambda: self._api.projects(names), key=lambda each: each.name)
        async with aclosing(pages):
            async for page in pages:
                yield page

    async def _of_project(self, project: Project) -> AsyncGenerator[list[Listed], None]:
        """One project that cannot be listed does not keep the others back."""
        if project.is_proxy_cache:
            yield [Repository(name=project.name, passed_over=_proxy_cache(project.name))]
            return
        try:
            async with aclosing(self._retries.pages(lambda: self._api.repositories(project.name))) as pages:
                async for page in pages:
                    yield [Repository(name=name, public=project.public) for name in page]
        except Unauthorized:
            raise
        except OciError as error:
            yield [repository_failure(project.name, error)]


class _Preparing:
    """Makes the projects of repositories, each once."""

    def __init__(self, api: HarborApi, retries: Retries, *, public: bool, validate_only: bool) -> None:
        self._api = api
        self._retries = retries
        self._public = public
        self._validate_only = validate_only

    async def run(self, repositories: Sequence[str]) -> Preparation:
        by_project: dict[str, list[str]] = {}
        failures: list[RepositoryFailure] = []
        for name in repositories:
            if project := _project_of(name):
                by_project.setdefault(project, []).append(name)
            else:
                failures.append(_too_short(name))
        known = await self._known(sorted(by_project))
        excluded = [
            _excluded(name, project)
            for project, names in by_project.items()
            for name in names
            if project in known and known[project].is_proxy_cache
        ]
        created = []
        for project in (each for each in by_project if each not in known):
            try:
                created += [project] if self._validate_only or await self._create(project) else []
            except Unauthorized:
                raise
            except OciError as error:
                failures += (_not_created(name, project, error) for name in by_project[project])
        return Preparation(failures=tuple(failures), created_namespaces=tuple(created), excluded=tuple(excluded))

    async def _known(self, names: Sequence[str]) -> dict[str, Project]:
        pages = self._retries.pages(lambda: self._api.projects(names), key=lambda each: each.name)
        async with aclosing(pages):
            return {project.name: project async for page in pages for project in page}

    async def _create(self, name: str) -> bool:
        """Whether it was not there before."""
        try:
            await self._retries.run(lambda: self._api.create_project(name, public=self._public))
        except RegistryError as error:
            if error.status == _CONFLICT:
                return False
            raise
        return True


def _project_of(repository: str) -> str:
    """The first component; "" for a repository that has no other."""
    project, slash, _ = repository.partition("/")
    return project if slash else ""


def _named(name: str, project: Project | None) -> Listed:
    if project is None:
        message = f"Harbor has no project {_project_of(name) or name}, or does not show it to this credential"
        failure = Failure(reason="REPOSITORY_UNKNOWN", message=message, metadata={"repository": name})
        return RepositoryFailure(repository=name, failure=failure)
    if project.is_proxy_cache:
        return Repository(name=name, passed_over=_proxy_cache(project.name))
    return Repository(name=name, public=project.public)


def _proxy_cache(project: str) -> str:
    return f"the project {project} is a proxy cache: what it holds is another registry's"


def _excluded(name: str, project: str) -> RepositoryFailure:
    message = f"The project {project} is a proxy cache; nothing can be pushed to it. Choose another project."
    failure = Failure(reason="PROXY_CACHE_PROJECT", message=message, metadata={"project": project})
    return RepositoryFailure(repository=name, failure=failure)


def _too_short(name: str) -> RepositoryFailure:
    message = f"A repository of Harbor is in a project: {name} has to be {name}/{name} or the like."
    metadata = {"repository": name, "rule": "at least 2 path components"}
    failure = Failure(reason="PATH_RULE_VIOLATED", message=message, metadata=metadata)
    return RepositoryFailure(repository=name, failure=failure)


def _not_created(name: str, project: str, error: OciError) -> RepositoryFailure:
    failed = repository_failure(name, error)
    if not isinstance(error, Denied):
        return failed
    message = f"The project {project} does not exist and the credential may not create it. Create it, or allow that."
    failure = replace(failed.failure, reason="NAMESPACE_NOT_CREATED", message=message, metadata={"namespace": project})
    return RepositoryFailure(repository=name, failure=failure)


HARBOR: Final = AdapterType(
    type="harbor",
    description="Harbor 2.0 or newer, with its projects, labels and proxy caches.",
    url_pattern="https://harbor.example.com[:port]",
    open=HarborAdapter,
    username_hint="User name, or the full name of a robot account, such as robot$replication.",
    password_hint="Password, command line secret, or secret of the robot account.",  # noqa: S106 - a hint
)
