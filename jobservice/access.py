"""Authorization for the engine: short-lived values from registry_svc, each fetched once for all who need it."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, cast, get_args

from jobservice.engine.backoff import AccessRefused
from jobservice.gateways import Access, AccessKind, Action, RepositoryScope
from oci_client.auth import Scope
from oci_client.singleflight import SingleFlight
from service_kit.errors import Kind, ServiceError

RENEW_AHEAD_S: Final = 20.0  # a value that is handed out must outlive the request that it is for
SHARED_VALUE_TTL_S: Final = 300.0  # of Basic and anonymous access, so that a changed credential is noticed
MAX_VALUES: Final = 2_000  # of one registry; one for each repository, and one for each pair that is mounted

# Reasons for which a later attempt may do better.
_PASSING: Final = frozenset({"REGISTRY_UNREACHABLE", "REGISTRY_MISBEHAVED", "SERVICE_UNAVAILABLE", "SHUTTING_DOWN"})
_PASSING_KINDS: Final = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE_EXCEEDED})


class IssuesAccess(Protocol):
    """Where access comes from."""

    async def issue_access(self, registry: str, scopes: Sequence[RepositoryScope], rejected: str = "") -> Access: ...


class AccessAuthorizer:
    """Implements oci_client's Authorizer for one registry."""

    def __init__(self, registry: str, source: IssuesAccess, *, clock: Callable[[], float] = time.time) -> None:
        self._registry = registry
        self._source = source
        self._clock = clock
        self._widest: dict[str, frozenset[str]] = defaultdict(frozenset)
        self._values: dict[frozenset[Scope], tuple[str | None, float]] = {}
        self._shared: tuple[str | None, float] | None = None
        self._asking: SingleFlight[tuple[frozenset[Scope], str], str | None] = SingleFlight()

    def widen(self, repository: str, actions: Iterable[Action]) -> None:
        """Ask for these actions whenever the repository is concerned, so that one value serves all its requests."""
        self._widest[repository] |= frozenset(actions)

    async def authorize(self, scopes: frozenset[Scope], *, rejected: str | None = None) -> str | None:
        """Return the Authorization value for the scopes. Raises AccessRefused."""
        wanted = self._merged(scopes)
        known = self._shared or self._values.get(wanted)
        if known is not None and known[1] > self._clock() and (rejected is None or known[0] != rejected):
            return known[0]
        return await self._asking.run((wanted, rejected or ""), lambda: self._fetch(wanted, rejected or ""))

    def _merged(self, scopes: frozenset[Scope]) -> frozenset[Scope]:
        """Put what is asked for one repository together, with what it was widened to."""
        actions: dict[str, frozenset[str]] = {}
        for scope in scopes:
            actions[scope.name] = actions.get(scope.name, frozenset()) | scope.actions | self._widest[scope.name]
        return frozenset(Scope(name=name, actions=wanted) for name, wanted in actions.items())

    async def _fetch(self, scopes: frozenset[Scope], rejected: str) -> str | None:
        try:
            access = await self._source.issue_access(self._registry, [_scope(scope) for scope in scopes], rejected)
        except ServiceError as error:
            raise _refused(error) from error
        value = access.authorization.reveal() or None
        if access.kind is not AccessKind.BEARER:
            self._shared = (value, self._clock() + SHARED_VALUE_TTL_S)
            return value
        self._shared = None
        if len(self._values) >= MAX_VALUES:
            self._values.clear()
        expires_at = access.expires_at.timestamp() - RENEW_AHEAD_S if access.expires_at else float("inf")
        self._values[scopes] = (value, expires_at)
        return value


def _scope(scope: Scope) -> RepositoryScope:
    known = frozenset(get_args(Action))
    return RepositoryScope(repository=scope.name, actions=cast("frozenset[Action]", scope.actions & known))


def passing(error: ServiceError) -> bool:
    """Tell whether access may be had a little later."""
    return error.kind in _PASSING_KINDS or error.reason in _PASSING


def _refused(error: ServiceError) -> AccessRefused:
    return AccessRefused(error.message, reason=error.reason, retryable=passing(error))
