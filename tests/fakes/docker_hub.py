"""Docker Hub for tests: its API on one port, its registry on another, or both on one."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_urlsafe
from typing import Any, Self
from urllib.parse import urlencode

from oci_client.testing import BearerAuth, BuiltManifest, FakeRegistry, an_image
from oci_client.testing.messages import RegistryError, Reply, Request
from oci_client.testing.products import distribution_2
from oci_client.testing.store import Repository

MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10
MAX_BODY_BYTES = 64 * 1024
FIRST_PUSH = datetime(2026, 1, 1, tzinfo=UTC)

_NAMESPACE = r"/v2/namespaces/(?P<namespace>[^/]+)/repositories"
_REPOSITORY = rf"{_NAMESPACE}/(?P<repository>[^/]+)"
_OLD_REPOSITORY = r"/v2/repositories/(?P<namespace>[^/]+)/(?P<repository>[^/]+)"


@dataclass(slots=True)
class FakeDockerHub:
    """`async with FakeDockerHub() as hub`, then `hub.api.url` and `hub.registry.url`; both count and misbehave."""

    username: str = "someone"
    password: str = "dckr_pat_secret"
    organisations: dict[str, bool] = field(default_factory=dict)
    """Organisations by name, and whether our user is a member."""
    private: set[str] = field(default_factory=set)
    """Repositories that only our user sees."""
    private_left: int = 1000
    """How many more the plan allows."""
    legacy: set[tuple[str, str]] = field(default_factory=set)
    """Tags, by repository and name, from before the API told digests of tags."""
    push_times: dict[tuple[str, str], datetime] = field(default_factory=dict)
    api: FakeRegistry = field(init=False)
    registry: FakeRegistry = field(init=False)
    tokens: set[str] = field(default_factory=set)
    tokens_issued: int = 0

    def __post_init__(self) -> None:
        product = distribution_2()
        auth = BearerAuth(
            username=self.username, password=self.password, service="registry.docker.io", anonymous_pull=True
        )
        self.registry = FakeRegistry(auth=auth, behaviour=product.behaviour, rules=product.rules, api=self._api)
        self.api = FakeRegistry(api=self._api)

    async def __aenter__(self) -> Self:
        await self.registry.start()
        await self.api.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.registry.stop()
        await self.api.stop()

    def expire_tokens(self) -> None:
        """The API takes none of its tokens any more; those of the registry stay good."""
        self.tokens.clear()

    def push(self, repository: str, built: BuiltManifest, *tags: str, days: float = 0) -> str:
        """Puts content in, `days` after the first day of this Hub."""
        self.push_times |= {(repository, tag): FIRST_PUSH + timedelta(days=days) for tag in tags}
        return self.registry.push(repository, built, *tags)

    def push_image(self, repository: str, *tags: str, seed: int = 0, **more: Any) -> str:
        return self.push(repository, an_image((16,), seed=seed), *tags, **more)

    async def _api(self, request: Request) -> Reply:
        for method, pattern, answer in (
            ("POST", r"/v2/auth/token", self._log_in),
            ("GET", r"/v2/repositories/namespaces", self._list_namespaces),
            ("GET", r"/v2/orgs/(?P<name>[^/]+)/", self._get_organisation),
            ("GET", _NAMESPACE, self._list_repositories),
            ("POST", _NAMESPACE, self._create_repository),
            ("GET", _REPOSITORY, self._get_repository),
            ("GET", rf"{_REPOSITORY}/tags", self._list_tags),
            ("GET", rf"{_REPOSITORY}/tags/(?P<tag>[^/]+)", self._get_tag),
            ("DELETE", rf"{_OLD_REPOSITORY}/tags/(?P<tag>[^/]+)/", self._delete_tag),
        ):
            if request.method == method and (found := re.fullmatch(pattern, request.path)):
                return await answer(request, **found.groupdict())
        return _message(404, "httperror 404: object not found")

    async def _log_in(self, request: Request) -> Reply:
        body = json.loads(await request.read(MAX_BODY_BYTES))
        if (body["identifier"], body["secret"]) != (self.username, self.password):
            return Reply.json(401, {"detail": "Incorrect authentication credentials"})
        token = token_urlsafe(16)
        self.tokens.add(token)
        self.tokens_issued += 1
        return Reply.json(200, {"access_token": token})

    async def _list_namespaces(self, request: Request) -> Reply:
        if not self._is_user(request):
            return _unauthorized()
        return Reply.json(
            200, {"namespaces": [self.username, *(name for name, own in self.organisations.items() if own)]}
        )

    async def _get_organisation(self, request: Request, name: str) -> Reply:
        self._check(request)
        if name not in self.organisations:
            return _message(404, f"httperror 404: Not Found: orgname {name}")
        return Reply.json(200, {"orgname": name, "full_name": name, "type": "Organization"})

    async def _list_repositories(self, request: Request, namespace: str) -> Reply:
        self._check(request)
        names = [name for name in self.registry.store.names if name.startswith(f"{namespace}/")]
        return self._paged(request, [_described(name, self.private) for name in names if self._sees(request, name)])

    async def _get_repository(self, request: Request, namespace: str, repository: str) -> Reply:
        return Reply.json(200, _described(self._find(request, f"{namespace}/{repository}").name, self.private))

    async def _create_repository(self, request: Request, namespace: str) -> Reply:
        if not self._is_user(request):
            return _unauthorized()
        body = json.loads(await request.read(MAX_BODY_BYTES))
        name = f"{namespace}/{body['name']}"
        if self.registry.store.find(name):
            return _message(400, "Repository with this name already exists in namespace")
        if namespace != self.username and not self.organisations.get(namespace):
            return _message(403, "insufficient permissions")
        if body["is_private"] and self.private_left <= 0:
            return _message(400, "You have reached your limit of private repositories")
        self.registry.store.repository(name)
        if body["is_private"]:
            self.private.add(name)
            self.private_left -= 1
        return Reply.json(201, _described(name, self.private))

    async def _list_tags(self, request: Request, namespace: str, repository: str) -> Reply:
        found = self._find(request, f"{namespace}/{repository}")
        newest_first = sorted(found.tags, key=lambda tag: (self._pushed(found, tag), tag), reverse=True)
        return self._paged(request, [self._tag(found, tag) for tag in newest_first])

    async def _get_tag(self, request: Request, namespace: str, repository: str, tag: str) -> Reply:
        found = self._find(request, f"{namespace}/{repository}")
        if tag not in found.tags:
            return _message(404, f"httperror 404: tag '{tag}' not found")
        return Reply.json(200, self._tag(found, tag))

    async def _delete_tag(self, request: Request, namespace: str, repository: str, tag: str) -> Reply:
        if not self._is_user(request):
            return _unauthorized()
        found = self._find(request, f"{namespace}/{repository}")
        if found.tags.pop(tag, None) is None:
            return _message(404, f"httperror 404: tag '{tag}' not found")
        return Reply.of(204)

    def _find(self, request: Request, name: str) -> Repository:
        self._check(request)
        found = self.registry.store.find(name)
        if found is None or not self._sees(request, name):
            raise RegistryError(404, "NOT_FOUND", "httperror 404: object not found")
        return found

    def _check(self, request: Request) -> None:
        """Nobody need be known, but a token that is sent must be good."""
        if request.header("Authorization") is not None and not self._is_user(request):
            raise RegistryError(401, "UNAUTHORIZED", "unauthorized")

    def _is_user(self, request: Request) -> bool:
        return (request.header("Authorization") or "").removeprefix("Bearer ") in self.tokens

    def _sees(self, request: Request, name: str) -> bool:
        return name not in self.private or self._is_user(request)

    def _pushed(self, repository: Repository, tag: str) -> datetime:
        return self.push_times.get((repository.name, tag), FIRST_PUSH)

    def _tag(self, repository: Repository, tag: str) -> dict[str, Any]:
        digest = repository.tags[tag]
        manifest = repository.manifests[digest]
        pushed = self._pushed(repository, tag).isoformat(timespec="microseconds").replace("+00:00", "Z")
        images = [
            {"architecture": "amd64", "os": "linux", "digest": each} for each in (*manifest.child_digests, digest)
        ]
        told = {} if (repository.name, tag) in self.legacy else {"digest": digest, "media_type": manifest.media_type}
        return {
            "name": tag,
            "full_size": 1024,
            "images": images[:-1] or images,
            "last_updated": pushed,
            "tag_last_pushed": pushed,
            "tag_status": "active",
            "v2": True,
        } | told

    def _paged(self, request: Request, items: Sequence[object]) -> Reply:
        """A page beyond the last is not found, and a page is never longer than 100."""
        page = int(request.param("page") or 1)
        size = min(int(request.param("page_size") or DEFAULT_PAGE_SIZE), MAX_PAGE_SIZE)
        start = (page - 1) * size
        if page > 1 and start >= len(items):
            return _message(404, "httperror 404: object not found")
        base = f"{request.registry_url}{request.path}"
        following = f"{base}?{urlencode({'page': page + 1, 'page_size': size})}" if start + size < len(items) else None
        previous = f"{base}?{urlencode({'page': page - 1, 'page_size': size})}" if page > 1 else None
        results = list(items[start : start + size])
        return Reply.json(200, {"count": len(items), "next": following, "previous": previous, "results": results})


def _described(name: str, private: set[str]) -> dict[str, Any]:
    namespace, _, repository = name.partition("/")
    return {"user": namespace, "name": repository, "namespace": namespace, "is_private": name in private}


def _message(status: int, text: str) -> Reply:
    return Reply.json(status, {"message": text, "errinfo": {}})


def _unauthorized() -> Reply:
    return Reply.json(401, {"detail": "authentication required"})
