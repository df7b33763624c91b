"""The handler of replication jobs: opens both registries and lets the engine copy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from jobservice.engine.blobs import BlobCopier
from jobservice.engine.graph import GraphCopier
from jobservice.engine.mover import Mover
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import BlobClaims, BlobLocations, Uploads
from jobservice.engine.references import ReferenceCopier
from jobservice.engine.throttle import Bandwidth, Throttle
from jobservice.engine.transfer import Route
from jobservice.handlers import JobContext
from jobservice.registries import Registries
from jobservice.routes import RouteClosed, opened
from jobservice.transfer import Failure, Outcome, ReferenceResult, ReplicateWork


class ReplicateHandler:
    """Copies references from one repository to another."""

    def __init__(
        self,
        registries: Registries,
        *,
        mover: Mover,
        locations: BlobLocations,
        claims: BlobClaims,
        uploads: Uploads,
        bandwidth: Bandwidth,
    ) -> None:
        self._registries = registries
        self._mover = mover
        self._locations = locations
        self._claims = claims
        self._uploads = uploads
        self._bandwidth = bandwidth

    async def run(self, context: JobContext) -> Sequence[ReferenceResult]:
        """Copy, and tell for each reference how it ended."""
        work = context.work
        assert isinstance(work, ReplicateWork)
        context.log.info(
            "replicating",
            source=f"{work.source_registry} {work.source_repository}",
            destination=f"{work.destination_registry} {work.destination_repository}",
            references=len(work.references),
        )
        try:
            async with opened(self._registries, work, "pull", "push") as route:
                throttles = self._throttles(context.fairness_group, work, route)
                return await self._copier(context, work, replace(route, throttles=throttles)).copy(work.references)
        except RouteClosed as closed:
            return _all_failed(context, work, closed.failure)

    def _throttles(self, group: str, work: ReplicateWork, route: Route) -> tuple[Throttle, ...]:
        limits = {
            f"{group} reads": work.options.max_bytes_per_second,
            f"from {route.source.uid}": route.source.max_bytes_per_second,
            f"into {route.destination.uid}": route.destination.max_bytes_per_second,
        }
        throttles = [self._bandwidth.throttle(name, limit) for name, limit in limits.items()]
        return tuple(throttle for throttle in throttles if throttle is not None)

    def _copier(self, context: JobContext, work: ReplicateWork, route: Route) -> ReferenceCopier:
        novelty = Novelty(route.destination, route.destination_repository)
        blobs = BlobCopier(
            route,
            mover=self._mover,
            locations=self._locations,
            claims=self._claims,
            uploads=self._uploads,
            progress=context.progress,
            log=context.log,
            novelty=novelty,
            foreign_layers=work.options.foreign_layers,
        )
        graph = GraphCopier(route, blobs, log=context.log, novelty=novelty)
        return ReferenceCopier(
            route,
            graph,
            novelty=novelty,
            override=work.override,
            options=work.options,
            backup_tag=work.backup_tag,
            progress=context.progress,
            record=context.record,
            log=context.log,
        )


def _all_failed(context: JobContext, work: ReplicateWork, failure: Failure) -> list[ReferenceResult]:
    context.log.error(failure.message, reason=failure.reason)
    return [ReferenceResult(reference=each, outcome=Outcome.FAILED, failure=failure) for each in work.references]
