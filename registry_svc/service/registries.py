"""The use cases of registries."""

import time
import uuid
from collections.abc import Sequence
from typing import Final, Protocol

from registry_svc.adapters.base import Info
from registry_svc.domain.change import Change, Draft
from registry_svc.domain.errors import RegistryInUse
from registry_svc.domain.registry import COLLECTION, Check, Endpoint, Registry, SealedCredential
from registry_svc.service.sessions import Connector
from registry_svc.store import RegistryStore
from registry_svc.vault import Vault
from service_kit.clock import Clock
from service_kit.errors import EtagMismatch

MAX_POLICIES_NAMED: Final = 10


class PolicyGateway(Protocol):
    """What is asked of the policy service."""

    async def policies_with(self, registry: str, *, limit: int) -> Sequence[str]:
        """Names of policies that have the registry as source or destination."""
        ...


class Registries:
    """Registers, changes, tries and removes registries. A `key` is the id of a registry or its uid."""

    def __init__(
        self, *, store: RegistryStore, connector: Connector, vault: Vault, policies: PolicyGateway, clock: Clock
    ) -> None:
        self._store = store
        self._connector = connector
        self._vault = vault
        self._policies = policies
        self._clock = clock

    async def create(self, draft: Draft, *, skip_check: bool) -> Registry:
        """Registers what the draft describes, after a check that it works unless that is to be skipped."""
        draft = draft.parse()
        self._connector.require(draft.type)
        uid = str(uuid.uuid4())
        credential = self._vault.seal(draft.credential, uid=uid) if draft.credential else None
        registry = draft.register(uid=uid, credential=credential, now=self._clock.now())
        if not skip_check:
            registry = await self._tried(registry, draft.endpoint())
        await self._store.insert(registry)
        return registry

    async def get(self, key: str) -> Registry:
        return await self._store.get(key)

    async def page(self, *, type_: str, after: str, limit: int) -> Sequence[Registry]:
        return await self._store.page(type_=type_, after=after, limit=limit)

    async def update(self, key: str, change: Change, *, etag: str, skip_check: bool) -> Registry:
        """Changes a registry; it is tried first when the way to it becomes another one.

        Raises:
            EtagMismatch: `etag` is given and not the present one, or somebody else was faster.
        """
        change = change.parse()
        registry = await self._store.get(key)
        if etag and etag != registry.etag:
            raise EtagMismatch(registry=registry.name)
        changed = change.apply_to(registry, credential=self._credential(registry, change), now=self._clock.now())
        if changed.way != registry.way and not skip_check:
            changed = await self._tried(changed, self._connector.endpoint(changed))
        await self._store.replace(changed)
        return changed

    async def delete(self, key: str) -> None:
        """Raises RegistryInUse while policies use it."""
        registry = await self._store.get(key)
        # A policy may name the registry either way.
        for name in (registry.name, COLLECTION + registry.uid):
            if policies := await self._policies.policies_with(name, limit=MAX_POLICIES_NAMED):
                raise RegistryInUse(registry=registry.name, policies=", ".join(policies))
        await self._store.delete(registry.uid)

    async def ping(self, key: str) -> float:
        """Tries a registry as it is stored; returns how many seconds it took."""
        registry = await self._store.get(key)
        return await self._ping(registry.type, self._connector.endpoint(registry))

    async def ping_draft(self, draft: Draft) -> float:
        """Tries a registry that is not stored; returns how many seconds it took."""
        draft = draft.parse()
        return await self._ping(draft.type, draft.endpoint())

    async def info(self, key: str) -> tuple[str, Info]:
        """The type of a registry and what its adapter can do there."""
        registry = await self._store.get(key)
        async with self._connector.connect(registry.type, self._connector.endpoint(registry)) as adapter:
            return registry.type, adapter.info()

    def _credential(self, registry: Registry, change: Change) -> SealedCredential | None:
        if change.keeps_password(registry):
            return registry.credential
        return self._vault.seal(change.credential, uid=registry.uid) if change.credential else None

    async def _tried(self, registry: Registry, endpoint: Endpoint) -> Registry:
        await self._ping(registry.type, endpoint)
        return registry.checked(Check.healthy(self._clock.now()))

    async def _ping(self, type_: str, endpoint: Endpoint) -> float:
        started = time.monotonic()
        async with self._connector.connect(type_, endpoint) as adapter:
            await adapter.health_check()
        return time.monotonic() - started
