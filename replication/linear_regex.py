"""The one door to google-re2, which has no types: expressions that match in linear time, whatever the pattern."""

from collections.abc import Callable

import re2  # type: ignore[import-untyped]


def compile_regex(regex: str) -> Callable[[str], bool]:
    """Tells of a text whether the whole of it matches."""
    options = re2.Options()
    options.never_capture = True
    options.log_errors = False
    compiled = re2.compile(regex, options)

    def matches(text: str) -> bool:
        # A registry's JSON may hold half a surrogate pair, which UTF-8 cannot spell and no pattern names.
        return compiled.fullmatch(text.encode(errors="replace")) is not None

    return matches
