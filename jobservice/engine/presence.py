"""What can be told without a request of whether a blob is in the destination repository, or is to come there."""

from __future__ import annotations

from collections.abc import Collection

from jobservice.engine.transfer import Route
from oci_client import media_types
from oci_client.manifest import Descriptor


def is_wanted(blob: Descriptor, *, foreign_layers: bool) -> bool:
    """Tell whether the blob is for the repository; a manifest may name a foreign layer that is not there."""
    return foreign_layers or not media_types.is_foreign_layer(blob.media_type)


def is_known(route: Route, blob: Descriptor, repositories: Collection[str]) -> bool:
    """Tell whether the destination repository is among those that hold the blob, as far as we have seen."""
    own = route.destination_repository
    return own in repositories or own == route.destination.flights.landed(blob.digest) or _is_read_there(route, blob)


def _is_read_there(route: Route, blob: Descriptor) -> bool:
    """Tell whether the blob comes from where it is to go: then the repository only gets another tag."""
    return (
        route.source.uid == route.destination.uid
        and route.source_repository == route.destination_repository
        and not media_types.is_foreign_layer(blob.media_type)
    )
