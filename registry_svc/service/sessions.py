"""Adapters that stay open between calls, so that connections and tokens are used again."""

from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from registry_svc.adapters.base import Adapter
from registry_svc.adapters.table import AdapterTable
from registry_svc.domain.registry import Endpoint, Registry
from registry_svc.vault import Vault

MAX_SESSIONS: Final = 200  # each holds connections and a TLS context; those not used for longest go first


class Connector:
    """Makes adapters of registries."""

    def __init__(self, adapters: AdapterTable, vault: Vault) -> None:
        self._adapters = adapters
        self._vault = vault

    def endpoint(self, registry: Registry) -> Endpoint:
        """The way to a stored registry. Raises CredentialUnreadable."""
        return Endpoint(
            registry=registry.name,
            url=registry.url,
            credential=self._vault.open(registry),
            insecure=registry.insecure,
            ca_certificate=registry.ca_certificate,
        )

    def require(self, type_: str) -> None:
        """Raises AdapterUnknown when there is no adapter of the type."""
        self._adapters.get(type_)

    @asynccontextmanager
    async def connect(self, type_: str, endpoint: Endpoint) -> AsyncIterator[Adapter]:
        """An adapter for the block alone, which knows nothing from before. Raises AdapterUnknown."""
        adapter = self.open(type_, endpoint)
        try:
            yield adapter
        finally:
            await adapter.aclose()

    def open(self, type_: str, endpoint: Endpoint) -> Adapter:
        """An adapter that the caller closes. Raises AdapterUnknown."""
        return self._adapters.get(type_).open(endpoint)


@dataclass(slots=True, eq=False)
class _Session:
    adapter: Adapter
    etag: str
    leases: int = 0
    retired: bool = False


class Sessions:
    """At most one open adapter for each registry, replaced when the registry has changed."""

    def __init__(self, connector: Connector) -> None:
        self._connector = connector
        self._sessions: OrderedDict[str, _Session] = OrderedDict()

    @asynccontextmanager
    async def lease(self, registry: Registry) -> AsyncIterator[Adapter]:
        """The adapter of the registry as it is now. It stays open at least until the block ends."""
        session, retired = self._take(registry)
        try:
            for each in retired:
                await _close_if_unused(each)
            yield session.adapter
        finally:
            session.leases -= 1
            await _close_if_unused(session)

    async def aclose(self) -> None:
        for session in self._retire_all_but(0):
            await _close_if_unused(session)

    def _take(self, registry: Registry) -> tuple[_Session, list[_Session]]:
        """Leases the session of the registry; also tells which sessions that has put out of use."""
        retired: list[_Session] = []
        session = self._sessions.get(registry.uid)
        if session is None or session.etag != registry.etag:
            endpoint = self._connector.endpoint(registry)
            opened = _Session(self._connector.open(registry.type, endpoint), registry.etag)
            if session is not None:
                session.retired = True
                retired.append(session)
            self._sessions[registry.uid] = session = opened
        self._sessions.move_to_end(registry.uid)
        session.leases += 1
        return session, retired + self._retire_all_but(MAX_SESSIONS)

    def _retire_all_but(self, count: int) -> list[_Session]:
        retired = []
        while len(self._sessions) > count:
            _, session = self._sessions.popitem(last=False)
            session.retired = True
            retired.append(session)
        return retired


async def _close_if_unused(session: _Session) -> None:
    if session.retired and session.leases == 0:
        await session.adapter.aclose()
