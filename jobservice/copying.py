"""Wires the copy engine to its ports."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from jobservice.access import IssuesAccess
from jobservice.engine.mover import Mover
from jobservice.postgres.blob_claims import PostgresBlobClaims
from jobservice.postgres.blob_locations import PostgresBlobLocations
from jobservice.registries import Registries
from jobservice.replicate import ReplicateHandler
from jobservice.supervise import supervise
from service_kit.database import Pool


def open_replication(access: IssuesAccess, pool: Pool, stack: AsyncExitStack) -> ReplicateHandler:
    """Return the handler of replication jobs; the stack closes what it opens."""
    locations, claims = PostgresBlobLocations(pool), PostgresBlobClaims(pool)
    registries, mover = Registries(access), Mover()
    stack.callback(mover.close)
    stack.push_async_callback(registries.close)
    for name, run in (("blob locations", locations.run), ("blob claims", claims.run)):
        task = asyncio.create_task(supervise(name, run))
        stack.callback(task.cancel)
    stack.push_async_callback(locations.flush)
    return ReplicateHandler(registries, mover=mover, locations=locations, claims=claims)
