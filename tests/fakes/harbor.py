"""A Harbor 2 for tests: its projects API as documented, on top of a registry of ours that plays its distribution."""

import json
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from urllib.parse import unquote, urlencode

from oci_client.testing import BearerAuth, BuiltManifest, FakeRegistry, Match, Rule, an_image
from oci_client.testing.messages import Handler, RegistryError, Reply, Request
from oci_client.testing.products import distribution_2
from oci_client.testing.store import Manifest, Repository

BASE = "/api/v2.0"
MAX_PAGE_SIZE = 100
DEFAULT_PAGE_SIZE = 10
MAX_BODY_BYTES = 64 * 1024
CHART_CONFIG = "application/vnd.cncf.helm.config.v1+json"
FIRST_PUSH = datetime(2026, 1, 1, tzinfo=UTC)

_TYPES = {CHART_CONFIG: "CHART"}
_PROJECT_NAME = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*")
_NAMES_IN_QUERY = re.compile(r"name=\{(.*)\}")
_PROJECT = rf"{BASE}/projects/(?P<project>[^/]+)"
_REPOSITORY = rf"{_PROJECT}/repositories/(?P<repository>[^/]+)"


@dataclass(slots=True, kw_only=True)
class FakeProject:
    """A project. With a `registry_id` it is a proxy cache; a hidden one is not listed for our user."""

    public: bool = False
    registry_id: int | None = None
    hidden: bool = False


@dataclass(slots=True)
class FakeHarbor:
    """`async with FakeHarbor() as harbor`, then `harbor.url`; `harbor.registry` counts requests and misbehaves."""

    username: str = "admin"
    password: str = "Harbor12345"
    version: str = "v2.0"
    creates_projects: bool = True
    """Whether our user may; a robot may not, unless it was allowed to."""
    projects: dict[str, FakeProject] = field(default_factory=dict)
    unhealthy: frozenset[str] = frozenset()
    """Components that the health page complains of."""
    labels: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """Labels by repository and digest."""
    push_times: dict[tuple[str, str], datetime] = field(default_factory=dict)
    """When a tag, or an untagged digest, of a repository was pushed."""
    registry: FakeRegistry = field(init=False)
    _auth: BearerAuth = field(init=False)

    def __post_init__(self) -> None:
        self._auth = BearerAuth(
            username=self.username, password=self.password, service="harbor-registry", anonymous_pull=True
        )
        product = distribution_2()
        rules = (*product.rules, Rule(effect=self._guarded, match=Match(where=_writes)))
        self.registry = FakeRegistry(auth=self._auth, behaviour=product.behaviour, rules=rules, api=self._api)

    async def __aenter__(self) -> Self:
        await self.registry.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.registry.stop()

    @property
    def url(self) -> str:
        return self.registry.url

    def add_project(self, name: str, **kind: Any) -> None:
        self.projects[name] = FakeProject(**kind)

    def push(
        self, repository: str, built: BuiltManifest, *tags: str, labels: Sequence[str] = (), days: float = 0
    ) -> str:
        """Puts content in, `days` after the first day of this Harbor, with its project if need be."""
        self.projects.setdefault(repository.partition("/")[0], FakeProject())
        digest = self.registry.push(repository, built, *tags)
        self.push_times |= {(repository, each): FIRST_PUSH + timedelta(days=days) for each in (*tags, digest)}
        if labels:
            self.labels[repository, digest] = tuple(labels)
        return digest

    def push_image(self, repository: str, *tags: str, seed: int = 0, **more: Any) -> str:
        return self.push(repository, an_image((16,), seed=seed), *tags, **more)

    def push_chart(self, repository: str, *tags: str) -> str:
        """A chart of Helm, as far as its manifest goes."""
        chart = an_image((16,))
        body = chart.manifest.replace(b"application/vnd.oci.image.config.v1+json", CHART_CONFIG.encode())
        return self.push(repository, replace(chart, manifest=body), *tags)

    def change_password(self, password: str) -> None:
        """Tokens that are out stay good until they expire, as in Harbor."""
        self.password = password
        self._auth.password = password

    async def _guarded(self, request: Request, handler: Handler) -> Reply:
        """Nothing is pushed to a project that is not there, or that is a proxy cache."""
        name = request.repository.partition("/")[0]
        project = self.projects.get(name)
        if project is None:
            return RegistryError(404, "NOT_FOUND", f"project {name} not found").reply()
        if project.registry_id:
            return RegistryError(405, "METHOD_NOT_ALLOWED", "can not push artifact to a proxy project").reply()
        return await handler(request)

    async def _api(self, request: Request) -> Reply:
        for method, pattern, answer in (
            ("GET", r"/api/version", self._version),
            ("GET", rf"{BASE}/health", self._health),
            ("GET", rf"{BASE}/projects", self._list_projects),
            ("POST", rf"{BASE}/projects", self._create_project),
            ("GET", rf"{_PROJECT}/repositories", self._list_repositories),
            ("GET", rf"{_REPOSITORY}/artifacts", self._list_artifacts),
            ("GET", rf"{_REPOSITORY}/artifacts/(?P<reference>[^/]+)", self._get_artifact),
            ("DELETE", rf"{_REPOSITORY}/artifacts/(?P<reference>[^/]+)/tags/(?P<tag>[^/]+)", self._delete_tag),
        ):
            if request.method == method and (found := re.fullmatch(pattern, request.path)):
                return await answer(request, **found.groupdict())
        raise RegistryError(404, "NOT_FOUND", f"path {request.path} not found")

    async def _version(self, request: Request) -> Reply:
        if self.version.startswith("v1"):
            raise RegistryError(404, "NOT_FOUND", "page not found")
        return Reply.json(200, {"version": self.version})

    async def _health(self, request: Request) -> Reply:
        names = ("core", "database", "jobservice", "portal", "redis", "registry", "registryctl", "trivy")
        status = {name: "unhealthy" if name in self.unhealthy else "healthy" for name in names}
        components = [{"name": name, "status": each} for name, each in status.items()]
        return Reply.json(200, {"status": "unhealthy" if self.unhealthy else "healthy", "components": components})

    async def _list_projects(self, request: Request) -> Reply:
        """Who brings no good password is nobody, and sees what is public."""
        found = [name for name, project in sorted(self.projects.items()) if self._sees(request, project)]
        if query := request.param("q"):
            asked = _NAMES_IN_QUERY.fullmatch(query)
            if asked is None:
                raise RegistryError(400, "BAD_REQUEST", "invalid query")
            names = [name.strip("'") for name in asked[1].split()]
            found = [name for name in found if name in names]
        return self._paged(request, [self._project(name) for name in found])

    async def _create_project(self, request: Request) -> Reply:
        if not self._is_user(request):
            raise RegistryError(401, "UNAUTHORIZED", "unauthorized")
        if not self.creates_projects:
            raise RegistryError(403, "FORBIDDEN", "forbidden")
        body = json.loads(await request.read(MAX_BODY_BYTES))
        name = body["project_name"]
        if not _PROJECT_NAME.fullmatch(name):
            raise RegistryError(400, "BAD_REQUEST", "project name is not legal")
        if name in self.projects:
            raise RegistryError(409, "CONFLICT", f"The project named {name} already exists")
        self.add_project(name, public=body["metadata"]["public"] == "true")
        return Reply.of(201, location=f"{BASE}/projects/{len(self.projects)}")

    async def _list_repositories(self, request: Request, project: str) -> Reply:
        self._visible(request, project)
        names = [name for name in self.registry.store.names if name.startswith(f"{project}/")]
        return self._paged(request, [{"name": name, "artifact_count": 1} for name in names])

    async def _list_artifacts(self, request: Request, project: str, repository: str) -> Reply:
        found = self._repository(request, project, repository)
        children = {digest for manifest in found.manifests.values() for digest in manifest.child_digests}
        tagged = set(found.tags.values())
        listed = [
            manifest
            for manifest in found.manifests.values()
            if manifest.digest in tagged or not (manifest.subject or manifest.digest in children)
        ]
        artifacts = [self._artifact(request, found, manifest) for manifest in listed]
        artifacts.sort(key=lambda each: (each["push_time"], each["digest"]), reverse=True)
        return self._paged(request, artifacts)

    async def _get_artifact(self, request: Request, project: str, repository: str, reference: str) -> Reply:
        found = self._repository(request, project, repository)
        manifest = found.find(reference)
        if manifest is None:
            raise RegistryError(404, "NOT_FOUND", f"artifact {found.name}:{reference} not found")
        return Reply.json(200, self._artifact(request, found, manifest))

    async def _delete_tag(self, request: Request, project: str, repository: str, reference: str, tag: str) -> Reply:
        found = self._repository(request, project, repository)
        manifest = found.find(reference)
        if manifest is None or found.tags.get(tag) != manifest.digest:
            raise RegistryError(404, "NOT_FOUND", f"tag {tag} attached to {reference} not found")
        del found.tags[tag]
        return Reply.of(200)

    def _repository(self, request: Request, project: str, repository: str) -> Repository:
        """Slashes of a repository's name are escaped twice; the server has undone it once."""
        self._visible(request, project)
        found = self.registry.store.find(f"{project}/{unquote(repository)}")
        if found is None:
            raise RegistryError(404, "NOT_FOUND", f"repository {project}/{unquote(repository)} not found")
        return found

    def _visible(self, request: Request, name: str) -> None:
        project = self.projects.get(name)
        if project is None or not self._sees(request, project):
            raise RegistryError(403 if self._is_user(request) else 401, "FORBIDDEN", "forbidden")

    def _sees(self, request: Request, project: FakeProject) -> bool:
        return project.public or (self._is_user(request) and not project.hidden)

    def _is_user(self, request: Request) -> bool:
        basic = b64encode(f"{self.username}:{self.password}".encode()).decode()
        return request.header("Authorization") == f"Basic {basic}"

    def _project(self, name: str) -> dict[str, Any]:
        project = self.projects[name]
        public = "true" if project.public else "false"
        kind = {"registry_id": project.registry_id} if project.registry_id else {}
        return {
            "project_id": sorted(self.projects).index(name) + 1,
            "name": name,
            "metadata": {"public": public},
        } | kind

    def _artifact(self, request: Request, repository: Repository, manifest: Manifest) -> dict[str, Any]:
        tags = sorted(tag for tag, digest in repository.tags.items() if digest == manifest.digest)
        config = manifest.document.get("config") or {}
        artifact: dict[str, Any] = {
            "type": _TYPES.get(str(config.get("mediaType")), "IMAGE"),
            "digest": manifest.digest,
            "push_time": self._push_time(repository.name, manifest.digest),
            # Go writes an empty list as null.
            "tags": [{"name": tag, "push_time": self._push_time(repository.name, tag)} for tag in tags] or None,
            "references": [{"child_digest": digest} for digest in manifest.child_digests] or None,
        }
        if request.param("with_label") == "true":
            names = self.labels.get((repository.name, manifest.digest), ())
            artifact["labels"] = [{"name": name, "scope": "g"} for name in names] or None
        if request.param("with_accessory") == "true":
            referrers = repository.referrers(manifest.digest)
            artifact["accessories"] = [
                {"digest": each.digest, "type": "signature.cosign", "subject_artifact_digest": manifest.digest}
                for each in referrers
            ] or None
        return artifact

    def _push_time(self, repository: str, reference: str) -> str:
        when = self.push_times.get((repository, reference), FIRST_PUSH)
        return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def _paged(self, request: Request, items: Sequence[object]) -> Reply:
        page = int(request.param("page") or 1)
        size = int(request.param("page_size") or DEFAULT_PAGE_SIZE)
        if not 0 < size <= MAX_PAGE_SIZE or page < 1:
            raise RegistryError(422, "UNPROCESSABLE_ENTITY", f"page_size in query should be at most {MAX_PAGE_SIZE}")
        reply = Reply.json(200, list(items[(page - 1) * size : page * size]))
        reply = reply.with_header("X-Total-Count", str(len(items)))
        if page * size >= len(items):
            return reply
        others = ((name, value) for name, values in request.query.items() for value in values)
        query = urlencode(dict(others) | {"page": page + 1, "page_size": size})
        return reply.with_header("Link", f'<{request.path}?{query}>; rel="next"')


def _writes(request: Request) -> bool:
    return request.repository != "" and request.method in {"POST", "PUT", "PATCH"}
