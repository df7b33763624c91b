"""Finds out what a registry wants by its challenge, and gets the tokens that it wants."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from oci_client.answers import registry_error
from oci_client.auth import Authorization, AuthorizationKind, Credential, Scope
from oci_client.challenge import BASIC, Challenge, parse_challenges, preferred
from oci_client.gate import Action, Gate
from oci_client.gated_http import GatedHttp
from oci_client.http import Answer, HttpClient
from oci_client.singleflight import SingleFlight
from oci_client.tokens import TokenEndpoint, TokenStore, refuse_plaintext

_ABSENT_STATUSES: Final = frozenset({404, 405})  # the ping is optional; the resource itself will tell


@dataclass(frozen=True, slots=True)
class _Open:
    """The registry asked for nothing."""


@dataclass(frozen=True, slots=True)
class _Basic:
    """The registry asked for the credential itself."""


_Method = _Open | _Basic | TokenEndpoint


class ChallengeAuthorizer:
    """Authorizes for one registry with one credential, or anonymously.

    It asks `/v2/` once, before the first request, how to authenticate: not at all, by the credential itself, or by
    tokens. Registries that let everybody see `/v2/` and challenge at the repository are learned when they do.
    `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        http: HttpClient,
        base_url: str,
        credential: Credential | None = None,
        *,
        clock: Callable[[], float] = time.time,
        gate: Gate | None = None,
    ) -> None:
        self._http = GatedHttp(http, gate)
        self._base_url = base_url.rstrip("/")
        self._credential = credential
        self._tokens = TokenStore(self._http, credential, clock)
        self._method: _Method | None = None
        self._pings: SingleFlight[str, _Method] = SingleFlight()

    async def authorize(self, scopes: frozenset[Scope], *, rejected: str | None = None) -> str | None:
        """Return the header's value for `scopes`; never again a token that was `rejected`."""
        authorization = await self.issue(scopes, rejected=rejected)
        return authorization.value if authorization else None

    async def issue(self, scopes: frozenset[Scope], *, rejected: str | None = None) -> Authorization | None:
        """Return the Authorization for `scopes` with its expiry, None when nothing is to be sent.

        Raises a RegistryError when the token service refuses.
        """
        method = self._method or await self._pings.run(self._base_url, self._ask)
        match method:
            case _Open():
                return None
            case _Basic():
                return self._basic()
            case TokenEndpoint():
                return await self._tokens.get(method, scopes, rejected=rejected)

    def challenged(self, challenges: Sequence[Challenge]) -> None:
        """Learn from the 401 of a resource. What it says replaces what `/v2/` said."""
        challenge = preferred(challenges)
        if challenge is not None:
            self._method = self._method_for(challenge)

    def _basic(self) -> Authorization | None:
        if self._credential is None:
            return None
        return Authorization(value=self._credential.basic, kind=AuthorizationKind.BASIC)

    async def _ask(self) -> _Method:
        url = f"{self._base_url}/v2/"
        answer = await self._http.request(Action.PING, "GET", url)
        method = self._read_ping(url, answer)
        # A resource may have challenged meanwhile, and knows better.
        self._method = self._method or method
        return self._method

    def _read_ping(self, url: str, answer: Answer) -> _Method:
        if answer.status == 401:
            challenge = preferred(parse_challenges(answer.headers.all("www-authenticate")))
            return self._method_for(challenge) if challenge else _Open()
        if answer.status < 400 or answer.status in _ABSENT_STATUSES:
            return _Open()
        raise registry_error("GET", url, answer.status, answer.headers, answer.body)

    def _method_for(self, challenge: Challenge) -> _Method:
        if challenge.scheme == BASIC:
            return _Basic()
        endpoint = TokenEndpoint.from_challenge(challenge, f"{self._base_url}/v2/")
        if self._credential is not None:
            refuse_plaintext(endpoint, self._base_url)
        return endpoint
