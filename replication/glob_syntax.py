"""The syntax of globs: a pattern is a path of components, and a component is a row of atoms.

The grammar is that of doublestar 1.3, which Harbor uses, with `/` as the only separator; README.md teaches it.
"""

from dataclasses import dataclass
from typing import Final

from replication.errors import PatternInvalid

MAX_PATTERN_CHARS: Final = 1024
MAX_NESTING: Final = 16  # braces in braces; nobody writes more than two or three

_SPECIAL_IN_BRACES: Final = frozenset("{},")


class GlobInvalid(PatternInvalid):
    """The pattern breaks the grammar, at `position`."""


@dataclass(frozen=True, slots=True)
class Literal:
    char: str


@dataclass(frozen=True, slots=True)
class Stars:
    """One or more stars in a row."""

    count: int


@dataclass(frozen=True, slots=True)
class OneOf:
    """One character: any (`?`), or one that a class holds or leaves out."""

    ranges: tuple[tuple[str, str], ...] = ()
    negated: bool = True


@dataclass(frozen=True, slots=True)
class Group:
    """`{a,b}`: each alternative is a path of its own, whose ends join their neighbours' components."""

    alternatives: tuple["Path", ...]


Atom = Literal | Stars | OneOf | Group
Component = tuple[Atom, ...]
Path = tuple[Component, ...]


class _Parser:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._depth = 0

    def path(self) -> Path:
        """Reads up to the end of the pattern or, within braces, of the alternative."""
        components: list[list[Atom]] = [[]]
        while (char := self._peek()) and not (self._depth and char in ",}"):
            if char == "/":
                self._at += 1
                components.append([])
            else:
                components[-1].append(self._atom(char))
        return tuple(map(tuple, components))

    def _atom(self, char: str) -> Atom:
        match char:
            case "*":
                return self._stars()
            case "?":
                self._at += 1
                return OneOf()
            case "[":
                return self._class()
            case "{":
                return self._group()
            case _:
                return Literal(self._char())

    def _stars(self) -> Stars:
        start = self._at
        while self._peek() == "*":
            self._at += 1
        return Stars(self._at - start)

    def _char(self) -> str:
        """Reads one character that stands for itself, perhaps after a backslash."""
        start = self._at
        escaped = self._peek() == "\\"
        self._at += escaped
        char = self._peek()
        if not char:
            raise self._invalid(start, "the backslash has no character after it")
        if escaped and char == "/":
            raise self._invalid(start, "the separator / cannot be escaped")
        self._at += 1
        return char

    def _group(self) -> Group:
        start = self._at
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._invalid(start, f"braces are nested more than {MAX_NESTING} deep")
        alternatives: list[Path] = []
        while not alternatives or self._peek() == ",":
            self._at += 1
            alternatives.append(self.path())
        if self._peek() != "}":
            raise self._invalid(start, "the brace { is not closed")
        self._at += 1
        self._depth -= 1
        return Group(tuple(alternatives))

    def _class(self) -> OneOf:
        start = self._at
        self._at += 1
        negated = self._peek() == "^"
        self._at += negated
        ranges = []
        while self._peek() != "]":
            ranges.append(self._range(start))
        if not ranges:
            raise self._invalid(start, "the class [] is empty")
        self._at += 1
        return OneOf(tuple(ranges), negated=negated)

    def _range(self, opened: int) -> tuple[str, str]:
        start = self._at
        low = high = self._member(opened)
        if self._peek() == "-":
            self._at += 1
            high = self._member(opened)
        if high < low:
            raise self._invalid(start, f"the range {low}-{high} runs backwards")
        return low, high

    def _member(self, opened: int) -> str:
        char = self._peek()
        if not char:
            raise self._invalid(opened, "the class [ is not closed")
        if char in "-]":
            raise self._invalid(self._at, "a - in a class stands between two characters, or is escaped as \\-")
        if self._depth and char in _SPECIAL_IN_BRACES:  # braces and commas are read first, as Harbor does
            raise self._invalid(self._at, f"within braces, a {char} in a class is escaped as \\{char}")
        return self._char()

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _invalid(self, position: int, why: str) -> GlobInvalid:
        return GlobInvalid(self._pattern, why, position)


def parse(pattern: str) -> Path:
    if len(pattern) > MAX_PATTERN_CHARS:
        raise GlobInvalid(pattern, f"the pattern is longer than {MAX_PATTERN_CHARS} characters", MAX_PATTERN_CHARS)
    return _Parser(pattern).path()
