"""What policies have to know of registries."""

from dataclasses import dataclass

from replication.filters import Dimension
from replication.mapping import PathRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registry by its true name. Two with one URL are one place."""

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryInfo:
    """What a registry's adapter can do, and which paths it takes."""

    filter_dimensions: frozenset[Dimension]
    sends_events: bool
    path_rule: PathRule
