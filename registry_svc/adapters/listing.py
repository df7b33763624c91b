"""Lists a registry: several repositories at once, with no more in memory than a few pages of each."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final

from registry_svc.adapters.base import Listing, Query, Rejected, RepositoryFailure, Resource
from registry_svc.adapters.batches import BATCH_ITEMS, Put, batches
from registry_svc.adapters.repository_listing import RepositoryListing, Within
from registry_svc.adapters.source import Listed, Repository, Source

CONCURRENCY: Final = 8  # repositories listed at once; more and registries begin to answer 429


class RepositoryLister:
    """One listing of a registry."""

    def __init__(self, source: Source, query: Query, *, now: datetime) -> None:
        self._source = source
        self._query = query
        self._now = now
        self._named = query.selection.literal_repositories()
        self._within = None if query.within is None else _by_repository(query.within)
        self._dating = asyncio.Semaphore(CONCURRENCY)

    def batches(self) -> AsyncGenerator[Listing, None]:
        """What the query lets through. Raises an OciError when the list of repositories cannot be read."""
        return batches(self._list)

    async def _list(self, put: Put) -> None:
        repositories = self._repositories(put)
        turn = asyncio.Lock()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(CONCURRENCY):
                    group.create_task(self._work(repositories, turn, put))
        except ExceptionGroup as errors:
            # The list of repositories is the only thing that can fail here, and it fails once.
            raise errors.exceptions[0] from errors
        finally:
            await repositories.aclose()

    async def _work(self, repositories: AsyncGenerator[Repository, None], turn: asyncio.Lock, put: Put) -> None:
        while True:
            async with turn:
                repository = await anext(repositories, None)
            if repository is None:
                return
            within = None if self._within is None else self._within[repository.name]
            listing = RepositoryListing(self._source, self._query, repository, within, self._dating, put)
            await listing.run(now=self._now, must_exist=self._named is not None and self._within is None)

    async def _repositories(self, put: Put) -> AsyncGenerator[Repository, None]:
        """Those that the rules on names let through; what else there is to say of any is put out."""
        async with aclosing(self._listed()) as pages:
            async for page in pages:
                passing: list[Repository] = []
                others = list(self._sorted_out(page, passing))
                for start in range(0, len(others), BATCH_ITEMS):
                    await put(_told(others[start : start + BATCH_ITEMS]))
                for repository in passing:
                    yield repository

    async def _listed(self) -> AsyncGenerator[list[Listed], None]:
        """The registry is searched only when neither an event nor the rules name every repository."""
        selection = self._query.selection
        if self._within is None and self._named is None:
            listed = self._source.repositories(selection)
        else:
            names = list(self._named or ()) if self._within is None else list(self._within)
            # What the rules leave out is not asked for, and still told.
            yield [Repository(name=name) for name in names if not selection.repository_passes(name)]
            listed = self._source.named([name for name in names if selection.repository_passes(name)])
        async with aclosing(listed):
            async for page in listed:
                yield page

    def _sorted_out(self, page: Iterable[Listed], passing: list[Repository]) -> Iterator[Rejected | RepositoryFailure]:
        told = self._query.include_rejected
        for each in page:
            if isinstance(each, RepositoryFailure):
                # What an event has told of may be gone by now, which is no failure.
                if self._within is None or each.failure.reason != "REPOSITORY_UNKNOWN":
                    yield each
            elif each.passed_over:
                if told:
                    yield Rejected(repository=each.name, why=each.why)
            elif why := self._query.selection.reject_repository(each.name):
                if told:
                    yield Rejected(repository=each.name, why=why)
            else:
                passing.append(each)


def _told(items: Sequence[Rejected | RepositoryFailure]) -> Listing:
    return Listing(
        failures=tuple(item for item in items if isinstance(item, RepositoryFailure)),
        rejections=tuple(item for item in items if isinstance(item, Rejected)),
    )


def _by_repository(resources: Iterable[Resource]) -> dict[str, Within]:
    """What is to be looked at in each repository; one that comes without references is looked at in full."""
    within: dict[str, Within] = {}
    for resource in resources:
        asked = frozenset(each.tag or each.digest for each in resource.references) or None
        before = within.get(resource.repository, frozenset())
        within[resource.repository] = None if asked is None or before is None else before | asked
    return within
