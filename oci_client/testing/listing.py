"""The lists of the fake registry: catalog, tags and referrers, in pages."""

from bisect import bisect_right
from collections.abc import Sequence
from urllib.parse import urlencode

from oci_client.testing.behaviour import Behaviour
from oci_client.testing.messages import RegistryError, Reply, Request
from oci_client.testing.store import Manifest, Store

INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


class ListEndpoints:
    """Answers `_catalog`, `tags/list` and `referrers`."""

    def __init__(self, store: Store, behaviour: Behaviour) -> None:
        self._store = store
        self._behaviour = behaviour

    async def catalog(self, request: Request) -> Reply:
        names, link = self._page(request, self._store.names)
        return _linked(Reply.json(200, {"repositories": names}), link)

    async def tags(self, request: Request) -> Reply:
        """`tags` is null, not a list, in a repository without tags."""
        repository = self._store.find(request.repository)
        if repository is None:
            raise RegistryError(404, "NAME_UNKNOWN", "repository name not known", detail={"name": request.repository})
        tags, link = sorted(repository.tags), None
        if self._behaviour.pagination:
            tags, link = self._page(request, tags)
        return _linked(Reply.json(200, {"name": request.repository, "tags": tags or None}), link)

    async def referrers(self, request: Request) -> Reply:
        """An image index; empty when nothing refers to the digest."""
        if not self._behaviour.referrers_api:
            raise RegistryError(404, "NOT_FOUND", "no referrers API")
        repository = self._store.find(request.repository)
        found = repository.referrers(request.reference) if repository else []
        artifact_type = request.param("artifactType") if self._behaviour.referrers_filter else None
        kept = {one.digest: one for one in found if artifact_type in (None, one.artifact_type)}
        digests, link = self._page(request, list(kept), self._behaviour.referrers_page_size)
        reply = _linked(_index_of([kept[digest] for digest in digests]), link)
        return reply.with_header("OCI-Filters-Applied", "artifactType") if artifact_type else reply

    def _page(self, request: Request, items: Sequence[str], size: int | None = None) -> tuple[list[str], str | None]:
        """One page of sorted items, and the path of the next page when there is one."""
        size = self._page_size(request, size)
        last = request.param("last")
        start = bisect_right(items, last) if last else 0
        page = list(items[start : start + size])
        if not page or start + size >= len(items):
            return page, None
        others = {name: values for name, values in request.query.items() if name not in ("n", "last")}
        query = urlencode(others | {"n": size, "last": page[-1]}, doseq=True)
        return page, f"{request.path}?{query}"

    def _page_size(self, request: Request, size: int | None) -> int:
        cap = self._behaviour.max_page_size
        asked = request.param("n")
        if asked is None:
            return size or cap
        if not asked.isdigit() or not 0 < int(asked) <= cap:
            raise RegistryError(400, "PAGINATION_NUMBER_INVALID", "invalid number of results requested")
        return min(int(asked), size or cap)


def _index_of(manifests: list[Manifest]) -> Reply:
    descriptors = [manifest.as_referrer() for manifest in manifests]
    document = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": descriptors}
    return Reply.json(200, document, content_type=INDEX_TYPE)


def _linked(reply: Reply, link: str | None) -> Reply:
    return reply.with_header("Link", f'<{link}>; rel="next"') if link else reply
