"""The use cases of what is in a registry: list it, prepare it, delete from it, and get access to it."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from registry_svc.adapters.base import Access, Listing, RepositoryFailure, RepositoryScope
from registry_svc.domain.registry import Registry
from registry_svc.service.sessions import Sessions
from registry_svc.store import RegistryStore
from replication.filters import Selection


class Catalog:
    """Reads and prepares the contents of stored registries. A `key` is the id of a registry or its uid."""

    def __init__(self, store: RegistryStore, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions

    async def list_artifacts(self, key: str, selection: Selection) -> AsyncGenerator[Listing, None]:
        registry = await self._store.get(key)
        async with self._sessions.lease(registry) as adapter, aclosing(adapter.list_artifacts(selection)) as batches:
            async for batch in batches:
                yield batch

    async def prepare(self, key: str, repositories: Sequence[str]) -> Sequence[RepositoryFailure]:
        registry = await self._store.get(key)
        async with self._sessions.lease(registry) as adapter:
            return await adapter.prepare(repositories)

    async def delete_tag(self, key: str, repository: str, tag: str) -> None:
        registry = await self._store.get(key)
        async with self._sessions.lease(registry) as adapter:
            await adapter.delete_tag(repository, tag)


class AccessDesk:
    """Hands out short-lived access, from one authorizer a registry, so that many askers cost few tokens."""

    def __init__(self, store: RegistryStore, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions

    async def issue(self, key: str, scopes: Sequence[RepositoryScope], *, rejected: str) -> tuple[Registry, Access]:
        """The registry as it is now, and access to some of its repositories."""
        registry = await self._store.get(key)
        async with self._sessions.lease(registry) as adapter:
            return registry, await adapter.issue_access(scopes, rejected=rejected)
