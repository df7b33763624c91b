"""Which repositories and artifacts a policy replicates: ordered rules, of which the last that matches decides."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from replication.errors import PatternInvalid
from replication.glob import MAX_LITERALS, literals
from replication.linear_regex import TextMatcher
from replication.matchers import Glob, Matcher, Semver
from replication.names import is_repository_name
from replication.rejection import Cause, Rejection


class Dimension(StrEnum):
    """What a rule looks at."""

    NAME = "name"
    TAG = "tag"
    LABEL = "label"
    RESOURCE_TYPE = "resource_type"


class Action(StrEnum):
    """What a rule does with that which matches."""

    INCLUDE = "include"
    EXCLUDE = "exclude"


_WORDS: Final = {
    Dimension.NAME: "name",
    Dimension.TAG: "tag",
    Dimension.LABEL: "label",
    Dimension.RESOURCE_TYPE: "resource type",
}


class MatcherMisplaced(PatternInvalid):
    """A range of versions matches tags only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRule:
    """One rule of the ordered list."""

    dimension: Dimension
    action: Action = Action.INCLUDE
    matcher: Matcher

    def compile(self) -> TextMatcher:
        """Tells of a text whether the rule matches it.

        Raises:
            PatternInvalid: the matcher cannot be used.
        """
        if isinstance(self.matcher, Semver) and self.dimension is not Dimension.TAG:
            raise MatcherMisplaced(self.matcher.text, f"a range of versions matches tags only, not a {self.dimension}")
        return self.matcher.compile()


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A rule with its place in the policy's list."""

    index: int
    rule: FilterRule
    includes: bool
    matches: TextMatcher


@dataclass(frozen=True, slots=True)
class _Rules:
    """The rules of one dimension, the last one first."""

    dimension: Dimension
    backwards: tuple[_Compiled, ...]
    default: bool  # what becomes of a text that no rule matches: the opposite of what the first rule does

    @classmethod
    def compile(cls, rules: Iterable[FilterRule], dimension: Dimension) -> Self:
        compiled = [
            _Compiled(index, rule, rule.action is Action.INCLUDE, rule.compile())
            for index, rule in enumerate(rules)
            if rule.dimension is dimension
        ]
        return cls(dimension, tuple(reversed(compiled)), default=not compiled or not compiled[0].includes)

    def passes(self, text: str) -> bool:
        for each in self.backwards:
            if each.matches(text):
                return each.includes
        return self.default

    def reject(self, text: str) -> Rejection | None:
        """As passes, with the reason. The usual case, that it passes, costs nothing more."""
        for each in self.backwards:
            if each.matches(text):
                return None if each.includes else _excluded(each, text)
        return None if self.default else self._not_included(text)

    def _not_included(self, text: str) -> Rejection:
        including = [each for each in self.backwards if each.includes]
        only = including[0] if len(including) == 1 else None
        wanted = _described(only) if only else "any filter that includes"
        return Rejection(
            cause=Cause.NOT_INCLUDED,
            filter_index=only.index if only else None,
            message=f"the {_WORDS[self.dimension]} {text!r} does not match {wanted}",
        )


@dataclass(frozen=True, slots=True)
class _LabelRules:
    """The rules on labels, of which an artifact has any number: each including rule has to match one of them."""

    rules: tuple[_Compiled, ...]

    @classmethod
    def compile(cls, rules: Iterable[FilterRule]) -> Self:
        return cls(tuple(reversed(_Rules.compile(rules, Dimension.LABEL).backwards)))

    def reject(self, labels: Collection[str]) -> Rejection | None:
        for each in self.rules:
            found = next(filter(each.matches, labels), None)
            if found is None and each.includes:
                message = f"no label matches {_described(each)}"
                return Rejection(cause=Cause.NOT_INCLUDED, filter_index=each.index, message=message)
            if found is not None and not each.includes:
                return _excluded(each, found)
        return None


@dataclass(frozen=True, slots=True)
class Selection:
    """The compiled rules of a policy."""

    rules: tuple[FilterRule, ...]
    _names: _Rules
    _tags: _Rules
    _labels: _LabelRules
    _resource_types: _Rules

    @classmethod
    def compile(cls, rules: Sequence[FilterRule]) -> Self:
        """The selection that the rules describe; without rules, everything.

        Raises:
            PatternInvalid: a matcher cannot be used.
        """
        return cls(
            tuple(rules),
            _Rules.compile(rules, Dimension.NAME),
            _Rules.compile(rules, Dimension.TAG),
            _LabelRules.compile(rules),
            _Rules.compile(rules, Dimension.RESOURCE_TYPE),
        )

    def looks_at(self, dimension: Dimension) -> bool:
        """Whether a rule is on this dimension; what no rule looks at need not be asked of the registry."""
        return any(rule.dimension is dimension for rule in self.rules)

    def repository_passes(self, name: str) -> bool:
        return self._names.passes(name)

    def reject_repository(self, name: str) -> Rejection | None:
        """Why the repository does not pass; None when it does."""
        return self._names.reject(name)

    def tag_passes(self, tag: str) -> bool:
        """Tells of a tag whether it is replicated; an artifact without a tag is the empty string."""
        return self._tags.passes(tag)

    def reject_tag(self, tag: str) -> Rejection | None:
        """Why the tag does not pass; None when it does."""
        return self._tags.reject(tag)

    def labels_pass(self, labels: Collection[str]) -> bool:
        """Tells of an artifact, by all of its labels, whether it is replicated."""
        return self._labels.reject(labels) is None

    def reject_labels(self, labels: Collection[str]) -> Rejection | None:
        """Why an artifact with these labels does not pass; None when it does."""
        return self._labels.reject(labels)

    def resource_type_passes(self, resource_type: str) -> bool:
        return self._resource_types.passes(resource_type)

    def reject_resource_type(self, resource_type: str) -> Rejection | None:
        """Why an artifact of this type does not pass; None when it does."""
        return self._resource_types.reject(resource_type)

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
        texts = literals(rule.matcher.text) if isinstance(rule.matcher, Glob) else None
        if rule.action is Action.EXCLUDE or texts is None:
            return None
        names.update(dict.fromkeys(filter(is_repository_name, texts)))
    return list(names) if name_rules and len(names) <= MAX_LITERALS else None


def _excluded(by: _Compiled, text: str) -> Rejection:
    message = f"the {_WORDS[by.rule.dimension]} {text!r} is excluded by {_described(by)}"
    return Rejection(cause=Cause.EXCLUDED, filter_index=by.index, message=message)


def _described(each: _Compiled) -> str:
    # Expressions are full of backslashes, and are to be read as they were written.
    text = repr(each.rule.matcher.text).replace("\\\\", "\\")
    return f"the {each.rule.matcher.kind} {text}"
