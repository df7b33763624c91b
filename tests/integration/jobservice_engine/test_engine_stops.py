"""A stop that comes together with an error is a stop."""

from __future__ import annotations

import asyncio

import pytest

from jobservice.engine.errors import CopyError
from jobservice.engine.graph import GraphCopier
from jobservice.engine.references import ReferenceCopier
from jobservice.engine.transfer import Route
from jobservice.transfer import ArtifactReference, Failure, Progress
from oci_client.manifest import Manifest
from oci_client.testing import FakeRegistry
from tests.engine_kit import ListLog, Worker


class FailsWhenStopped(GraphCopier):
    """Fetches until it is cancelled, and fails just then."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def fetch(self, reference: str) -> Manifest:
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
    copier = ReferenceCopier(route, graph, override=True, progress=Progress(), log=ListLog())
    task = asyncio.create_task(copier.copy([ArtifactReference(tag="1")]))
    await graph.begun.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
