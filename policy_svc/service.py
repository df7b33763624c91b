"""The use cases of policies."""

import re
import uuid
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from typing import Final

from policy_svc.checks import PolicyChecks, RegistryGateway
from policy_svc.domain.errors import PolicyAlreadyExists, PolicyNotFound
from policy_svc.domain.policy import Policy, PolicySpec
from policy_svc.domain.rules import check_schedule
from policy_svc.domain.trigger import ScheduledTrigger
from policy_svc.store import PolicyStore
from service_kit.clock import Clock
from service_kit.errors import EtagMismatch, FieldViolation, InvalidRequest

_REGISTRY_UID: Final = re.compile(r"registries/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class PolicyService:
    """Keeps policies sound. A key is the id of a policy or its uid."""

    def __init__(
        self, store: PolicyStore, registries: RegistryGateway, clock: Clock, *, fast_schedules: bool = False
    ) -> None:
        """With `fast_schedules`, a schedule may run every minute or more often."""
        self._store = store
        self._registries = registries
        self._checks = PolicyChecks(registries, fast_schedules=fast_schedules)
        self._clock = clock
        self._fast_schedules = fast_schedules

    async def create(self, policy_id: str, spec: PolicySpec) -> Policy:
        checked = await self._checks.checked(spec)
        policy = Policy.new(policy_id, str(uuid.uuid4()), checked, self._clock.now())
        await self._store.add(policy)
        return policy

    async def check(self, policy_id: str, spec: PolicySpec) -> PolicySpec:
        """Says what `create` would store, or raises what it would raise; without an id, no id is taken."""
        checked = await self._checks.checked(spec)
        if policy_id and await self._is_taken(policy_id):
            raise PolicyAlreadyExists(policy=f"policies/{policy_id}")
        return checked

    async def get(self, key: str) -> Policy:
        return await self._store.get(key)

    async def page(self, *, after: str, limit: int, registry: str | None = None) -> list[Policy]:
        """Policies whose ids follow `after`; those of one registry, named by its name or uid, if it is given."""
        if registry and _REGISTRY_UID.fullmatch(registry):
            registry = await self._registries.find(registry) or registry
        return await self._store.page(after=after, limit=limit, registry=registry)

    async def update(self, key: str, *, etag: str, change: Callable[[PolicySpec], PolicySpec]) -> Policy:
        """Applies the change to the present policy; an empty etag accepts any.

        Raises:
            EtagMismatch: the etag is not that of the present policy.
        """
        while True:
            current = await self._store.get(key)
            if etag and etag != current.etag:
                raise EtagMismatch(policy=current.name)
            spec = await self._checks.checked(change(current.spec), before=current.spec)
            changed = current.changed(spec, self._clock.now())
            if await self._store.replace(changed):
                return changed
            # Somebody was faster: apply the change to what they wrote, unless the etag forbids.

    async def delete(self, key: str) -> None:
        await self._store.delete(key)

    async def next_runs(self, key: str, count: int) -> list[datetime]:
        """The next runs of a policy, also of a disabled one, without jitter.

        Raises:
            InvalidRequest: the policy has no schedule.
        """
        trigger = (await self._store.get(key)).spec.trigger
        if not isinstance(trigger, ScheduledTrigger):
            description = "has no schedule; give it a scheduled trigger, or ask for a schedule"
            raise InvalidRequest(violations=[FieldViolation("policy", description, "NOT_SCHEDULED")])
        return self._runs(trigger, count)

    def preview(self, trigger: ScheduledTrigger, count: int) -> list[datetime]:
        """The next runs of a schedule, without jitter.

        Raises:
            InvalidRequest: the schedule is wrong.
        """
        check_schedule(trigger, fast_schedules=self._fast_schedules)
        return self._runs(trigger, count)

    def _runs(self, trigger: ScheduledTrigger, count: int) -> list[datetime]:
        return list(islice(trigger.schedule().runs_after(self._clock.now()), count))

    async def _is_taken(self, policy_id: str) -> bool:
        try:
            return (await self._store.get(policy_id)).id == policy_id
        except PolicyNotFound:
            return False
