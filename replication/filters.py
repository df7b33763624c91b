"""Which repositories and tags a policy replicates: ordered rules, of which the last that matches decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from replication.glob import MAX_LITERALS, Glob, compile_glob, literals
from replication.names import is_repository_name


class Dimension(StrEnum):
    """What a rule looks at."""

    NAME = "name"
    TAG = "tag"


class Action(StrEnum):
    """What a rule does with that which matches."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRule:
    """One rule of the ordered list."""

    dimension: Dimension
    action: Action = Action.INCLUDE
    glob: str


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one dimension, compiled."""

    globs: tuple[tuple[Action, Glob], ...]

    @classmethod
    def compile(cls, rules: Iterable[FilterRule], dimension: Dimension) -> Self:
        return cls(tuple((rule.action, compile_glob(rule.glob)) for rule in rules if rule.dimension is dimension))

    def passes(self, text: str) -> bool:
        for action, glob in reversed(self.globs):
            if glob.matches(text):
                return action is Action.INCLUDE
        # What no rule matches is the opposite of what the first rule does.
        return not self.globs or self.globs[0][0] is Action.EXCLUDE


@dataclass(frozen=True, slots=True)
class Selection:
    """The compiled rules of a policy."""

    rules: tuple[FilterRule, ...]
    _names: _Rules
    _tags: _Rules

    @classmethod
    def compile(cls, rules: Sequence[FilterRule]) -> Self:
        """The selection that the rules describe; without rules, everything.

        Raises:
            GlobInvalid: a pattern breaks the grammar.
        """
        return cls(tuple(rules), _Rules.compile(rules, Dimension.NAME), _Rules.compile(rules, Dimension.TAG))

    def repository_passes(self, name: str) -> bool:
        return self._names.passes(name)

    def tag_passes(self, tag: str) -> bool:
        """Tells of a tag whether it is replicated; an artifact without a tag is the empty string."""
        return self._tags.passes(tag)

    def literal_repositories(self) -> list[str] | None:
        """The repositories that pass, when the rules name each of them; None when the registry has to be listed."""
        return literal_repositories(self.rules)


def literal_repositories(rules: Iterable[FilterRule]) -> list[str] | None:
    """As Selection.literal_repositories, without compiling the rules.

    Names that no registry can have are left out, as they would be if it were listed.

    Raises:
        GlobInvalid: a pattern breaks the grammar.
    """
    name_rules = [rule for rule in rules if rule.dimension is Dimension.NAME]
    names: dict[str, None] = {}
    for rule in name_rules:
        texts = literals(rule.glob)
        if rule.action is Action.EXCLUDE or texts is None:
            return None
        names.update(dict.fromkeys(filter(is_repository_name, texts)))
    return list(names) if name_rules and len(names) <= MAX_LITERALS else None
