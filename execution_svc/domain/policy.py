"""A policy as an execution keeps it: as it was when the execution started."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where artifacts go. At most one of namespace and repository says how they are named there."""

    registry: str
    namespace: str = ""
    repository: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a run needs to know of its policy, and the policy's whole document to show and to take the filters from."""

    name: str
    source_registry: str
    destinations: tuple[Destination, ...]
    override: bool
    disabled: bool
    document: Mapping[str, Any]

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads the JSON form of `transship.policy.v1.Policy`, with the field names of the proto."""
        return cls(
            name=document.get("name", ""),
            source_registry=document["source_registry"],
            destinations=tuple(
                Destination(
                    registry=each["registry"],
                    namespace=each.get("namespace", ""),
                    repository=each.get("repository", ""),
                )
                for each in document["destinations"]
            ),
            override=document.get("override", False),
            disabled=document.get("disabled", False),
            document=document,
        )

    @property
    def collisions_possible(self) -> bool:
        """Whether two repositories of the source may meet at one repository of a destination.

        Names that are kept never do, and a fixed repository has a single source. A namespace drops path components; and
        two destinations in one registry may overlap.
        """
        registries = {destination.registry for destination in self.destinations}
        return len(registries) < len(self.destinations) or any(each.namespace for each in self.destinations)
