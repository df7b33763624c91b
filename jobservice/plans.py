"""Plans replications: at once and in this process, not by way of the queue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from jobservice.destinations import reused_tag
from jobservice.engine.planning import ReferencePlanner
from jobservice.engine.ports import BlobLocations
from jobservice.registries import Registries
from jobservice.routes import RouteClosed, opened
from jobservice.transfer import Action, PlannedReference, ReplicateWork

# Looked at side by side, by all plans of this process: enough to keep the windows of two registries full, and few
# enough that their manifests are some megabytes. Jobs do not wait behind them but at the gates of the registries.
REFERENCES_AT_ONCE: Final = 64


class Planner:
    """Tells what replications would do. Uses the endpoints of the jobs, and so shares their limits."""

    def __init__(self, registries: Registries, *, locations: BlobLocations) -> None:
        self._registries = registries
        self._locations = locations
        self._places = asyncio.Semaphore(REFERENCES_AT_ONCE)

    async def plan(self, work: ReplicateWork) -> AsyncGenerator[Sequence[PlannedReference], None]:
        """Yield what would become of each reference, in batches. What would fail is in there and is not raised.

        Raises DestinationTagReused.
        """
        if (refusal := reused_tag(work)) is not None:
            raise refusal
        try:
            async with opened(self._registries, work, "pull") as route:
                planner = ReferencePlanner(
                    route,
                    override=work.override,
                    options=work.options,
                    backup_tag=work.backup_tag,
                    locations=self._locations,
                    places=self._places,
                )
                async with aclosing(planner.plan(work.references)) as batches:
                    async for batch in batches:
                        yield batch
        except RouteClosed as closed:
            yield [
                PlannedReference(reference=each, action=Action.FAIL, failure=closed.failure) for each in work.references
            ]
