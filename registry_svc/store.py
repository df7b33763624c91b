"""Where registries are kept."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from registry_svc.domain.registry import Check, Registry


class RegistryStore(Protocol):
    """Keeps registries. A `key` is the id of a registry or its uid."""

    async def insert(self, registry: Registry) -> None:
        """Raises RegistryAlreadyExists when the id is taken."""
        ...

    async def get(self, key: str) -> Registry:
        """Raises RegistryNotFound."""
        ...

    async def page(self, *, type_: str, after: str, limit: int) -> Sequence[Registry]:
        """The next registries behind the id `after`, in the order of their ids; "" for any type, and for the start."""
        ...

    async def replace(self, registry: Registry) -> None:
        """Stores the registry in place of its revision before, and has it tried soon.

        Raises:
            EtagMismatch: another revision is stored, or none is any more.
        """
        ...

    async def delete(self, uid: str) -> None:
        """Raises RegistryNotFound."""
        ...

    async def claim_due(self, *, now: datetime, again_at: datetime, limit: int) -> Sequence[Registry]:
        """Registries that are to be tried now, longest due first. Nobody else gets them until `again_at`."""
        ...

    async def record_check(self, registry: Registry, check: Check) -> None:
        """Notes how a registry was, unless it has changed meanwhile."""
        ...
