"""The policies that wait for events, as the policy store has them."""

from functools import lru_cache
from typing import Final

from policy_svc.domain.errors import PolicyNotFound
from policy_svc.domain.policy import Policy
from policy_svc.domain.trigger import EventTrigger
from policy_svc.events.domain.batch import Subscriber
from policy_svc.store import PolicyStore
from replication.filters import FilterRule, Selection

PAGE: Final = 500
_COMPILED: Final = 1000  # selections that are kept, some 10 kB each


# Events come again and again, and the filters of a policy seldom change.
@lru_cache(maxsize=_COMPILED)
def _compiled(rules: tuple[FilterRule, ...]) -> Selection:
    return Selection.compile(rules)


class PolicySubscribers:
    def __init__(self, policies: PolicyStore) -> None:
        self._policies = policies

    async def of(self, registry: str) -> list[Subscriber]:
        """The enabled policies that wait for events of the registry."""
        found: list[Subscriber] = []
        after = ""
        while True:
            page = await self._policies.page(after=after, limit=PAGE, registry=registry)
            of_page = [_subscriber(policy) for policy in page if policy.spec.source_registry == registry]
            found += [each for each in of_page if each]
            if len(page) < PAGE:
                return found
            after = page[-1].id

    async def find(self, policy_uid: str) -> Subscriber | None:
        """The policy as it is now; None when it waits for no events any more."""
        try:
            policy = await self._policies.get(policy_uid)
        except PolicyNotFound:
            return None
        return _subscriber(policy) if policy.uid == policy_uid else None


def _subscriber(policy: Policy) -> Subscriber | None:
    spec = policy.spec
    if spec.disabled or not isinstance(spec.trigger, EventTrigger):
        return None
    selection = _compiled(spec.filters)

    def selects(repository: str, tag: str | None) -> bool:
        return selection.repository_passes(repository) and (tag is None or selection.tag_passes(tag))

    return Subscriber(
        policy_uid=policy.uid,
        policy=policy.name,
        registry=spec.source_registry,
        deletes=spec.deletion is not None and spec.deletion.on_event,
        selects=selects,
    )
