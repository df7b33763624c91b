"""Makes repositories at Docker Hub before the first push, which would make them public."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import Final

from oci_client.errors import OciError, RegistryError, TooManyRequests, Unauthorized
from registry_svc.adapters.base import Failure, Preparation, RepositoryFailure
from registry_svc.adapters.border import repository_failure
from registry_svc.adapters.docker_hub_api import DockerHubApi
from registry_svc.adapters.retries import Retries
from registry_svc.domain.registry import Endpoint

MAX_LOOK_UPS: Final = 10  # repositories of a namespace that are asked for one by one; for more, its list is cheaper


class HubPreparing:
    """Makes sure of namespaces, which only people make, and makes repositories in them."""

    def __init__(self, api: DockerHubApi, endpoint: Endpoint, retries: Retries, *, public: bool) -> None:
        self._api = api
        self._user = endpoint.credential.username.lower() if endpoint.credential else ""
        self._retries = retries
        self._public = public

    async def run(self, repositories: Sequence[str], *, validate_only: bool) -> Preparation:
        failures: list[RepositoryFailure] = []
        created: list[str] = []
        for namespace, names in _by_namespace(repositories).items():
            try:
                if namespace != self._user and not await self._has_organisation(namespace):
                    failures += [_not_created(name, namespace) for name in names]
                    continue
                present = await self._present(namespace, names)
            except Unauthorized:
                raise
            except OciError as error:
                failures += [repository_failure(name, error) for name in names]
                continue
            for name in (each for each in names if each not in present):
                try:
                    created += [name] if validate_only or await self._create(name) else []
                except Unauthorized:
                    raise
                except OciError as error:
                    failures.append(repository_failure(name, error))
        return Preparation(failures=tuple(failures), created_namespaces=tuple(created))

    async def _has_organisation(self, name: str) -> bool:
        return await self._retries.run(lambda: self._api.has_organisation(name))

    async def _present(self, namespace: str, names: Sequence[str]) -> set[str]:
        """Those of the names that are there."""
        if len(names) <= MAX_LOOK_UPS:
            return {name for name in names if await self._has(name)}
        pages = self._retries.pages(lambda: self._api.repositories(namespace), key=lambda each: each.name)
        async with aclosing(pages):
            return {repository.name async for page in pages for repository in page}.intersection(names)

    async def _has(self, name: str) -> bool:
        return await self._retries.run(lambda: self._api.has_repository(name))

    async def _create(self, name: str) -> bool:
        """Whether it was not there before: somebody else may have been faster."""
        try:
            await self._retries.run(lambda: self._api.create_repository(name, public=self._public))
        except (Unauthorized, TooManyRequests):
            raise
        except RegistryError:
            if await self._has(name):
                return False
            raise
        return True


def _by_namespace(repositories: Sequence[str]) -> Mapping[str, Sequence[str]]:
    found: dict[str, list[str]] = {}
    for name in repositories:
        found.setdefault(name.partition("/")[0], []).append(name)
    return found


def _not_created(name: str, namespace: str) -> RepositoryFailure:
    message = (
        f"Docker Hub has no organisation {namespace}, and it is not the user's own namespace. Create the organisation"
        " there, or choose a namespace of your own."
    )
    failure = Failure(reason="NAMESPACE_NOT_CREATED", message=message, metadata={"namespace": namespace})
    return RepositoryFailure(repository=name, failure=failure)
