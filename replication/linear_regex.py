"""The one door to google-re2, which has no types: expressions that match in linear time, whatever the pattern."""

from collections.abc import Callable
from typing import Any, Final

import re2  # type: ignore[import-untyped]

from replication.errors import PatternInvalid

MAX_REGEX_CHARS: Final = 1024
MAX_MEMORY_BYTES: Final = 1024 * 1024  # program and automaton of one expression; a policy may have 200 of them

TextMatcher = Callable[[str], bool]


class RegexInvalid(PatternInvalid):
    """The regular expression is not one of RE2's, or too large."""


def compile_regex(regex: str) -> TextMatcher:
    """Tells of a text whether the whole of it matches. The expression is one of ours: no limits, no friendly errors."""
    return _matcher(re2.compile(regex, _options()))


def compile_written_regex(regex: str) -> TextMatcher:
    """As compile_regex, for an expression that somebody wrote.

    Raises:
        RegexInvalid: it breaks RE2's syntax or a limit.
    """
    return _matcher(_compile_written(regex, never_capture=True))


def compile_groups(regex: str) -> tuple[int, Callable[[str], list[str] | None]]:
    """How many groups the written expression has; and a function that gives the groups of a text, None if it differs.

    The first of them is the whole text. A group that took no part in the match is empty.

    Raises:
        RegexInvalid: it breaks RE2's syntax or a limit.
    """
    compiled = _compile_written(regex, never_capture=False)

    def groups(text: str) -> list[str] | None:
        match = compiled.fullmatch(_encoded(text))
        if match is None:
            return None
        # `\C` may cut a character in two.
        return [(match[index] or b"").decode(errors="replace") for index in range(compiled.groups + 1)]

    return compiled.groups, groups


def _compile_written(regex: str, *, never_capture: bool) -> Any:
    if len(regex) > MAX_REGEX_CHARS:
        why = f"the expression is longer than {MAX_REGEX_CHARS} characters"
        raise RegexInvalid(regex, why, MAX_REGEX_CHARS)
    options = _options()
    options.never_capture = never_capture
    options.max_mem = MAX_MEMORY_BYTES
    try:
        return re2.compile(_encodable(regex), options)
    except re2.error as error:
        raise _invalid(regex, error.args[0].decode(errors="replace")) from error


def _invalid(regex: str, told: str) -> RegexInvalid:
    """RE2 tells what is wrong and, after a colon, the piece of the expression that is."""
    why, _, piece = told.partition(": ")
    if why == "pattern too large - compile failed":
        return RegexInvalid(regex, f"the expression needs more than {MAX_MEMORY_BYTES // 1024} KiB: make it simpler")
    # Of an open parenthesis it gives the whole expression, which is no place.
    position = regex.find(piece) if piece not in {"", regex} and regex.count(piece) == 1 else None
    return RegexInvalid(regex, told, position)


def _options() -> Any:
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    return options


def _matcher(compiled: Any) -> TextMatcher:
    def matches(text: str) -> bool:
        return compiled.fullmatch(_encoded(text)) is not None

    return matches


def _encoded(text: str) -> bytes:
    # A registry's JSON may hold half a surrogate pair, which UTF-8 cannot spell and no pattern names.
    return text.encode(errors="replace")


def _encodable(regex: str) -> str:
    try:
        regex.encode()
    except UnicodeEncodeError as error:
        raise RegexInvalid(regex, "half a surrogate pair is no character", error.start) from error
    return regex
