"""Where registries list what refers to an artifact: the referrers API, and its fallback tag.

See the distribution specification, "Listing Referrers" and "Referrers Tag Schema".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobservice.engine.endpoint import Endpoint, retried
from jobservice.engine.errors import failing_at
from jobservice.engine.tags import SourceTags
from jobservice.engine.transfer import Route
from jobservice.transfer import Side
from oci_client.digest import Digest
from oci_client.errors import NotFound
from oci_client.manifest import Descriptor, ImageIndex

MAX_ALGORITHM_CHARS: Final = 32  # of a fallback tag, as the specification cuts them
MAX_ENCODED_CHARS: Final = 64


def fallback_tag(subject: Digest) -> str:
    """Return the tag under which a registry without the referrers API keeps the referrers of `subject`."""
    return f"{subject.algorithm[:MAX_ALGORITHM_CHARS]}-{subject.encoded[:MAX_ENCODED_CHARS]}"


class SourceReferrers:
    """Lists what refers to artifacts of the source, of some types or of all."""

    def __init__(self, route: Route, tags: SourceTags, *, types: Sequence[str]) -> None:
        self._route = route
        self._tags = tags
        self._types = frozenset(types)

    async def of(self, subject: Digest) -> list[Descriptor]:
        """Return the wanted ones, each once. Raises CopyError."""
        route = self._route
        with failing_at(Side.SOURCE, digest=subject):
            found = await retried(lambda: route.source.client.referrers(route.source_repository, subject)) or []
            # The fallback tag stays when a registry gets the API later.
            if await self._tags.have(fallback_tag(subject)):
                found += await in_fallback(route.source, route.source_repository, subject)
        return list({each.digest: each for each in found if self._is_wanted(each)}.values())

    def _is_wanted(self, referrer: Descriptor) -> bool:
        # Old fallback indexes do not tell the type; then it is better to copy too much than too little.
        return not self._types or not referrer.artifact_type or referrer.artifact_type in self._types


async def listed(endpoint: Endpoint, repository: str, subject: Digest) -> list[Descriptor]:
    """Return what a registry lists as referring to `subject`, by whichever way it has. Raises OciError."""
    found = await retried(lambda: endpoint.client.referrers(repository, subject))
    return await in_fallback(endpoint, repository, subject) if found is None else found


async def in_fallback(endpoint: Endpoint, repository: str, subject: Digest) -> list[Descriptor]:
    """Return what the fallback tag lists. Raises OciError."""
    try:
        index = await retried(lambda: endpoint.client.get_manifest(repository, fallback_tag(subject)))
    except NotFound:
        return []
    return list(index.manifests) if isinstance(index, ImageIndex) else []
