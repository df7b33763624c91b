"""Finds out which blobs the referrers of an artifact would bring. Writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from jobservice.engine.errors import failing_at
from jobservice.engine.referrer_lists import SourceReferrers, listed
from jobservice.engine.survey import GraphSurvey, Missing, merged
from jobservice.engine.transfer import Route
from jobservice.transfer import Side
from oci_client.digest import Digest
from oci_client.singleflight import SingleFlight


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """What refers to one subject, and what of it is missing."""

    referrers: tuple[Digest, ...] = ()
    missing: Missing


class ReferrerSurvey:
    """Tells what the referrers of subjects, and the referrers of those, would bring. For one plan."""

    def __init__(self, route: Route, graph: GraphSurvey, at_source: SourceReferrers) -> None:
        self._route = route
        self._graph = graph
        self._at_source = at_source
        self._levels: dict[Digest, _Level] = {}
        self._under_way: SingleFlight[Digest, _Level] = SingleFlight()

    async def of(self, subjects: Iterable[Digest]) -> Missing:
        """Return what is missing at the destination. Raises CopyError."""
        seen: set[Digest] = set()
        found: list[Missing] = []
        next_ones = set(subjects)
        while next_ones:
            seen |= next_ones
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._level(each), name=f"referrers of {each}") for each in next_ones]
            levels = [task.result() for task in tasks]
            found += (level.missing for level in levels)
            # Things may refer to each other in a circle.
            next_ones = {digest for level in levels for digest in level.referrers} - seen
        return merged(found)

    async def _level(self, subject: Digest) -> _Level:
        if subject not in self._levels:
            self._levels[subject] = await self._under_way.run(subject, lambda: self._look(subject))
        return self._levels[subject]

    async def _look(self, subject: Digest) -> _Level:
        wanted = [each.digest for each in await self._at_source.of(subject)]
        if not wanted:
            return _Level(missing={})
        route = self._route
        with failing_at(Side.DESTINATION, digest=subject):
            there = {each.digest for each in await listed(route.destination, route.destination_repository, subject)}
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._graph.of(each), name=f"referrer {each}") for each in wanted if each not in there
            ]
        return _Level(referrers=tuple(wanted), missing=merged(task.result() for task in tasks))
