"""The part of Harbor's API v2.0 that replication needs. Versions before 2.0 have another one."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from oci_client.auth import Credential
from oci_client.errors import EndlessPaging, NotFound, UnexpectedAnswer, Unreachable
from oci_client.exchange import json_object
from oci_client.headers import next_link, whole_number
from oci_client.http import Answer, HttpClient
from registry_svc.adapters.rest import MAX_PAGES, JsonApi, document, known_digest, objects, text
from registry_svc.adapters.source import Artifact
from registry_svc.adapters.times import parse_time

PAGE_SIZE: Final = 100  # more is refused
NAMES_A_QUERY: Final = 50  # projects asked for by name in one request, whose URL stays below 8 KiB

_BASE: Final = "/api/v2.0"
# What replication stands on. The scanner, for one, may be down without harm.
_NEEDED_COMPONENTS: Final = frozenset({"core", "database", "redis", "registry"})
_DETAILS: Final = {"with_tag": "true", "with_label": "true", "with_accessory": "true"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project. What a proxy cache holds is another registry's."""

    name: str
    public: bool
    is_proxy_cache: bool


class BasicAuthorization:
    """The API takes the credential itself, that of a robot account too."""

    def __init__(self, credential: Credential | None) -> None:
        self._value = credential.basic if credential else None

    async def value(self, *, rejected: str | None = None) -> str | None:  # noqa: ARG002 - an Authorization
        return self._value


class HarborApi:
    """Asks one Harbor. Nothing is retried here; a repository is named with its project."""

    def __init__(self, http: HttpClient, url: str, credential: Credential | None) -> None:
        self._api = JsonApi(http, url, BasicAuthorization(credential))

    async def check(self) -> None:
        """Returns when this is a Harbor of a version that we speak to, and it is well.

        Raises:
            UnexpectedAnswer: it is none, or too old.
            Unreachable: a part of it that is needed is down.
        """
        try:
            version = json_object(await self._api.get("/api/version")).get("version")
        except NotFound as error:
            raise UnexpectedAnswer("it is no Harbor 2.0 or newer; Harbor 1.x has to be updated first") from error
        if version != "v2.0":
            raise UnexpectedAnswer(f"it is a Harbor with the API {version!r}, and this adapter speaks v2.0")
        answer = await self._api.get(f"{_BASE}/health")
        components = objects(json_object(answer).get("components"), answer)
        down = sorted(_NEEDED_COMPONENTS.intersection(_unhealthy(components)))
        if down:
            raise Unreachable(f"Harbor says that its {' and its '.join(down)} is not healthy")

    async def projects(self, names: Sequence[str] | None = None) -> AsyncGenerator[list[Project], None]:
        """Those of the names that exist and are shown to us, page by page; without names, all."""
        if names is None:
            pages = [self._pages("/projects", {})]
        else:
            groups = (names[start : start + NAMES_A_QUERY] for start in range(0, len(names), NAMES_A_QUERY))
            # In quotes, since a name of digits would be taken for a number.
            queries = ("name={" + " ".join(f"'{name}'" for name in group) + "}" for group in groups)
            pages = [self._pages("/projects", {"q": query, "with_detail": "false"}) for query in queries]
        for each in pages:
            async with aclosing(each) as answers:
                async for items, answer in answers:
                    found = [_project(item, answer) for item in items]
                    # Versions that do not know the query answer with all of them.
                    yield [project for project in found if names is None or project.name in names]

    async def repositories(self, project: str) -> AsyncGenerator[list[str], None]:
        async with aclosing(self._pages(f"/projects/{quote(project, safe='')}/repositories", {})) as pages:
            async for items, answer in pages:
                yield [text(item, "name", answer) for item in items]

    async def artifacts(self, repository: str) -> AsyncGenerator[list[Artifact], None]:
        """Every tag, and every artifact without one that belongs to nothing else.

        Signatures and the like are found through what they are about, so they are no artifacts of their own here.
        Which ones those are shows only at the end, so what may be one is held back until then.
        """
        accessories: set[str] = set()
        held: list[Artifact] = []
        async with aclosing(self._pages(f"{_path(repository)}/artifacts", _DETAILS)) as pages:
            async for items, answer in pages:
                accessories.update(_accessories(items, answer))
                found = [artifact for item in items for artifact in _artifacts(item, answer)]
                held += (each for each in found if may_be_attached(each))
                yield [each for each in found if not may_be_attached(each)]
        yield [each for each in held if each.digest not in accessories]

    async def artifact(self, repository: str, reference: str) -> list[Artifact]:
        """What a tag, or a digest with all of its tags, stands for; nothing when it is not there."""
        try:
            answer = await self._api.get(
                f"{_BASE}{_path(repository)}/artifacts/{quote(reference, safe='')}", **_DETAILS
            )
        except NotFound:
            return []
        found = _artifacts(json_object(answer), answer)
        return [each for each in found if reference in (each.tag, each.digest)]

    async def create_project(self, name: str, *, public: bool) -> None:
        """Raises Denied when the credential may not, and a RegistryError with 409 when it is there already."""
        body = {"project_name": name, "metadata": {"public": "true" if public else "false"}}
        await self._api.send("POST", f"{_BASE}/projects", document=body)

    async def delete_tag(self, repository: str, tag: str) -> None:
        """Deletes the tag; the artifact stays, and its other tags. Raises NotFound."""
        name = quote(tag, safe="")
        await self._api.send("DELETE", f"{_BASE}{_path(repository)}/artifacts/{name}/tags/{name}")

    async def _pages(
        self, path: str, query: Mapping[str, str]
    ) -> AsyncGenerator[tuple[Sequence[Mapping[str, Any]], Answer], None]:
        previous = b""
        for page in range(1, MAX_PAGES + 1):
            answer = await self._api.get(_BASE + path, **query, page=page, page_size=PAGE_SIZE)
            items = objects(document(answer), answer)
            if items and answer.body == previous:
                raise EndlessPaging(f"{path}: page {page} is the page before it")
            yield items, answer
            if not _has_more(answer, page, len(items)):
                return
            previous = answer.body
        raise EndlessPaging(f"{path}: more than {MAX_PAGES} pages")


def _path(repository: str) -> str:
    """Slashes within the repository's part are escaped twice, since proxies before Harbor undo it once."""
    project, _, name = repository.partition("/")
    return f"/projects/{quote(project, safe='')}/repositories/{quote(quote(name, safe=''), safe='')}"


def _has_more(answer: Answer, page: int, items: int) -> bool:
    """Harbor tells by Link and by a count; proxies have been seen to drop either. The link's host may be wrong."""
    if not items:
        return False
    total = whole_number(answer.headers.get("x-total-count"))
    if next_link(answer.headers) or (total is not None and page * PAGE_SIZE < total):
        return True
    return total is None and "link" not in answer.headers and items >= PAGE_SIZE


def _unhealthy(components: Iterable[Mapping[str, Any]]) -> set[str]:
    return {str(each.get("name")) for each in components if each.get("status") != "healthy"}


def _project(item: Mapping[str, Any], answer: Answer) -> Project:
    metadata = item.get("metadata")
    return Project(
        name=text(item, "name", answer),
        public=isinstance(metadata, dict) and metadata.get("public") == "true",
        is_proxy_cache=bool(item.get("registry_id")),
    )


def _artifacts(item: Mapping[str, Any], answer: Answer) -> list[Artifact]:
    """One for each tag, or one without a tag."""
    tags = objects(item.get("tags"), answer)
    labels = tuple(text(label, "name", answer) for label in objects(item.get("labels"), answer))
    digest, kind = known_digest(item.get("digest")), str(item.get("type") or "").lower()
    pushed = parse_time(item.get("push_time"))
    if not tags:
        return [Artifact(tag="", digest=digest, labels=labels, resource_type=kind, create_time=pushed)]
    return [
        Artifact(
            tag=text(tag, "name", answer),
            digest=digest,
            labels=labels,
            resource_type=kind,
            create_time=parse_time(tag.get("push_time")) or pushed,
        )
        for tag in tags
    ]


def _accessories(items: Iterable[Mapping[str, Any]], answer: Answer) -> set[str]:
    found = (each for item in items for each in objects(item.get("accessories"), answer))
    return {text(each, "digest", answer) for each in found}


def may_be_attached(artifact: Artifact) -> bool:
    """Whether it may be an accessory or a part of another one; these have no tag, or one that cosign made."""
    return not artifact.tag or artifact.tag.startswith("sha256-")
