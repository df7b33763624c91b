"""Where policies are kept. A key is the id of a policy or its uid."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from policy_svc.domain.policy import Policy
from policy_svc.domain.trigger import NextRun


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
        """Puts the policy in the place of the revision before it; False when another one has taken that place.

        When it runs next is only taken over if its schedule is another one than before, or it was disabled or enabled.
        """
        ...

    async def delete(self, key: str) -> None:
        """Raises PolicyNotFound."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A policy whose run is due, held under a lease until it is advanced or postponed, or the lease ends."""

    policy: Policy
    token: str


class ScheduleStore(Protocol):
    """The runs that are to come. A policy whose schedule is changed, disabled or deleted lets go of its lease."""

    async def claim_due(self, *, now: datetime, until: datetime, limit: int) -> list[Claim]:
        """Up to so many policies whose runs are due and that nobody holds; held until then."""
        ...

    async def advance(self, claim: Claim, next_run: NextRun | None) -> bool:
        """Puts the next run in the place of the claimed one; False when the lease is lost."""
        ...

    async def postpone(self, claim: Claim, *, until: datetime) -> bool:
        """Gives the run back, to be claimed again from then on; False when the lease is lost."""
        ...
