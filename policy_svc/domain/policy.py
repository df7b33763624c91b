"""The policy: what is replicated from where to where."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self

from replication.filters import FilterRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where artifacts go. At most one of `namespace` and `repository` is set."""

    registry: str
    namespace: str | None = None
    repository: str | None = None

    @property
    def keeps_names(self) -> bool:
        return self.namespace is None and self.repository is None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferOptions:
    """How artifacts are copied. What is empty or 0 restricts nothing; the limit holds for all workers together."""

    platforms: tuple[str, ...] = ()
    referrers: bool = False
    referrer_types: tuple[str, ...] = ()
    foreign_layers: bool = False
    max_bytes_per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec:
    """What people say of a policy; the rest is the server's. Registries go by their resource names."""

    description: str = ""
    source_registry: str
    destinations: tuple[Destination, ...]
    filters: tuple[FilterRule, ...] = ()
    override: bool = False
    disabled: bool = False
    options: TransferOptions = TransferOptions()

    @property
    def registries(self) -> frozenset[str]:
        """The source and every destination."""
        return frozenset({self.source_registry, *(each.registry for each in self.destinations)})

    def with_registries(self, rename: Callable[[str], str]) -> Self:
        return replace(
            self,
            source_registry=rename(self.source_registry),
            destinations=tuple(replace(each, registry=rename(each.registry)) for each in self.destinations),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A stored policy. `revision` grows with every change."""

    id: str
    uid: str
    spec: PolicySpec
    create_time: datetime
    update_time: datetime
    revision: int = 1

    @property
    def name(self) -> str:
        return f"policies/{self.id}"

    @property
    def etag(self) -> str:
        """Differs between revisions, and between policies that had the same id one after the other."""
        return f"{self.uid}-{self.revision}"

    def changed(self, spec: PolicySpec, now: datetime) -> Self:
        """The next revision."""
        return replace(self, spec=spec, update_time=now, revision=self.revision + 1)
