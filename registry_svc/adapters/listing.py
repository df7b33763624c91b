"""Lists repositories: several at once, streamed in batches, with no more in memory than a few pages of each."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Final, Protocol

from oci_client.errors import InvalidReference, NotFound, OciError, UnexpectedAnswer
from oci_client.reference import Tag
from registry_svc.adapters.base import Listing, Reference, RepositoryFailure, Resource
from registry_svc.adapters.border import repository_failure
from registry_svc.adapters.retries import Retries
from replication.filters import Selection

CONCURRENCY: Final = 8  # repositories listed at once; more and registries begin to answer 429
BATCH_REFERENCES: Final = 1000  # of one batch at most, which stays far below the 4 MiB of a gRPC message
BATCH_ITEMS: Final = 1000  # resources and failures of one batch
BATCH_WAIT_S: Final = 0.05  # how long a batch waits for more: copying begins with the first one
_WAITING_ITEMS: Final = 64  # found and not yet batched; a slow caller slows the listing down


class Lists(Protocol):
    """The lists of a registry, page by page."""

    def catalog(self) -> AsyncIterator[list[str]]: ...

    def tags(self, repository: str) -> AsyncIterator[list[str]]: ...


@dataclass(frozen=True, slots=True)
class _End:
    """The last item; with the error that ended the listing before its time."""

    error: Exception | None = None


_Found = Resource | RepositoryFailure


class RepositoryLister:
    """One listing of a registry."""

    def __init__(self, lists: Lists, selection: Selection, retries: Retries) -> None:
        self._lists = lists
        self._selection = selection
        self._retries = retries
        self._named = selection.literal_repositories()
        self._found: asyncio.Queue[_Found | _End] = asyncio.Queue(_WAITING_ITEMS)

    async def batches(self) -> AsyncGenerator[Listing, None]:
        """What the selection lets through. Raises an OciError when the list of repositories cannot be read."""
        listing = asyncio.create_task(self._list(), name="list repositories")
        try:
            end: _End | None = None
            while end is None:
                found, end = await self._batch()
                if found:
                    yield _listing(found)
            if end.error is not None:
                raise end.error
        finally:
            listing.cancel()
            await asyncio.gather(listing, return_exceptions=True)

    async def _list(self) -> None:
        names = self._names()
        turn = asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(self._work(names, turn))
        except ExceptionGroup as errors:
            # The list of names is the only thing that can fail here, and it fails once.
            await self._found.put(_End(errors.exceptions[0]))
        else:
            await self._found.put(_End())
        finally:
            await names.aclose()

    async def _work(self, names: AsyncGenerator[str, None], turn: asyncio.Lock) -> None:
        while True:
            async with turn:
                name = await anext(names, None)
            if name is None:
                return
            await self._list_repository(name)

    async def _names(self) -> AsyncGenerator[str, None]:
        """The repositories that pass; the catalog is asked only when the selection does not name them all."""
        if self._named is not None:
            for name in self._named:
                yield name
            return
        async with aclosing(self._retries.pages(self._lists.catalog)) as pages:
            async for page in pages:
                for name in filter(self._selection.repository_passes, page):
                    yield name

    async def _list_repository(self, name: str) -> None:
        try:
            async with aclosing(self._retries.pages(lambda: self._lists.tags(name))) as pages:
                async for page in pages:
                    await self._put(name, page)
        except NotFound as error:
            # An empty repository of the catalog, which some registries do not know any more.
            if self._named is not None:
                await self._found.put(repository_failure(name, error))
        except OciError as error:
            await self._found.put(repository_failure(name, error))

    async def _put(self, name: str, page: Sequence[str]) -> None:
        passing = [tag for tag in page if self._selection.tag_passes(tag)]
        good = [Reference(tag=tag) for tag in passing if _is_tag(tag)]
        for start in range(0, len(good), BATCH_REFERENCES):
            references = tuple(good[start : start + BATCH_REFERENCES])
            await self._found.put(Resource(repository=name, references=references))
        if len(good) < len(passing):
            error = UnexpectedAnswer(f"{len(passing) - len(good)} of its tags are not tags at all")
            await self._found.put(repository_failure(name, error))

    async def _batch(self) -> tuple[list[_Found], _End | None]:
        """Waits for the first item, then a moment for more."""
        found: list[_Found] = []
        references = 0
        item = await self._found.get()
        with suppress(TimeoutError):
            async with asyncio.timeout(BATCH_WAIT_S):
                while not isinstance(item, _End):
                    found.append(item)
                    references += len(item.references) if isinstance(item, Resource) else 0
                    if references >= BATCH_REFERENCES or len(found) >= BATCH_ITEMS:
                        break
                    item = await self._found.get()
        return found, item if isinstance(item, _End) else None


def _listing(found: Sequence[_Found]) -> Listing:
    return Listing(
        resources=tuple(item for item in found if isinstance(item, Resource)),
        failures=tuple(item for item in found if isinstance(item, RepositoryFailure)),
    )


def _is_tag(text: str) -> bool:
    try:
        Tag.parse(text)
    except InvalidReference:
        return False
    return True
