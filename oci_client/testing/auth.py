"""Who may do what: nobody is asked, a password is, or a token from the registry's own token endpoint."""

import base64
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import Literal, Protocol
from urllib.parse import parse_qs

from oci_client.testing.messages import Action, RegistryError, Reply, Request

Scope = tuple[str, str, str]
"""Type, name and a single action: `("repository", "library/busybox", "pull")`."""

MAX_FORM_BYTES = 64 * 1024
_OPEN_ACTIONS = frozenset({Action.TOKEN, Action.STORAGE})
_ACTIONS_BY_METHOD = {"GET": ("pull",), "HEAD": ("pull",), "DELETE": ("delete",)}
_WRITE_ACTIONS = ("pull", "push")


class Auth(Protocol):
    """What the registry asks of its callers."""

    def check(self, request: Request) -> None:
        """Raises RegistryError with a challenge when the caller may not do this."""
        ...

    async def issue(self, request: Request) -> Reply:
        """Answers the token endpoint."""
        ...


class NoAuth:
    """Everyone may do everything."""

    def check(self, request: Request) -> None:
        pass

    async def issue(self, request: Request) -> Reply:
        raise RegistryError(404, "NOT_FOUND", request.path)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicAuth:
    """A user and a password with each request."""

    username: str
    password: str
    realm: str = "fake registry"

    def check(self, request: Request) -> None:
        if request.action not in _OPEN_ACTIONS and not _has_password(request, self.username, self.password):
            raise _unauthorized(f'Basic realm="{self.realm}"')

    async def issue(self, request: Request) -> Reply:
        raise RegistryError(404, "NOT_FOUND", request.path)


@dataclass(slots=True)
class _Grant:
    scopes: frozenset[Scope]
    expires_at: float
    uses_left: float


@dataclass(slots=True, kw_only=True)
class BearerAuth:
    """Opaque tokens for the scopes asked for, from `/token`."""

    username: str
    password: str
    service: str = "fake-registry"
    expires_in_s: float = 300
    uses_per_token: int | None = None
    """A token is revoked after so many requests, whatever its expiry says."""
    anonymous_pull: bool = False
    forbidden: frozenset[str] = frozenset()
    """Repositories for which nothing is ever granted."""
    token_field: Literal["token", "access_token"] = "token"  # noqa: S105 - the name of a field
    refresh_token: str | None = None
    """Given, the token endpoint also takes an OAuth2 POST with this refresh token; otherwise it answers 405."""
    _grants: dict[str, _Grant] = field(default_factory=dict)

    def revoke_tokens(self) -> None:
        """All tokens given out so far are void."""
        self._grants.clear()

    def check(self, request: Request) -> None:
        if request.action in _OPEN_ACTIONS:
            return
        needed = required_scopes(request)
        kind, _, token = (request.header("Authorization") or "").partition(" ")
        if kind.lower() != "bearer":
            raise self._challenge(request, needed)
        grant = self._grants.get(token)
        if grant is None or grant.expires_at <= time.monotonic() or grant.uses_left <= 0:
            raise self._challenge(request, needed, "invalid_token")
        if not grant.scopes.issuperset(needed):
            raise self._challenge(request, needed, "insufficient_scope")
        grant.uses_left -= 1

    async def issue(self, request: Request) -> Reply:
        """GET with Basic, or the OAuth2 POST when there is a refresh token."""
        if request.method == "POST":
            return self._issue_for_form(parse_qs((await request.read(MAX_FORM_BYTES)).decode()))
        known = _has_password(request, self.username, self.password)
        if not known and (request.header("Authorization") or not self.anonymous_pull):
            raise _unauthorized(f'Basic realm="{self.service}"')
        return self._grant(request.params("scope"), anonymous=not known)

    def _issue_for_form(self, form: dict[str, list[str]]) -> Reply:
        if self.refresh_token is None:
            raise RegistryError(405, "UNSUPPORTED", "no OAuth2 here")
        if form.get("grant_type") != ["refresh_token"] or form.get("refresh_token") != [self.refresh_token]:
            raise RegistryError(401, "UNAUTHORIZED", "refresh token refused")
        return self._grant(form.get("scope", ()), anonymous=False)

    def _grant(self, asked: Iterable[str], *, anonymous: bool) -> Reply:
        scopes = frozenset(scope for scope in _parse_scopes(asked) if self._may(scope, anonymous=anonymous))
        token = token_urlsafe(24)
        uses = float("inf") if self.uses_per_token is None else self.uses_per_token
        self._grants[token] = _Grant(scopes, time.monotonic() + self.expires_in_s, uses)
        return Reply.json(200, {self.token_field: token, "expires_in": self.expires_in_s})

    def _may(self, scope: Scope, *, anonymous: bool) -> bool:
        _, name, action = scope
        return name not in self.forbidden and (not anonymous or action == "pull")

    def _challenge(self, request: Request, needed: frozenset[Scope], error: str = "") -> RegistryError:
        parts = [f'realm="{request.registry_url}/token"', f'service="{self.service}"']
        if needed:
            parts.append(f'scope="{_spell_scopes(needed)}"')
        if error:
            parts.append(f'error="{error}"')
        return _unauthorized("Bearer " + ",".join(parts))


def required_scopes(request: Request) -> frozenset[Scope]:
    """What a token must hold for this request; a mount also reads the repository that it mounts from."""
    match request.action:
        case Action.PING | Action.UNKNOWN:
            return frozenset()
        case Action.CATALOG:
            return frozenset({("registry", "catalog", "*")})
    actions = _ACTIONS_BY_METHOD.get(request.method, _WRITE_ACTIONS)
    scopes = {("repository", request.repository, action) for action in actions}
    source = request.param("from") if request.action is Action.UPLOAD_START else None
    return frozenset(scopes | ({("repository", source, "pull")} if source else set()))


def _parse_scopes(asked: Iterable[str]) -> Iterable[Scope]:
    for scope in " ".join(asked).split():
        kind, _, rest = scope.partition(":")
        name, _, actions = rest.rpartition(":")
        yield from ((kind, name, action) for action in actions.split(","))


def _spell_scopes(scopes: frozenset[Scope]) -> str:
    names = sorted({(kind, name) for kind, name, _ in scopes})
    actions = {key: ",".join(sorted(action for *other, action in scopes if tuple(other) == key)) for key in names}
    return " ".join(f"{kind}:{name}:{actions[kind, name]}" for kind, name in names)


def _has_password(request: Request, username: str, password: str) -> bool:
    expected = base64.b64encode(f"{username}:{password}".encode()).decode()
    return request.header("Authorization") == f"Basic {expected}"


def _unauthorized(challenge: str) -> RegistryError:
    headers = {"WWW-Authenticate": challenge}
    return RegistryError(401, "UNAUTHORIZED", "authentication required", headers=headers)
