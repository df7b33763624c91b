"""What the two repositories of a job have: small questions, asked again while their failure may pass."""

from __future__ import annotations

from jobservice.engine.endpoint import retried
from jobservice.engine.errors import failing_at
from jobservice.engine.transfer import Route
from jobservice.transfer import Side
from oci_client.manifest import Descriptor, Manifest


async def source_manifest(route: Route, name: str) -> Manifest:
    """Get a manifest of the source by tag or digest. Raises CopyError."""
    with failing_at(Side.SOURCE, reference=name):
        return await retried(lambda: route.source.client.get_manifest(route.source_repository, name))


async def source_digest(route: Route, name: str) -> str | None:
    """Return the digest of a tag at the source, None when there is no such tag. Raises CopyError."""
    with failing_at(Side.SOURCE, reference=name):
        found = await retried(lambda: route.source.client.head_manifest(route.source_repository, name))
    return found.digest if found else None


async def at_destination(route: Route, name: str) -> Descriptor | None:
    """Return what a tag or digest stands for at the destination, None for nothing. Raises CopyError."""
    with failing_at(Side.DESTINATION, reference=name):
        return await retried(lambda: route.destination.client.head_manifest(route.destination_repository, name))
