"""Globs with Harbor's grammar, translated to one regular expression that matches in linear time."""

import itertools
from collections.abc import Iterable, Iterator
from enum import Enum, auto
from typing import Final, TypeVar, assert_never

from replication.glob_syntax import Atom, Component, GlobInvalid, Group, Literal, OneOf, Path, Stars, parse
from replication.linear_regex import TextMatcher, compile_regex

__all__ = ["GlobInvalid", "compile_glob", "first_components", "literals"]

MAX_LITERALS: Final = 1000  # texts of one pattern; beyond that, listing a registry is cheaper than asking for each

_NOTHING: Final = r"[^\x{0}-\x{10ffff}]"

_Item = TypeVar("_Item")


def compile_glob(pattern: str) -> TextMatcher:
    """Tells of a text whether the whole of it matches the pattern.

    Raises:
        GlobInvalid: the pattern breaks the grammar or a limit.
    """
    return compile_regex(_path_regex(parse(pattern), then=_Then.END, leading=True))


def literals(pattern: str) -> list[str] | None:
    """All texts that the pattern matches, in its order; None when it has a wildcard or stands for too many.

    Raises:
        GlobInvalid: the pattern breaks the grammar or a limit.
    """
    texts = _path_texts(parse(pattern))
    return None if texts is None else list(dict.fromkeys(texts))


def first_components(pattern: str) -> list[str] | None:
    """The first components of all paths that the pattern matches; None when there are too many to say.

    Raises:
        GlobInvalid: the pattern breaks the grammar or a limit.
    """
    texts = _path_texts(parse(pattern)[:1])
    return None if texts is None else list(dict.fromkeys(text.partition("/")[0] for text in texts))


def _path_texts(path: Path) -> list[str] | None:
    texts = [""]
    for index, component in enumerate(path):
        if index:
            texts = [f"{text}/" for text in texts]
        for atom in component:
            options = _atom_texts(atom)
            if options is None or len(texts) * len(options) > MAX_LITERALS:
                return None
            texts = [text + option for text in texts for option in options]
    return texts


def _atom_texts(atom: Atom) -> list[str] | None:
    match atom:
        case Literal(char):
            return [char]
        case Group(alternatives):
            texts = [_path_texts(path) for path in alternatives]
            return None if None in texts else [text for each in texts for text in each or ()]
        case Stars() | OneOf():
            return None
        case _:
            assert_never(atom)


class _Then(Enum):
    """What comes after a piece of the pattern; only a component that ends there can be a whole `**`."""

    END = auto()
    SEPARATOR = auto()
    MORE = auto()


def _path_regex(path: Path, *, then: _Then, leading: bool = False) -> str:
    """`leading` says that the pattern begins here, so that a `**` here is a whole component."""
    regex = separator = ""
    for component, after in _with_next(path, then=then, between=_Then.SEPARATOR):
        whole = bool(leading or separator) and after is not _Then.MORE
        if whole and component == (Stars(2),):
            regex += _any_components(after, leading=leading)
        else:
            regex += separator + _component_regex(component, then=after)
            leading, separator = False, "/"
    return regex


def _any_components(then: _Then, *, leading: bool) -> str:
    """`**`: at the start it takes the separator behind it along, elsewhere the one before it."""
    if leading:
        return "(?s:.*)" if then is _Then.END else "(?:[^/]*/)*"
    return "(?:/[^/]*)+" if then is _Then.END else "(?:/[^/]*)*"


def _component_regex(component: Component, *, then: _Then) -> str:
    return "".join(
        _atom_regex(atom, then=after) for atom, after in _with_next(component, then=then, between=_Then.MORE)
    )


def _atom_regex(atom: Atom, *, then: _Then) -> str:
    match atom:
        case Literal(char):
            return _escaped(char)
        case Stars():
            return "[^/]*"
        case OneOf(ranges, negated):
            return _class_regex(ranges, negated=negated)
        case Group(alternatives):
            return f"(?:{'|'.join(_path_regex(path, then=then) for path in alternatives)})"
        case _:
            assert_never(atom)


def _class_regex(ranges: Iterable[tuple[str, str]], *, negated: bool) -> str:
    """A class never matches the separator, whatever it holds."""
    if negated:
        return f"[^/{_ranges_regex(ranges)}]"
    held = itertools.chain.from_iterable(_without_separator(low, high) for low, high in ranges)
    return f"[{inside}]" if (inside := _ranges_regex(held)) else _NOTHING


def _ranges_regex(ranges: Iterable[tuple[str, str]]) -> str:
    return "".join(f"{_escaped(low)}-{_escaped(high)}" for low, high in ranges)


def _without_separator(low: str, high: str) -> Iterator[tuple[str, str]]:
    """The range without `/`, which lies between `.` and `0`."""
    for start, end in ((low, min(high, ".")), (max(low, "0"), high)):
        if start <= end:
            yield start, end


def _escaped(char: str) -> str:
    return char if char.isascii() and char.isalnum() else f"\\x{{{ord(char):x}}}"


def _with_next(items: tuple[_Item, ...], *, then: _Then, between: _Then) -> Iterator[tuple[_Item, _Then]]:
    """Each item with what comes after it: `between` and, after the last, `then`."""
    for index, item in enumerate(items, start=1):
        yield item, then if index == len(items) else between
