"""A policy as an execution keeps it: as it was when the execution started."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from replication.mapping import ALL_BUT_LAST
from replication.mapping import Mapping as Names
from replication.rewriting import RegexRewrite

KEPT: Final = Names()


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where artifacts go, and how they are named there."""

    registry: str
    names: Names = KEPT

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads the JSON form of `transship.policy.v1.Destination`."""
        rewrite = document.get("rewrite")
        names = Names(
            namespace=document.get("namespace", ""),
            replace_count=document.get("replace_count", ALL_BUT_LAST),
            repository=document.get("repository", ""),
            template=document.get("template", ""),
            rewrite=RegexRewrite(regex=rewrite["regex"], replacement=rewrite["replacement"]) if rewrite else None,
            tag=document.get("tag", ""),
        )
        return cls(registry=document["registry"], names=names)

    @property
    def keeps_apart(self) -> bool:
        """Whether what differs at the source differs there: names that are kept or only get something before them."""
        names = self.names
        if names.tag or names.rewrite:
            return False
        if names.template:
            return "{" not in names.template.replace("{registry}", "").replace("{path}", "", 1)
        return not names.namespace or names.replace_count == 0  # and a fixed repository has a single source


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
            destinations=tuple(map(Destination.of_document, document["destinations"])),
            override=document.get("override", False),
            disabled=document.get("disabled", False),
            document=document,
        )

    @property
    def identity(self) -> str:
        """What it is known by for ever; an inline policy has none."""
        return self.document.get("uid") or self.name

    @property
    def deletes_on_event(self) -> bool:
        """Whether what events say was deleted is deleted at the destinations too."""
        return bool(self.document.get("deletion", {}).get("on_event"))

    @property
    def source_id(self) -> str:
        """The id of the source, as templates of names have it."""
        return self.source_registry.rpartition("/")[2]

    @property
    def collisions_possible(self) -> bool:
        """Whether two repositories or tags of the source may meet at one place of a destination.

        Two destinations in one registry may overlap, too.
        """
        registries = {destination.registry for destination in self.destinations}
        return len(registries) < len(self.destinations) or not all(each.keeps_apart for each in self.destinations)

    @property
    def registries_alike(self) -> list[str]:
        """Where all repositories are named as at the source, so that a project there holds what the source's does."""
        registries = [each.registry for each in self.destinations]
        kept = {each.registry for each in self.destinations if each.names.keeps_repositories}
        return sorted(each for each in kept if registries.count(each) == 1)

    @property
    def registries_by_tag(self) -> list[str]:
        """Where tags are mapped, so that repositories may be folded into one as long as their tags differ."""
        return sorted({each.registry for each in self.destinations if each.names.tag})
