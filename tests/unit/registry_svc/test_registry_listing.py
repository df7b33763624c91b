"""Listings and second chances, over lists in memory."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from oci_client.digest import Digest
from oci_client.errors import (
    EndlessPaging,
    NameUnknown,
    OciError,
    ServerFault,
    TlsFailure,
    TooManyRequests,
    UnexpectedAnswer,
    Unreachable,
)
from oci_client.manifest import Descriptor, Manifest
from registry_svc.adapters.base import Listing, Query
from registry_svc.adapters.batches import BATCH_REFERENCES
from registry_svc.adapters.creation import CreationTimes
from registry_svc.adapters.listing import CONCURRENCY, RepositoryLister
from registry_svc.adapters.native_source import NativeSource
from registry_svc.adapters.retries import ATTEMPTS, MAX_RETRIES, Retries
from replication.filters import Dimension, FilterRule, Selection
from replication.matchers import Glob

PAGE = 100
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _refused(kind: type[ServerFault] | type[TooManyRequests] | type[NameUnknown], **more: float) -> OciError:
    return kind(status=500, method="GET", url="https://hub.example.com", **more)  # type: ignore[arg-type]


@dataclass
class FakeLists:
    """Repositories with their tags; `failures` are raised one by one after the first page."""

    repositories: Mapping[str, Sequence[str]]
    failures: dict[str, list[OciError]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    heads: list[tuple[str, str]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    pages_read: int = 0

    async def catalog(self) -> AsyncIterator[list[str]]:
        async for page in self._pages("", list(self.repositories)):
            yield page

    async def tags(self, repository: str) -> AsyncIterator[list[str]]:
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            async for page in self._pages(repository, self.repositories.get(repository, ())):
                yield page
        finally:
            self.running -= 1

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None:
        self.heads.append((repository, reference))
        if reference not in self.repositories.get(repository, ()):
            return None
        return Descriptor(media_type="x/y", digest=Digest.of(f"{repository}:{reference}".encode()), size=1)

    async def get_manifest(self, repository: str, reference: str) -> Manifest:
        raise AssertionError("no time is asked for")

    def get_blob(self, repository: str, digest: Digest, *, size: int | None = None) -> AsyncGenerator[bytes, None]:
        raise AssertionError("no time is asked for")

    async def _pages(self, name: str, items: Sequence[str]) -> AsyncIterator[list[str]]:
        self.calls.append(name)
        for start in range(0, max(len(items), 1), PAGE):
            if (failures := self.failures.get(name)) and (start or len(items) <= PAGE):
                raise failures.pop(0)
            await asyncio.sleep(0)
            self.pages_read += 1
            yield list(items[start : start + PAGE])


class Sleeps:
    """Takes no time and remembers how long it was to be."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)


def _names(*globs: str) -> Selection:
    return Selection.compile([FilterRule(dimension=Dimension.NAME, matcher=Glob(glob)) for glob in globs])


def _tags(*globs: str) -> Selection:
    return Selection.compile([FilterRule(dimension=Dimension.TAG, matcher=Glob(glob)) for glob in globs])


EVERYTHING = Selection.compile([])


def _lister(lists: FakeLists, query: Query, sleep: Sleeps | None = None) -> RepositoryLister:
    return RepositoryLister(NativeSource(lists, CreationTimes(lists), Retries(sleep or Sleeps())), query, now=NOW)


async def _list(
    lists: FakeLists, selection: Selection = EVERYTHING, sleep: Sleeps | None = None, **more: Any
) -> list[Listing]:
    lister = _lister(lists, Query(selection=selection, **more), sleep)
    return [batch async for batch in lister.batches()]


def _found(batches: Sequence[Listing]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for resource in (resource for batch in batches for resource in batch.resources):
        found.setdefault(resource.repository, []).extend(each.tag for each in resource.references)
    return found


def _failures(batches: Sequence[Listing]) -> list[tuple[str, str]]:
    return [(each.repository, each.failure.reason) for batch in batches for each in batch.failures]


async def test_filters_decide_on_names_and_tags() -> None:
    lists = FakeLists({"a/x": ["1", "2"], "b/y": ["1"], "c": ["9"]})

    assert _found(await _list(lists, _names("*/*"))) == {"a/x": ["1", "2"], "b/y": ["1"]}
    assert _found(await _list(lists, _tags("1"))) == {"a/x": ["1"], "b/y": ["1"]}


async def test_named_repositories_need_no_catalog() -> None:
    lists = FakeLists({"a/x": ["1"], "a/y": ["2"], "other": ["3"]})

    assert _found(await _list(lists, _names("a/{x,y}"))) == {"a/x": ["1"], "a/y": ["2"]}
    assert sorted(lists.calls) == ["a/x", "a/y"]


async def test_many_repositories_and_tags_come_in_bounded_batches() -> None:
    """10,000 repositories and 100,000 tags besides, one of them with 20,000 on its own."""
    repositories = {f"r{number}": [f"t{tag}" for tag in range(8)] for number in range(10_000)}
    lists = FakeLists(repositories | {"large": [f"t{tag}" for tag in range(20_000)]})

    batches = await _list(lists)

    assert _found(batches) == lists.repositories
    sizes = [sum(len(each.references) for each in batch.resources) for batch in batches]
    assert max(sizes) < 2 * BATCH_REFERENCES
    assert len(batches) < 200
    assert lists.most_running <= CONCURRENCY


async def test_a_slow_caller_slows_the_listing_down() -> None:
    lists = FakeLists({f"r{number}": ["1"] for number in range(10_000)})
    batches = _lister(lists, Query(selection=EVERYTHING)).batches()

    await anext(batches)
    await asyncio.sleep(0.1)
    read = lists.pages_read
    await batches.aclose()

    assert read < 2_000
    assert lists.running == 0


@pytest.mark.parametrize(
    ("selection", "failures"), [(EVERYTHING, []), (_names("gone"), [("gone", "REPOSITORY_UNKNOWN")])]
)
async def test_an_unknown_repository_is_a_failure_only_when_it_was_named(
    selection: Selection, failures: list[tuple[str, str]]
) -> None:
    lists = FakeLists({"gone": ["1"]}, {"gone": [_refused(NameUnknown)]})

    assert _failures(await _list(lists, selection)) == failures


async def test_one_bad_repository_fails_alone() -> None:
    lists = FakeLists({"bad": ["1"], "good": ["1"]}, {"bad": [UnexpectedAnswer("a web page")]})
    batches = await _list(lists)

    assert _failures(batches) == [("bad", "UNEXPECTED_ANSWER")]
    assert _found(batches) == {"good": ["1"]}


async def test_what_is_no_tag_is_reported_and_the_rest_is_listed() -> None:
    batches = await _list(FakeLists({"r": ["1", "../../etc", ""]}))

    assert _found(batches) == {"r": ["1"]}
    assert _failures(batches) == [("r", "UNEXPECTED_ANSWER")]


async def test_a_failing_catalog_ends_the_listing_with_its_error() -> None:
    lists = FakeLists({f"r{number}": ["1"] for number in range(150)}, {"": [EndlessPaging("goes in circles")]})

    with pytest.raises(EndlessPaging):
        await _list(lists)
    assert lists.running == 0


async def test_a_list_read_anew_brings_nothing_twice() -> None:
    tags = [f"t{number}" for number in range(250)]
    lists = FakeLists({"r": tags}, {"r": [_refused(ServerFault)] * 2, "": [Unreachable("reset")]})
    batches = await _list(lists)

    assert _found(batches) == {"r": tags}
    assert _failures(batches) == []
    assert lists.calls == ["", "", "r", "r", "r"]


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (_refused(ServerFault), ATTEMPTS),
        (Unreachable("nobody listens"), ATTEMPTS),
        (_refused(TooManyRequests, retry_after=7), ATTEMPTS),
        (_refused(TooManyRequests, retry_after=3600), 1),
        (TlsFailure("not trusted"), 1),
        (UnexpectedAnswer("a web page"), 1),
    ],
)
async def test_only_what_may_pass_is_tried_again(error: OciError, attempts: int) -> None:
    calls = 0

    async def work() -> None:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        await Retries(Sleeps()).run(work)
    assert calls == attempts


async def test_delays_grow_or_are_what_the_registry_asks_for() -> None:
    growing, asked = Sleeps(), Sleeps()
    await _list(FakeLists({"r": []}, {"r": [_refused(ServerFault)] * 9}), _names("r"), growing)
    await _list(FakeLists({"r": []}, {"r": [_refused(TooManyRequests, retry_after=7)]}), _names("r"), asked)

    assert growing.asked == sorted(growing.asked)
    assert len(growing.asked) == ATTEMPTS - 1
    assert asked.asked == [7]


async def test_patience_ends_with_a_registry_that_is_down() -> None:
    names = [f"r{number}" for number in range(500)]
    failures: dict[str, list[OciError]] = {name: [Unreachable("nobody listens")] * ATTEMPTS for name in names}
    lists, sleeps = FakeLists({name: ["1"] for name in names}, failures), Sleeps()
    batches = await _list(lists, sleep=sleeps)

    assert len(_failures(batches)) == 500
    assert len(sleeps.asked) == MAX_RETRIES
