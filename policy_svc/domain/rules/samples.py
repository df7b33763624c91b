"""What mappings do to the names that a policy's filters let through."""

from collections.abc import Mapping as Dictionary
from dataclasses import dataclass
from typing import Final, Self

from policy_svc.domain.policy import PolicySpec
from replication.filters import Action, Dimension, Selection, literal_repositories
from replication.mapping import MappedTagInvalid, Mapping, MappingInvalid, ReplaceCountTooLarge
from replication.matchers import Glob, Regex
from replication.names import is_repository_name

# Stand for the names of a source that are not known: what a mapping does to all of these it does to any.
ANY_NAMES: Final = ("some-name", "some/name", "some/other/name")
ANY_TAG: Final = "some-tag"
_ANY: Final = {"**": "some/name", "*": "some", "?": "x"}

# Names and what they are called at a destination, with a tag: nothing where the mapping has no name for them.
Called = Dictionary[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Names that show what a mapping does: all that the filters let through, if these are literal, or examples."""

    names: tuple[str, ...]
    are_all: bool
    source_id: str

    @classmethod
    def of(cls, spec: PolicySpec) -> Self:
        literals = literal_repositories(spec.filters)
        names = literals if literals is not None else _examples(spec) or ANY_NAMES
        return cls(names=tuple(names), are_all=literals is not None, source_id=spec.source_id)

    def called(self, mapping: Mapping) -> Called:
        """What the mapping makes of the names.

        A rewrite keeps what it does not match; of examples, whether there are such names is not known, and they are
        left out.
        """
        matches = Regex(mapping.rewrite.regex).compile() if mapping.rewrite and not self.are_all else None
        return {name: self._called(name, mapping) for name in self.names if not matches or matches(name)}

    def is_kept_by(self, called: Called) -> bool:
        """Whether some repository that is named, or every one that the filters let through, keeps its name and tags."""
        kept = [there == f"{name}:{ANY_TAG}" for name, there in called.items()]
        return any(kept) if self.are_all else bool(kept) and all(kept)

    def _called(self, repository: str, mapping: Mapping) -> str | None:
        try:
            there = mapping.map_repository(repository, registry=self.source_id)
            return f"{there}:{mapping.map_tag(ANY_TAG, repository=repository, registry=self.source_id)}"
        except (MappingInvalid, MappedTagInvalid, ReplaceCountTooLarge):  # told when it is replicated
            return None


def are_alike(one: Called, other: Called) -> bool:
    """Whether two mappings make the same of all that is known of both."""
    both = one.keys() & other.keys()
    return bool(both) and all(one[name] is not None and one[name] == other[name] for name in both)


def _examples(spec: PolicySpec) -> list[str]:
    """Names that the filters let through, made of the patterns that include; none when that cannot be done."""
    selection = Selection.compile(spec.filters)
    names = []
    for rule in spec.filters:
        if rule.dimension is not Dimension.NAME or rule.action is not Action.INCLUDE:
            continue
        if not isinstance(rule.matcher, Glob):
            return []
        name = rule.matcher.text
        for wildcard, text in _ANY.items():
            name = name.replace(wildcard, text)
        if not is_repository_name(name) or not selection.repository_passes(name):
            return []
        names.append(name)
    return names
