"""What tags stand for, as their registry says at this moment."""

from __future__ import annotations

from jobservice.engine.endpoint import retried
from jobservice.engine.errors import failing_at
from jobservice.registries import Registries
from jobservice.transfer import Side


class TagDigests:
    """Asks the registries themselves."""

    def __init__(self, registries: Registries) -> None:
        self._registries = registries

    async def digest_of(self, registry: str, repository: str, tag: str) -> str | None:
        """Return the digest, None when there is no such tag. Raises CopyError and the ServiceErrors of IssueAccess."""
        async with self._registries.use(registry, repository, "pull") as endpoint:
            with failing_at(Side.DESTINATION, tag=tag):
                found = await retried(lambda: endpoint.client.head_manifest(repository, tag))
        return found.digest if found else None
