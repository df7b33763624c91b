"""The policy: what is replicated from where to where, how, and when."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from policy_svc.domain.schedule import DEFAULT_ZONE
from policy_svc.domain.trigger import MANUAL, NextRun, ScheduledTrigger, Trigger
from replication.filters import FilterRule
from replication.mapping import ALL_BUT_LAST, Mapping
from replication.newest import Newest
from replication.rewriting import RegexRewrite


class Overlap(StrEnum):
    """What becomes of a run that is to start while another one of the policy has not ended."""

    QUEUE = "queue"
    SKIP = "skip"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where artifacts go. What is empty says nothing; at most one field names repositories."""

    registry: str
    namespace: str = ""
    replace_count: int | None = None
    repository: str = ""
    template: str = ""
    rewrite: RegexRewrite | None = None
    tag: str = ""

    @property
    def mapping(self) -> Mapping:
        """How things are named there."""
        return Mapping(
            namespace=self.namespace,
            replace_count=ALL_BUT_LAST if self.replace_count is None else self.replace_count,
            repository=self.repository,
            template=self.template,
            rewrite=self.rewrite,
            tag=self.tag,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """How artifacts are copied. What is empty or 0 restricts nothing; the limit holds for all workers together."""

    platforms: tuple[str, ...] = ()
    referrers: bool = False
    referrer_types: tuple[str, ...] = ()
    foreign_layers: bool = False
    max_bytes_per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prune:
    """Deletes what the source no longer has, within its guards; a guard of 0 is none."""

    max_percent: int = 0
    max_tags: int = 0
    grace_period: timedelta = timedelta()


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What is deleted at the destinations."""

    on_event: bool = False
    prune: Prune | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """A time of the day, `22:00` to `06:00`, at which tasks may start. Days are 1 (Monday) to 7; none are all."""

    start: str
    end: str
    days: tuple[int, ...] = ()
    time_zone: str = DEFAULT_ZONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Which ended executions are kept; a count of 0 and no age are no limits."""

    max_count: int = 0
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec:
    """What people say of a policy; the rest is the server's. Registries go by their resource names."""

    description: str = ""
    source_registry: str
    destinations: tuple[Destination, ...]
    filters: tuple[FilterRule, ...] = ()
    newest: Newest | None = None
    override: bool = False
    backup_tag: str = ""
    disabled: bool = False
    trigger: Trigger = MANUAL
    options: TransferOptions = TransferOptions()
    deletion: Deletion | None = None
    overlap: Overlap = Overlap.QUEUE
    max_parallel_tasks: int = 0
    windows: tuple[TimeWindow, ...] = ()
    retention: Retention | None = None

    @property
    def registries(self) -> frozenset[str]:
        """The source and every destination."""
        return frozenset({self.source_registry, *(each.registry for each in self.destinations)})

    @property
    def source_id(self) -> str:
        """The id of the source, as templates name it."""
        return self.source_registry.removeprefix("registries/")

    def with_registries(self, rename: Callable[[str], str]) -> Self:
        return replace(
            self,
            source_registry=rename(self.source_registry),
            destinations=tuple(replace(each, registry=rename(each.registry)) for each in self.destinations),
        )

    def next_run(self, after: datetime, *, key: str) -> NextRun | None:
        """The first run after the moment; None when it has no schedule that goes on, or is disabled."""
        if self.disabled or not isinstance(self.trigger, ScheduledTrigger):
            return None
        return self.trigger.next_run(after, key=key)

    def runs_as(self, other: "PolicySpec") -> bool:
        """Whether both run at the same times."""
        return (self.trigger, self.disabled) == (other.trigger, other.disabled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A stored policy. `revision` grows with every change that people make; the next run moves on without one."""

    id: str
    uid: str
    spec: PolicySpec
    create_time: datetime
    update_time: datetime
    revision: int = 1
    next_run: NextRun | None = None

    @classmethod
    def new(cls, policy_id: str, uid: str, spec: PolicySpec, now: datetime) -> Self:
        next_run = spec.next_run(now, key=uid)
        return cls(id=policy_id, uid=uid, spec=spec, create_time=now, update_time=now, next_run=next_run)

    @property
    def name(self) -> str:
        return f"policies/{self.id}"

    @property
    def etag(self) -> str:
        """Differs between revisions, and between policies that had the same id one after the other."""
        return f"{self.uid}-{self.revision}"

    def changed(self, spec: PolicySpec, now: datetime) -> Self:
        """The next revision. A schedule that stays as it is does not begin anew, so that no run that is due is lost."""
        next_run = self.next_run if spec.runs_as(self.spec) else spec.next_run(now, key=self.uid)
        return replace(self, spec=spec, update_time=now, revision=self.revision + 1, next_run=next_run)
