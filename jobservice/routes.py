"""Opens the two registries of a replication."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from jobservice.access import passing
from jobservice.engine.transfer import Route
from jobservice.gateways import Action
from jobservice.registries import Registries
from jobservice.transfer import Failure, ReplicateWork, Side
from service_kit.errors import ServiceError


class RouteClosed(Exception):
    """There is no access to one of the registries; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@asynccontextmanager
async def opened(registries: Registries, work: ReplicateWork, *at_destination: Action) -> AsyncIterator[Route]:
    """Give the way of a job, with these actions at its destination. Raises RouteClosed."""
    async with AsyncExitStack() as stack:
        side = Side.SOURCE
        try:
            source = await stack.enter_async_context(
                registries.use(work.source_registry, work.source_repository, "pull")
            )
            side = Side.DESTINATION
            destination = await stack.enter_async_context(
                registries.use(work.destination_registry, work.destination_repository, *at_destination)
            )
        except ServiceError as error:
            raise RouteClosed(_failure(error, side)) from error
        yield Route(
            source=source,
            source_repository=work.source_repository,
            destination=destination,
            destination_repository=work.destination_repository,
        )


def _failure(error: ServiceError, side: Side) -> Failure:
    return Failure(
        reason=error.reason,
        message=error.message,
        side=side,
        retryable=passing(error),
        metadata=dict(error.metadata),
    )
