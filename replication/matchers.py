"""How a rule matches a text: by a glob, a regular expression or a range of versions."""

from dataclasses import dataclass
from typing import ClassVar, Final

from replication.glob import compile_glob
from replication.linear_regex import TextMatcher, compile_written_regex
from replication.semver import compile_range


@dataclass(frozen=True, slots=True)
class Glob:
    """Matches by Harbor's globs; README.md teaches them."""

    kind: ClassVar = "glob"
    text: str

    def compile(self) -> TextMatcher:
        """Raises GlobInvalid when the pattern breaks the grammar."""
        return compile_glob(self.text)


@dataclass(frozen=True, slots=True)
class Regex:
    """Matches by a regular expression of RE2, over the whole text."""

    kind: ClassVar = "regex"
    text: str

    def compile(self) -> TextMatcher:
        """Raises RegexInvalid when it breaks RE2's syntax or a limit."""
        return compile_written_regex(self.text)


@dataclass(frozen=True, slots=True)
class Semver:
    """Matches tags that are versions in a range."""

    kind: ClassVar = "semver"
    text: str

    def compile(self) -> TextMatcher:
        """Raises RangeInvalid when the range cannot be read."""
        return compile_range(self.text)


Matcher = Glob | Regex | Semver

# By kind, which is also the name of the field in Filter.
MATCHERS: Final[dict[str, type[Matcher]]] = {each.kind: each for each in (Glob, Regex, Semver)}
