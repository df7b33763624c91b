"""Semantic versions as tags write them, and ranges of them as npm reads those."""

import itertools
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from replication.errors import PatternInvalid
from replication.linear_regex import TextMatcher
from replication.names import MAX_TAG_CHARS

MAX_RANGE_CHARS: Final = 256

_NUMBER: Final = "0|[1-9][0-9]*"
_STAGE: Final = rf"(?:{_NUMBER}|[0-9]*[a-zA-Z-][0-9a-zA-Z-]*)"
_SUFFIX: Final = (
    rf"(?:-(?P<stages>{_STAGE}(?:\.{_STAGE})*))?"
    # A tag has no plus sign, so Helm writes an underscore.
    r"(?:[+_][0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
)
_VERSION: Final = re.compile(rf"v?(?P<major>{_NUMBER})(?:\.(?P<minor>{_NUMBER})(?:\.(?P<patch>{_NUMBER}))?)?{_SUFFIX}")

_PART: Final = rf"{_NUMBER}|[xX*]"
_COMPARISON: Final = re.compile(
    rf"(?P<operator>>=|<=|>|<|=|~|\^|)\s*v?(?P<major>{_PART})(?:\.(?P<minor>{_PART})(?:\.(?P<patch>{_PART}))?)?{_SUFFIX}"
    r"(?=\s|$)"
)

Core = tuple[int, int, int]  # major, minor and patch number
_Stage = tuple[int, int, str]
_Stages = tuple[_Stage, ...]

# They order a version's stages: before all pre-releases of a version, and the release behind them.
_EARLIEST: Final[_Stages] = ()
_RELEASE: Final[_Stages] = ((2, 0, ""),)
_NEXT: Final[_Stage] = (-1, 0, "")  # what has this after its stages comes right behind what has not


class RangeInvalid(PatternInvalid):
    """The range of versions cannot be read."""


class Version(NamedTuple):
    """A version, ordered as https://semver.org/#spec-item-11 says; what differs in the build only is equal."""

    core: Core
    stages: _Stages = _RELEASE


_LOWEST: Final = Version((0, 0, 0), _EARLIEST)
_ABOVE_ALL: Final = Version((10**MAX_TAG_CHARS, 0, 0))


class _Span(NamedTuple):
    """The versions from `start` on, and below `end`."""

    start: Version
    end: Version


_EVERYTHING: Final = _Span(_LOWEST, _ABOVE_ALL)


class _Alternative(NamedTuple):
    """A span, and the versions whose pre-releases may be picked from it, as the range names one of them."""

    span: _Span
    with_stages: frozenset[Core]

    def holds(self, version: Version) -> bool:
        (start, end), with_stages = self
        return start <= version < end and (version.stages == _RELEASE or version.core in with_stages)


def parse_version(tag: str) -> Version | None:
    """The version that the tag is: `1.2.3`, also with a `v` before it or without its last numbers; None for others."""
    if len(tag) > MAX_TAG_CHARS or not (found := _VERSION.fullmatch(tag)):
        return None
    major, minor, patch, stages = found.group("major", "minor", "patch", "stages")
    return Version((int(major), int(minor or 0), int(patch or 0)), _stages(stages))


def compile_range(text: str) -> TextMatcher:
    """Tells of a tag whether it is a version in the range.

    Raises:
        RangeInvalid: the range cannot be read, or holds no version.
    """
    if len(text) > MAX_RANGE_CHARS:
        raise RangeInvalid(text, f"the range is longer than {MAX_RANGE_CHARS} characters", MAX_RANGE_CHARS)
    alternatives = []
    start = 0
    for part in text.split("||"):
        alternatives.append(_alternative(text, start, start + len(part)))
        start += len(part) + len("||")

    def matches(tag: str) -> bool:
        version = parse_version(tag)
        return version is not None and any(each.holds(version) for each in alternatives)

    return matches


def _stages(text: str | None) -> _Stages:
    """Numbers are compared as numbers and come before words."""
    if not text:
        return _RELEASE
    return tuple((0, int(each), "") if each.isdigit() else (1, 0, each) for each in text.split("."))


def _alternative(text: str, start: int, end: int) -> _Alternative:
    spans = []
    with_stages = set()
    at = _skip_spaces(text, start, end)
    while at < end:
        if not (found := _COMPARISON.match(text, at, end)):
            raise RangeInvalid(text, "a comparison is written as >=1.2.0, ~1.4, ^1.4 or 1.x", at)
        version, given = _partial(found, text)
        spans.append(_span(found["operator"], version, given, text, at))
        if version.stages != _RELEASE:
            with_stages.add(version.core)
        at = _skip_spaces(text, found.end(), end)
    if not spans:
        raise RangeInvalid(text, "a version is missing", start)
    span = _Span(max(each.start for each in spans), min(each.end for each in spans))
    if span.start >= span.end:
        raise RangeInvalid(text, "no version is in this range", start)
    return _Alternative(span, frozenset(with_stages))


def _skip_spaces(text: str, at: int, end: int) -> int:
    while at < end and text[at].isspace():
        at += 1
    return at


def _partial(found: re.Match[str], text: str) -> tuple[Version, int]:
    """The version of a comparison, and how many of its numbers are given; the others are 0."""
    parts = found.group("major", "minor", "patch")
    numbers = [int(part) for part in itertools.takewhile(_is_number, parts) if part]
    if any(map(_is_number, parts[len(numbers) :])):
        raise RangeInvalid(text, "a number stands behind a wildcard", found.start())
    if found["stages"] and len(numbers) < 3:
        raise RangeInvalid(text, "a pre-release needs all three numbers before it", found.start())
    return Version(_core(numbers), _stages(found["stages"])), len(numbers)


def _core(numbers: Sequence[int]) -> Core:
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def _is_number(part: str | None) -> bool:
    return part is not None and part.isdigit()


def _span(operator: str, version: Version, given: int, text: str, at: int) -> _Span:
    if given:
        return _Span(_start(operator, version, given), _end(operator, version, given))
    if operator in {"<", ">"}:
        raise RangeInvalid(text, "no version is in this range", at)
    return _EVERYTHING


def _start(operator: str, version: Version, given: int) -> Version:
    match operator:
        case "<" | "<=":
            return _LOWEST
        case ">" if given == 3:
            return _behind(version)
        case ">":  # as npm has it, >1.2 begins with 1.3.0
            return _following(version, given)._replace(stages=_RELEASE)
        case _:
            return version


def _end(operator: str, version: Version, given: int) -> Version:
    match operator:
        case ">" | ">=":
            return _ABOVE_ALL
        case "<":
            return version if given == 3 else version._replace(stages=_EARLIEST)
        case "~":
            return _following(version, min(given, 2))
        case "^":
            return _following(version, _first_nonzero(version, given))
        case _:
            return _behind(version) if given == 3 else _following(version, given)


def _behind(version: Version) -> Version:
    """Comes right behind the version, before all others."""
    return version._replace(stages=(*version.stages, _NEXT))


def _following(version: Version, count: int) -> Version:
    """Where the versions begin that are higher in their first `count` numbers: with the earliest of pre-releases."""
    *kept, last = version.core[:count]
    return Version(_core([*kept, last + 1]), _EARLIEST)


def _first_nonzero(version: Version, given: int) -> int:
    """Which number a caret keeps, counted from 1: the first that is not 0 or, if there is none, the last given."""
    return next((count for count, number in enumerate(version.core[:given], start=1) if number), given)
