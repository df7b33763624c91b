"""Names that a regular expression makes of others."""

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from replication.errors import PatternInvalid
from replication.linear_regex import compile_groups

MAX_REPLACEMENT_CHARS: Final = 512

_PIECE: Final = re.compile(r"(?P<text>[^\\]+)|\\(?P<group>[0-9])|\\(?P<backslash>\\)")


class ReplacementInvalid(PatternInvalid):
    """The replacement cannot be read, or has a group that the expression has not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegexRewrite:
    r"""What a name that the expression matches as a whole becomes: `\1` to `\9` are its groups, `\0` is all of it."""

    regex: str
    replacement: str

    def check(self) -> None:
        """Raises RegexInvalid or ReplacementInvalid."""
        _compile(self.regex, self.replacement)

    def apply(self, name: str) -> str:
        """The new name; the name itself when the expression does not match it.

        Raises:
            RegexInvalid, ReplacementInvalid: as check.
        """
        return _compile(self.regex, self.replacement)(name)


@functools.lru_cache(maxsize=64)
def _compile(regex: str, replacement: str) -> Callable[[str], str]:
    count, groups_of = compile_groups(regex)
    pieces = _pieces(replacement, count)

    def rewrite(name: str) -> str:
        groups = groups_of(name)
        if groups is None:
            return name
        return "".join(groups[piece] if isinstance(piece, int) else piece for piece in pieces)

    return rewrite


def _pieces(replacement: str, groups: int) -> list[str | int]:
    """Texts, and the numbers of groups between them."""
    if len(replacement) > MAX_REPLACEMENT_CHARS:
        why = f"the replacement is longer than {MAX_REPLACEMENT_CHARS} characters"
        raise ReplacementInvalid(replacement, why, MAX_REPLACEMENT_CHARS)
    pieces: list[str | int] = []
    at = 0
    while at < len(replacement):
        if not (found := _PIECE.match(replacement, at)):
            raise ReplacementInvalid(replacement, r"after a backslash comes a digit, or another backslash", at)
        group = found["group"]
        if group is not None and int(group) > groups:
            raise ReplacementInvalid(replacement, rf"\{group}: the expression has {groups} groups", at)
        pieces.append(int(group) if group is not None else found["text"] or "\\")
        at = found.end()
    return pieces
