"""Small working things for tests of the registry service."""

import os
from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from registry_svc.adapters.base import (
    NO_ACCESS,
    Access,
    AdapterType,
    Info,
    Listing,
    Preparation,
    Query,
    RepositoryScope,
)
from registry_svc.adapters.table import AdapterTable
from registry_svc.domain.change import Draft
from registry_svc.domain.errors import RegistryAlreadyExists, RegistryNotFound
from registry_svc.domain.registry import Check, Credential, Endpoint, Registry
from registry_svc.service.registries import Registries
from registry_svc.service.sessions import Connector
from registry_svc.vault import KeyRing, Vault
from service_kit.clock import FakeClock
from service_kit.errors import EtagMismatch, ServiceError
from service_kit.secret import Secret

NOW = datetime(2026, 1, 1, tzinfo=UTC)
UID = "0b0e6d1c-7d5e-4f6a-9d1e-2f3a4b5c6d7e"


class MemoryRegistryStore:
    """Keeps registries in a dictionary, by the rules of the RegistryStore."""

    def __init__(self) -> None:
        self._rows: dict[str, Registry] = {}
        self._next_check: dict[str, datetime] = {}

    async def insert(self, registry: Registry) -> None:
        if any(each.id == registry.id for each in self._rows.values()):
            raise RegistryAlreadyExists(registry=registry.name)
        self._put(registry)

    async def get(self, key: str) -> Registry:
        for registry in self._rows.values():
            if key in (registry.id, registry.uid):
                return registry
        raise RegistryNotFound(registry=f"registries/{key}")

    async def page(self, *, type_: str, after: str, limit: int) -> Sequence[Registry]:
        found = [each for each in self._rows.values() if each.id > after and type_ in ("", each.type)]
        return sorted(found, key=lambda each: each.id)[:limit]

    async def replace(self, registry: Registry) -> None:
        stored = self._rows.get(registry.uid)
        if stored is None or stored.revision != registry.revision - 1:
            raise EtagMismatch(registry=registry.name)
        self._put(registry)

    async def delete(self, uid: str) -> None:
        if self._rows.pop(uid, None) is None:
            raise RegistryNotFound(registry=f"registries/{uid}")

    async def claim_due(self, *, now: datetime, again_at: datetime, limit: int) -> Sequence[Registry]:
        due = [uid for uid in sorted(self._rows, key=self._next_check.__getitem__) if self._next_check[uid] <= now]
        self._next_check |= dict.fromkeys(due[:limit], again_at)
        return [self._rows[uid] for uid in due[:limit]]

    async def record_check(self, registry: Registry, check: Check) -> None:
        stored = self._rows.get(registry.uid)
        if stored and stored.revision == registry.revision:
            self._rows[registry.uid] = stored.checked(check)

    def _put(self, registry: Registry) -> None:
        self._rows[registry.uid] = registry
        self._next_check[registry.uid] = registry.update_time


@dataclass
class FakeProduct:
    """A product whose registries answer as they are told; remembers the endpoints and what was done."""

    problem: Exception | None = None
    endpoints: list[Endpoint] = field(default_factory=list)
    checks: int = 0
    open_adapters: int = 0

    def type(self, name: str = "fake") -> AdapterType:
        return AdapterType(type=name, description="A fake.", url_pattern="https://x", open=self.open)

    def open(self, endpoint: Endpoint) -> "FakeAdapter":
        self.endpoints.append(endpoint)
        self.open_adapters += 1
        return FakeAdapter(self)


class FakeAdapter:
    def __init__(self, product: FakeProduct) -> None:
        self._product = product

    def info(self) -> Info:
        return Info(description="A fake.")

    async def health_check(self) -> None:
        self._product.checks += 1
        if self._product.problem:
            raise self._product.problem

    async def list_artifacts(self, query: Query) -> AsyncGenerator[Listing, None]:
        yield Listing()

    async def prepare(self, repositories: Sequence[str], *, public: bool, validate_only: bool) -> Preparation:
        return Preparation()

    async def delete_tag(self, repository: str, tag: str, *, along: Collection[str] = ()) -> None: ...

    async def issue_access(self, scopes: Sequence[RepositoryScope], *, rejected: str = "") -> Access:
        return NO_ACCESS

    async def aclose(self) -> None:
        self._product.open_adapters -= 1


@dataclass
class FakePolicies:
    """A policy service with some policies, or one that is down."""

    by_registry: dict[str, list[str]] = field(default_factory=dict)
    problem: ServiceError | None = None

    async def policies_with(self, registry: str, *, limit: int) -> Sequence[str]:
        if self.problem:
            raise self.problem
        return self.by_registry.get(registry, [])[:limit]


class World:
    """The use cases of registries over fakes."""

    def __init__(self) -> None:
        self.store = MemoryRegistryStore()
        self.product = FakeProduct()
        self.policies = FakePolicies()
        self.clock = FakeClock(NOW)
        self.vault = a_vault()
        self.connector = Connector(AdapterTable([self.product.type()]), self.vault)
        self.registries = Registries(
            store=self.store, connector=self.connector, vault=self.vault, policies=self.policies, clock=self.clock
        )


def a_vault() -> Vault:
    return Vault(KeyRing({"1": os.urandom(32)}))


def a_credential(username: str = "robot", password: str = "pa55word") -> Credential:
    return Credential(username=username, password=Secret(password))


def a_draft(**changes: Any) -> Draft:
    return replace(Draft(id="hub", type="fake", url="https://hub.example.com"), **changes)


def a_registry(**changes: Any) -> Registry:
    registry = Registry(uid=UID, id="hub", type="fake", url="https://hub.example.com", create_time=NOW, update_time=NOW)
    return replace(registry, **changes)
