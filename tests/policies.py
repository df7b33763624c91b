"""For tests of policies: builders, a store in memory and registries that can be told what they are."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from policy_svc.domain.errors import PolicyAlreadyExists, PolicyNotFound
from policy_svc.domain.policy import (
    Deletion,
    Destination,
    Overlap,
    Policy,
    PolicySpec,
    Prune,
    Retention,
    TimeWindow,
    TransferOptions,
)
from policy_svc.domain.registry import Registered, RegistryInfo
from policy_svc.domain.trigger import MissedRuns, NextRun, ScheduledTrigger
from policy_svc.store import Claim
from replication.filters import Action, Dimension, FilterRule
from replication.mapping import PathRule
from replication.matchers import Glob, Matcher, Regex, Semver
from replication.newest import Newest, Order
from replication.rewriting import RegexRewrite
from service_kit.errors import ServiceUnavailable

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = TransferOptions(
    platforms=("linux/amd64", "linux/arm64/v8"),
    referrers=True,
    referrer_types=("application/spdx+json",),
    foreign_layers=True,
    max_bytes_per_second=2**40,
)


NIGHTLY = ScheduledTrigger(
    cron="0 30 2 * * *",
    time_zone="Europe/Berlin",
    jitter=timedelta(seconds=90.5),
    missed_runs=MissedRuns.RUN_ONCE,
)


def a_rule(
    matcher: str | Matcher, dimension: Dimension = Dimension.NAME, action: Action = Action.INCLUDE
) -> FilterRule:
    """A rule with the matcher, or with a glob."""
    return FilterRule(
        dimension=dimension, action=action, matcher=Glob(matcher) if isinstance(matcher, str) else matcher
    )


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


def everything() -> PolicySpec:
    """A spec in which nothing is at its default."""
    return PolicySpec(
        description="Überall",
        source_registry="registries/hub",
        destinations=(
            Destination(registry="registries/backup", namespace="mirror", replace_count=0, tag="{name}-{tag}"),
            Destination(registry="registries/third", template="{registry}/{path}"),
            Destination(registry="registries/third", rewrite=RegexRewrite(regex="library/(.*)", replacement=r"b/\1")),
            Destination(registry="registries/third"),
        ),
        filters=(
            a_rule("library/{nginx,réd\\*}"),
            a_rule("v1.?", Dimension.TAG, Action.EXCLUDE),
            a_rule(Regex("v[0-9]+"), Dimension.TAG),
            a_rule(Semver(">=1.2"), Dimension.TAG),
            a_rule("signed", Dimension.LABEL),
            a_rule("image", Dimension.RESOURCE_TYPE),
        ),
        newest=Newest(order=Order.CREATE_TIME, count=10, max_age=timedelta(days=30, seconds=0.25), min_count=3),
        override=True,
        backup_tag="{tag}-{date}",
        disabled=False,
        trigger=NIGHTLY,
        options=OPTIONS,
        deletion=Deletion(prune=Prune(max_percent=10, max_tags=20, grace_period=timedelta(hours=1.5))),
        overlap=Overlap.REPLACE,
        max_parallel_tasks=7,
        windows=(
            TimeWindow(start="22:00", end="06:00", days=(1, 5), time_zone="Asia/Shanghai"),
            TimeWindow(start="12:00", end="12:00"),
        ),
        retention=Retention(max_count=50, max_age=timedelta(days=90)),
    )


def a_policy(policy_id: str = "nightly", *, uid: str = "", spec: PolicySpec | None = None) -> Policy:
    return Policy.new(policy_id, uid or f"uid-of-{policy_id}", spec or a_spec(), NOW)


@dataclass(frozen=True)
class _Lease:
    until: datetime
    token: str = ""


class MemoryPolicyStore:
    """Policies and their schedules."""

    def __init__(self) -> None:
        self._policies: dict[str, Policy] = {}
        self._leases: dict[str, _Lease] = {}

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
        if policy.spec.runs_as(present.spec):
            policy = replace(policy, next_run=present.next_run)
        else:
            self._leases.pop(policy.uid, None)
        self._policies[policy.uid] = policy
        return True

    async def delete(self, key: str) -> None:
        uid = (await self.get(key)).uid
        del self._policies[uid]
        self._leases.pop(uid, None)

    async def claim_due(self, *, now: datetime, until: datetime, limit: int) -> list[Claim]:
        due = [
            each
            for each in self._policies.values()
            if each.next_run
            and each.next_run.run_time <= now
            and (each.uid not in self._leases or self._leases[each.uid].until <= now)
        ]
        claims = [Claim(policy=each, token=str(uuid.uuid4())) for each in due[:limit]]
        self._leases |= {each.policy.uid: _Lease(until, each.token) for each in claims}
        return claims

    async def advance(self, claim: Claim, next_run: NextRun | None) -> bool:
        if not self._holds(claim):
            return False
        uid = claim.policy.uid
        self._policies[uid] = replace(self._policies[uid], next_run=next_run)
        del self._leases[uid]
        return True

    async def postpone(self, claim: Claim, *, until: datetime) -> bool:
        if not self._holds(claim):
            return False
        self._leases[claim.policy.uid] = _Lease(until)
        return True

    def _holds(self, claim: Claim) -> bool:
        lease = self._leases.get(claim.policy.uid)
        return lease is not None and lease.token == claim.token


class FakeRegistries:
    """Knows some registries by name and by uid."""

    def __init__(self, *names: str) -> None:
        self.names = {name: name for name in names or ("registries/hub", "registries/backup", "registries/third")}
        self.urls: dict[str, str] = {}
        self.dimensions = frozenset(Dimension)
        self.sends_events = True
        self.path_rules: dict[str, PathRule] = {}
        self.reachable = True
        self.asked: list[str] = []

    async def find(self, name: str) -> str | None:
        self._ask(name)
        return self.names.get(name)

    async def look_up(self, name: str) -> Registered | None:
        found = await self.find(name)
        if found is None:
            return None
        return Registered(name=found, url=self.urls.get(found, f"https://{found}.example"))

    async def info(self, name: str) -> RegistryInfo:
        self._ask(f"{name} info")
        return RegistryInfo(
            filter_dimensions=self.dimensions,
            sends_events=self.sends_events,
            path_rule=self.path_rules.get(name, PathRule()),
        )

    def _ask(self, what: str) -> None:
        self.asked.append(what)
        if not self.reachable:
            raise ServiceUnavailable(service="registry")
