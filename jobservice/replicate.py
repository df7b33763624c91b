"""The handler of replication jobs: opens both registries and lets the engine copy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack

from jobservice.access import passing
from jobservice.engine.blobs import BlobCopier
from jobservice.engine.endpoint import Endpoint
from jobservice.engine.graph import GraphCopier
from jobservice.engine.mover import Mover
from jobservice.engine.novelty import Novelty
from jobservice.engine.ports import BlobClaims, BlobLocations, Uploads
from jobservice.engine.references import ReferenceCopier
from jobservice.engine.throttle import Bandwidth, Throttle
from jobservice.engine.transfer import Route
from jobservice.handlers import JobContext
from jobservice.registries import Registries
from jobservice.transfer import Failure, Outcome, ReferenceResult, ReplicateWork, Side
from service_kit.errors import ServiceError


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
        async with AsyncExitStack() as stack:
            side = Side.SOURCE
            try:
                source = await stack.enter_async_context(
                    self._registries.use(work.source_registry, work.source_repository, "pull")
                )
                side = Side.DESTINATION
                destination = await stack.enter_async_context(
                    self._registries.use(work.destination_registry, work.destination_repository, "pull", "push")
                )
            except ServiceError as error:
                return _all_failed(context, work, error, side)
            route = Route(
                source=source,
                source_repository=work.source_repository,
                destination=destination,
                destination_repository=work.destination_repository,
                throttles=self._throttles(context.fairness_group, work, source, destination),
            )
            return await self._copier(context, work, route).copy(work.references)

    def _throttles(
        self, group: str, work: ReplicateWork, source: Endpoint, destination: Endpoint
    ) -> tuple[Throttle, ...]:
        limits = {
            f"{group} reads": work.options.max_bytes_per_second,
            f"from {source.uid}": source.max_bytes_per_second,
            f"into {destination.uid}": destination.max_bytes_per_second,
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
            override=work.override,
            options=work.options,
            progress=context.progress,
            log=context.log,
        )


def _all_failed(context: JobContext, work: ReplicateWork, error: ServiceError, side: Side) -> list[ReferenceResult]:
    context.log.error(error.message, reason=error.reason)
    failure = Failure(
        reason=error.reason,
        message=error.message,
        side=side,
        retryable=passing(error),
        metadata=dict(error.metadata),
    )
    return [ReferenceResult(reference=each, outcome=Outcome.FAILED, failure=failure) for each in work.references]
