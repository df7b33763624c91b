"""For tests of policies: a builder, a store in memory and registries that can be told what they are."""

from collections.abc import Sequence
from datetime import UTC, datetime

from policy_svc.domain.errors import PolicyAlreadyExists, PolicyNotFound
from policy_svc.domain.policy import Destination, Policy, PolicySpec, TransferOptions
from replication.filters import Action, Dimension, FilterRule
from replication.matchers import Glob
from service_kit.errors import ServiceUnavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = TransferOptions(
    platforms=("linux/amd64", "linux/arm64/v8"),
    referrers=True,
    referrer_types=("application/spdx+json",),
    foreign_layers=True,
    max_bytes_per_second=2**40,
)


def a_rule(glob: str, dimension: Dimension = Dimension.NAME, action: Action = Action.INCLUDE) -> FilterRule:
    return FilterRule(dimension=dimension, action=action, matcher=Glob(glob))


def a_spec(
    *destinations: Destination,
    source: str = "registries/hub",
    filters: Sequence[FilterRule] = (),
    description: str = "",
) -> PolicySpec:
    return PolicySpec(
        source_registry=source,
        destinations=destinations or (Destination(registry="registries/backup"),),
        filters=tuple(filters),
        description=description,
    )


def a_policy(policy_id: str = "nightly", *, uid: str = "", spec: PolicySpec | None = None) -> Policy:
    return Policy(
        id=policy_id, uid=uid or f"uid-of-{policy_id}", spec=spec or a_spec(), create_time=NOW, update_time=NOW
    )


class MemoryPolicyStore:
    def __init__(self) -> None:
        self._policies: dict[str, Policy] = {}

    async def add(self, policy: Policy) -> None:
        if any(each.id == policy.id for each in self._policies.values()):
            raise PolicyAlreadyExists(policy=policy.name)
        self._policies[policy.uid] = policy

    async def get(self, key: str) -> Policy:
        by_id = {each.id: each for each in self._policies.values()}
        if found := self._policies.get(key) or by_id.get(key):
            return found
        raise PolicyNotFound(policy=f"policies/{key}")

    async def page(self, *, after: str, limit: int, registry: str | None = None) -> list[Policy]:
        found = [
            each
            for each in self._policies.values()
            if each.id > after and (registry is None or registry in each.spec.registries)
        ]
        return sorted(found, key=lambda each: each.id)[:limit]

    async def replace(self, policy: Policy) -> bool:
        present = self._policies.get(policy.uid)
        if present is None or present.revision != policy.revision - 1:
            return False
        self._policies[policy.uid] = policy
        return True

    async def delete(self, key: str) -> None:
        del self._policies[(await self.get(key)).uid]


class FakeRegistries:
    """Knows some registries by name and by uid."""

    def __init__(self, *names: str) -> None:
        self.names = {name: name for name in names or ("registries/hub", "registries/backup", "registries/third")}
        self.dimensions = frozenset(Dimension)
        self.reachable = True
        self.asked: list[str] = []

    async def find(self, name: str) -> str | None:
        self._ask(name)
        return self.names.get(name)

    async def filter_dimensions(self, name: str) -> frozenset[Dimension]:
        self._ask(f"{name} dimensions")
        return self.dimensions

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if not self.reachable:
            raise ServiceUnavailable(service="registry")
