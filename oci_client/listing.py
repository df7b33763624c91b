"""Lists that come in pages: the catalog, tags, referrers."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, Final

from oci_client import media_types
from oci_client.answers import without_query
from oci_client.auth import Scope, catalog_scope, pull_scope
from oci_client.digest import Digest
from oci_client.errors import EndlessPaging, ManifestInvalid, UnexpectedAnswer
from oci_client.exchange import Exchange, json_object, refused, resolve
from oci_client.gate import Action
from oci_client.headers import next_link
from oci_client.http import Answer, same_origin
from oci_client.manifest import Descriptor, ImageIndex, parse_manifest

DEFAULT_PAGE_SIZE: Final = 1000  # more is refused by some registries
MAX_PAGES: Final = 10_000  # ten million names; a listing beyond that is broken or hostile

# What registries without the referrers API answer; 2.x of the reference implementation says 404.
_NO_SUCH_API: Final = frozenset({400, 404, 405, 501})
_INDEX_TYPES: Final = frozenset({media_types.OCI_INDEX, media_types.JSON})


class Listing:
    """The listing part of a RegistryClient."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def catalog(self, *, page_size: int = DEFAULT_PAGE_SIZE) -> AsyncIterator[list[str]]:
        """Yield the repositories page by page. Many registries do not have or do not allow this."""
        url = self._exchange.url("_catalog", n=page_size)
        async with aclosing(self._pages(url, catalog_scope())) as pages:
            async for page in pages:
                yield _names(page, "repositories")

    async def tags(self, repository: str, *, page_size: int = DEFAULT_PAGE_SIZE) -> AsyncIterator[list[str]]:
        """Yield the tags page by page. Raises NameUnknown, also for an empty repository in some registries."""
        url = self._exchange.repository_url(repository, "tags/list", n=page_size)
        async with aclosing(self._pages(url, pull_scope(repository))) as pages:
            async for page in pages:
                yield _names(page, "tags")

    async def referrers(self, repository: str, digest: Digest) -> list[Descriptor] | None:
        """Return what refers to `digest`, None if the registry does not have the referrers API."""
        url = self._exchange.repository_url(repository, f"referrers/{digest}")
        found: list[Descriptor] = []
        async with aclosing(self._pages(url, pull_scope(repository), absent=_NO_SUCH_API)) as pages:
            async for page in pages:
                if page.status in _NO_SUCH_API or _type_of(page) not in _INDEX_TYPES:
                    return None
                found += _referrers(page)
        return found

    async def _pages(
        self, url: str, scope: Scope, *, absent: frozenset[int] = frozenset()
    ) -> AsyncGenerator[Answer, None]:
        """Yield the pages, following links. An answer with one of the `absent` statuses is yielded too, as the last."""
        seen: set[str] = set()
        previous = b""
        while len(seen) < MAX_PAGES:
            seen.add(url)
            answer = await self._exchange.request(Action.LIST, "GET", url, scopes=[scope])
            if answer.status != 200 and answer.status not in absent:
                raise refused("GET", answer)
            following = _next_page(answer)
            if following in seen or (following and answer.body == previous):
                raise EndlessPaging(f"{without_query(url)}: the next page is one that was there before")
            yield answer
            if following is None:
                return
            url, previous = following, answer.body
        raise EndlessPaging(f"{without_query(url)}: more than {MAX_PAGES} pages")


def _next_page(answer: Answer) -> str | None:
    link = next_link(answer.headers)
    if link is None:
        return None
    following = resolve(answer.url, link)
    if not same_origin(following, answer.url):
        raise UnexpectedAnswer(f"{without_query(answer.url)}: the next page is on another host")
    return following


def _names(page: Answer, name: str) -> list[str]:
    # Go writes an empty list as null.
    items: Any = json_object(page).get(name) or []
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise UnexpectedAnswer(f"{without_query(page.url)}: {name} is not a list of names")
    return items


def _referrers(page: Answer) -> tuple[Descriptor, ...]:
    try:
        index = parse_manifest(page.body, media_types.OCI_INDEX)
    except ManifestInvalid as exc:
        raise UnexpectedAnswer(f"{without_query(page.url)}: {exc}") from exc
    assert isinstance(index, ImageIndex)
    return index.manifests


def _type_of(page: Answer) -> str:
    return media_types.essence(page.headers.get("content-type"))
