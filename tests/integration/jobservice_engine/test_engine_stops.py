"""A stop that comes together with an error is a stop, and one after the last byte ends the connection."""

from __future__ import annotations

import asyncio

import pytest

from jobservice.engine.errors import CopyError
from jobservice.engine.graph import GraphCopier
from jobservice.engine.novelty import Novelty
from jobservice.engine.references import ReferenceCopier
from jobservice.engine.transfer import Route
from jobservice.transfer import ArtifactReference, Failure, Progress
from oci_client.manifest import Manifest
from oci_client.manifests import PutResult
from oci_client.testing import Action, FakeRegistry, Match, effects
from tests.engine_kit import ListLog, MemoryRecord, Worker, until


class FailsWhenStopped(GraphCopier):
    """Pushes until it is cancelled, and fails just then."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def push(self, manifest: Manifest, reference: str, depth: int = 0) -> PutResult:
        self.begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise CopyError(Failure(reason="BLOB_UNKNOWN", message="gone")) from None
        raise AssertionError("it waits for ever")


async def test_a_stop_beside_an_error_is_not_lost(worker: Worker, source: FakeRegistry) -> None:
    source.push_image("library/app", "1")
    graph = FailsWhenStopped()
    route = Route(
        source=worker.source,
        source_repository="library/app",
        destination=worker.destination,
        destination_repository="library/app",
    )
    novelty = Novelty(route.destination, route.destination_repository)
    copier = ReferenceCopier(
        route, graph, novelty=novelty, override=True, progress=Progress(), record=MemoryRecord(), log=ListLog()
    )
    task = asyncio.create_task(copier.copy([ArtifactReference(tag="1")]))
    await graph.begun.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stop_reaches_an_upload_whose_bytes_are_all_on_their_way(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_image("library/app", "1", [900_000])
    stall = effects.Stall()
    destination.misbehave(stall, match=Match(method="PUT", action=Action.UPLOAD))
    job = worker.job()
    task = asyncio.create_task(job.copy("1"))
    await until(lambda: job.progress.bytes_copied > 900_000)  # the config too

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not destination.log.in_flight())
