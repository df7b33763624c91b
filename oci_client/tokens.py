"""Bearer tokens: how they are asked for, and how long they are kept."""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlencode, urlsplit

from oci_client.answers import registry_error, without_query
from oci_client.auth import Authorization, AuthorizationKind, Credential, Scope
from oci_client.challenge import Challenge
from oci_client.errors import UnexpectedAnswer
from oci_client.exchange import json_object
from oci_client.gate import Action
from oci_client.gated_http import GatedHttp
from oci_client.http import Answer, join
from oci_client.singleflight import SingleFlight

DEFAULT_LIFETIME_S: Final = 60.0  # by the token specification, when `expires_in` is missing
RENEW_AHEAD_S: Final = 10.0  # time for the request to reach the registry, which has a clock of its own
MAX_TOKENS: Final = 512  # a job touches a few repositories; a listing of a whole registry must not grow without end
MAX_TOKEN_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenEndpoint:
    """Where tokens come from, as the challenge says."""

    realm: str
    service: str = ""

    @classmethod
    def from_challenge(cls, challenge: Challenge, registry_url: str) -> Self:
        """Read a bearer challenge; raises UnexpectedAnswer when it has no usable realm."""
        realm = challenge.params.get("realm", "")
        if not realm:
            raise UnexpectedAnswer(f"{without_query(registry_url)} asks for a token and does not say where to get it")
        return cls(realm=join(registry_url, realm), service=challenge.params.get("service", ""))

    def url(self, scopes: frozenset[Scope]) -> str:
        """Return the URL to get a token for `scopes` from; the realm may have a query of its own."""
        query = [("service", self.service)] if self.service else []
        query += [("scope", text) for text in sorted(map(str, scopes))]
        if not query:
            return self.realm
        return f"{self.realm}{'&' if '?' in self.realm else '?'}{urlencode(query)}"


_Key = tuple[TokenEndpoint, frozenset[Scope]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    authorization: Authorization
    renew_at: float


class TokenStore:
    """Gets tokens and keeps them until shortly before they expire.

    Askers for the same scopes at the same time share one request: token services have rate limits too.
    """

    def __init__(self, http: GatedHttp, credential: Credential | None, clock: Callable[[], float]) -> None:
        self._http = http
        self._credential = credential
        self._clock = clock
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._fetches: SingleFlight[_Key, Authorization] = SingleFlight()

    async def get(
        self, endpoint: TokenEndpoint, scopes: frozenset[Scope], *, rejected: str | None = None
    ) -> Authorization:
        """Return a token for `scopes` that is not `rejected`, from memory if there is one."""
        key = (endpoint, scopes)
        kept = self._kept.get(key)
        if kept and kept.authorization.value != rejected and self._clock() < kept.renew_at:
            self._kept.move_to_end(key)
            return kept.authorization
        return await self._fetches.run(key, lambda: self._renew(key))

    async def _renew(self, key: _Key) -> Authorization:
        asked_at = self._clock()
        token, lifetime_s = await self._fetch(*key)
        # Counted from before the request on our own clock: `issued_at` is on a clock that may differ.
        expires_at = asked_at + lifetime_s
        authorization = Authorization(value=f"Bearer {token}", kind=AuthorizationKind.BEARER, expires_at=expires_at)
        self._keep(key, _Kept(authorization=authorization, renew_at=expires_at - min(RENEW_AHEAD_S, lifetime_s / 2)))
        return authorization

    def _keep(self, key: _Key, kept: _Kept) -> None:
        self._kept[key] = kept
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_TOKENS:
            self._kept.popitem(last=False)

    async def _fetch(self, endpoint: TokenEndpoint, scopes: frozenset[Scope]) -> tuple[str, float]:
        url = endpoint.url(scopes)
        headers = {"Authorization": self._credential.basic} if self._credential else {}
        answer = await self._http.request(Action.TOKEN, "GET", url, headers=headers, max_body=MAX_TOKEN_BYTES)
        if answer.status != 200:
            raise registry_error("GET", url, answer.status, answer.headers, answer.body)
        return _read_token(answer)


def refuse_plaintext(endpoint: TokenEndpoint, registry_url: str) -> None:
    """Raise UnexpectedAnswer if a registry with TLS sends the credential to a token service without."""
    if urlsplit(registry_url).scheme == "https" and urlsplit(endpoint.realm).scheme != "https":
        raise UnexpectedAnswer(f"{without_query(registry_url)} names a token service without TLS")


def _read_token(answer: Answer) -> tuple[str, float]:
    document = json_object(answer)
    token = document.get("token") or document.get("access_token")
    # A line break in it would let the token service write headers of ours.
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise UnexpectedAnswer(f"{without_query(answer.url)} answers without a token")
    lifetime = document.get("expires_in")
    if not isinstance(lifetime, int | float) or not 0 < lifetime < math.inf:
        lifetime = DEFAULT_LIFETIME_S
    return token, float(lifetime)
