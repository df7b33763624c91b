"""The registries that this process works with: one endpoint each, shared by all its jobs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from jobservice.access import AccessAuthorizer, IssuesAccess
from jobservice.engine.endpoint import Endpoint
from jobservice.gateways import Access, Action
from oci_client.http import TlsOptions
from oci_client.singleflight import SingleFlight

LOOKED_UP_TTL_S: Final = 5.0  # how long a changed registry may go unnoticed by jobs that begin
IDLE_TTL_S: Final = 300.0  # an endpoint that no job has used for so long is closed

_Identity = tuple[str, str, bool, str, int]


@dataclass(slots=True)
class _Opened:
    endpoint: Endpoint
    authorizer: AccessAuthorizer
    users: int = 0
    used_at: float = 0.0


class Registries:
    """Opens endpoints by the names of registries. Close it at the end."""

    def __init__(self, access: IssuesAccess, *, on_hold: Callable[[str, float], None] = lambda _uid, _s: None) -> None:
        self._access = access
        self._on_hold = on_hold
        self._looked_up: dict[str, tuple[Access, float]] = {}
        self._looking_up: SingleFlight[str, Access] = SingleFlight()
        self._opened: dict[_Identity, _Opened] = {}

    @asynccontextmanager
    async def use(self, registry: str, repository: str, *actions: Action) -> AsyncIterator[Endpoint]:
        """Give the endpoint of `registry`, for these actions on a repository. Raises the ServiceErrors of IssueAccess.

        A registry whose URL, certificate or limit has changed gets a new endpoint; jobs under way keep the old one.
        """
        opened = self._open(registry, await self._look_up(registry))
        opened.authorizer.widen(repository, actions)
        opened.users += 1
        try:
            yield opened.endpoint
        finally:
            opened.users -= 1
            opened.used_at = time.monotonic()
            await self._close_idle()

    def hold(self, uid: str, seconds: float) -> None:
        """Send nothing to a registry for so long: another worker was asked for that."""
        for each in self._opened.values():
            if each.endpoint.uid == uid:
                each.endpoint.gate.hold(seconds)

    async def close(self) -> None:
        """Close every endpoint."""
        opened, self._opened = self._opened, {}
        for each in opened.values():
            await each.endpoint.close()

    async def _look_up(self, registry: str) -> Access:
        known = self._looked_up.get(registry)
        if known is not None and time.monotonic() - known[1] < LOOKED_UP_TTL_S:
            return known[0]
        access = await self._looking_up.run(registry, lambda: self._access.issue_access(registry, []))
        self._looked_up[registry] = (access, time.monotonic())
        return access

    def _open(self, registry: str, access: Access) -> _Opened:
        limit = access.max_bytes_per_second
        identity = (access.registry_uid, access.url, access.insecure, access.ca_certificate, limit)
        if identity not in self._opened:
            authorizer = AccessAuthorizer(registry, self._access)
            tls = TlsOptions(insecure=access.insecure, ca_certificate=access.ca_certificate or None)
            endpoint = Endpoint.open(
                uid=access.registry_uid,
                url=access.url,
                tls=tls,
                authorizer=authorizer,
                on_hold=partial(self._on_hold, access.registry_uid),
                max_bytes_per_second=limit,
            )
            self._opened[identity] = _Opened(endpoint, authorizer)
        return self._opened[identity]

    async def _close_idle(self) -> None:
        now = time.monotonic()
        idle = [key for key, each in self._opened.items() if not each.users and now - each.used_at > IDLE_TTL_S]
        for key in idle:
            await self._opened.pop(key).endpoint.close()
