"""Wires the copy engine to its ports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial

from jobservice.access import IssuesAccess
from jobservice.engine.mover import Mover
from jobservice.plans import Planner
from jobservice.postgres.bandwidth import PostgresBandwidth
from jobservice.postgres.blob_claims import PostgresBlobClaims
from jobservice.postgres.blob_locations import PostgresBlobLocations
from jobservice.postgres.holds import PostgresHolds
from jobservice.postgres.uploads import PostgresUploads
from jobservice.registries import Registries
from jobservice.replicate import ReplicateHandler
from jobservice.supervise import supervise
from service_kit.database import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """The engine, and the registries that all of it shares."""

    registries: Registries
    replicate: ReplicateHandler
    planner: Planner


def open_engine(access: IssuesAccess, pool: Pool, stack: AsyncExitStack) -> Engine:
    """Return the engine on the tables of this service; the stack closes what it opens."""
    locations, claims = PostgresBlobLocations(pool), PostgresBlobClaims(pool)
    uploads, holds, bandwidth = PostgresUploads(pool), PostgresHolds(pool), PostgresBandwidth(pool)
    registries, mover = Registries(access, on_hold=holds.announce), Mover()
    stack.callback(mover.close)
    stack.push_async_callback(registries.close)
    loops: dict[str, Callable[[], Awaitable[None]]] = {
        "blob locations": locations.run,
        "blob claims": claims.run,
        "uploads": uploads.run,
        "bandwidth": bandwidth.run,
        "holds": partial(holds.run, registries.hold),
    }
    for name, run in loops.items():
        task = asyncio.create_task(supervise(name, run))
        stack.callback(task.cancel)
    stack.push_async_callback(locations.flush)
    replicate = ReplicateHandler(
        registries, mover=mover, locations=locations, claims=claims, uploads=uploads, bandwidth=bandwidth
    )
    return Engine(registries=registries, replicate=replicate, planner=Planner(registries, locations=locations))
