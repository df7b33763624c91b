"""The use cases of what is in a registry: list it, prepare it, delete from it, and get access to it."""

from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing

from registry_svc.adapters.base import Access, Info, Listing, Preparation, Query, RepositoryScope
from registry_svc.domain.registry import Registry
from registry_svc.service.sessions import Sessions
from registry_svc.store import RegistryStore
from replication.filters import Selection
from service_kit.errors import FieldViolation, InvalidRequest


class Catalog:
    """Reads and prepares the contents of stored registries. A `key` is the id of a registry or its uid."""

    def __init__(self, store: RegistryStore, sessions: Sessions) -> None:
        self._store = store
        self._sessions = sessions

    async def list_artifacts(self, key: str, query: Query) -> AsyncGenerator[Listing, None]:
        """What the query lets through. Raises InvalidRequest when a filter is on what the registry does not tell."""
        registry = await self._store.get(key)
        async with self._sessions.lease(registry) as adapter:
            _check_dimensions(query.selection, adapter.info())
            async with aclosing(adapter.list_artifacts(query)) as batches:
                async for batch in batches:
                    yield batch

    async def prepare(self, key: str, repositories: Sequence[str], *, public: bool, validate_only: bool) -> Preparation:
        registry = await self._store.get(key)
        async with self._sessions.lease(registry) as adapter:
            return await adapter.prepare(repositories, public=public, validate_only=validate_only)

    async def delete_tag(self, key: str, repository: str, tag: str, *, along: Collection[str]) -> None:
        registry = await self._store.get(key)
        async with self._sessions.lease(registry) as adapter:
            await adapter.delete_tag(repository, tag, along=along)


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


def _check_dimensions(selection: Selection, info: Info) -> None:
    violations = [
        FieldViolation(f"filters[{index}].dimension", f"the registry's artifacts have no {rule.dimension} to filter by")
        for index, rule in enumerate(selection.rules)
        if rule.dimension not in info.filter_dimensions
    ]
    if violations:
        raise InvalidRequest(violations=violations)
