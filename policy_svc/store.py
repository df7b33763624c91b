"""Where policies are kept. A key is the id of a policy or its uid."""

from typing import Protocol

from policy_svc.domain.policy import Policy


class PolicyStore(Protocol):
    async def add(self, policy: Policy) -> None:
        """Raises PolicyAlreadyExists when the id is taken."""
        ...

    async def get(self, key: str) -> Policy:
        """Raises PolicyNotFound."""
        ...

    async def page(self, *, after: str, limit: int, registry: str | None = None) -> list[Policy]:
        """Policies whose ids follow `after`, by id; those of one registry, if it is given."""
        ...

    async def replace(self, policy: Policy) -> bool:
        """Puts the policy in the place of the revision before it; False when another one has taken that place."""
        ...

    async def delete(self, key: str) -> None:
        """Raises PolicyNotFound."""
        ...
