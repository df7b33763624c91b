"""Globs hold to Harbor's grammar: by table, and against a slow matcher that expands braces and backtracks."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.glob import MAX_LITERALS, GlobInvalid, compile_glob, literals
from replication.glob_syntax import MAX_NESTING, MAX_PATTERN_CHARS


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("library/*", ["library/x", "library/"], ["library/x/y", "library", "Library/x"]),
        ("library/**", ["library/x", "library/x/y/z"], ["library", "librarys/x"]),
        ("**", ["", "a", "a/b/c", "two\nlines"], []),
        ("**/x", ["x", "a/x", "a/b/x"], ["ax", "x/a"]),
        ("a/**/z", ["a/z", "a/b/z", "a/b/c/z"], ["az", "a/bz"]),
        ("**/**/x", ["x", "a/x", "a/b/x"], ["a/b"]),
        ("a/**/**", ["a/b", "a/b/c"], ["a"]),
        ("a**", ["a", "abc"], ["a/b"]),
        ("**a/x", ["bca/x"], ["b/a/x"]),
        ("***", ["abc"], ["a/b"]),
        ("*", ["", "a"], ["a/b"]),
        ("?*", ["a", "é"], ["", "/"]),
        ("1.?", ["1.0"], ["1.01", "1.", "1./"]),
        ("1.0", ["1.0"], ["1x0", "01.0", "1.01"]),
        ("[abc]-[0-9]", ["a-0", "c-9"], ["d-0", "a-10"]),
        ("[^x]", ["a", "é"], ["x", "/", ""]),
        ("[!x]", ["!", "x"], ["a"]),
        ("a[.-0]b", ["a.b", "a0b"], ["a/b"]),
        ("[/]", [], ["/", "a", ""]),
        ("[\\]\\-\\^]", ["]", "-", "^"], ["\\"]),
        ("{library,goharbor}/**", ["library/a", "goharbor/a/b"], ["library", "other/a"]),
        ("{a/b,c}/d", ["a/b/d", "c/d"], ["a/d", "b/d"]),
        ("{a/**,b}/z", ["a/z", "a/x/z", "b/z"], ["b/x/z"]),
        ("{a/**,b}z", ["a/xz", "bz"], ["a/x/z"]),
        ("a/{**,b}", ["a/x", "a/b"], ["a/x/y"]),
        ("v{1,2{,.*}}", ["v1", "v2", "v2.7"], ["v1.7", "v"]),
        ("x{}y", ["xy"], ["x{}y"]),
        ("a,b}]", ["a,b}]"], ["a"]),
        ("\\*\\{\\\\", ["*{\\"], ["x{\\"]),
        ("é?", ["éü", "é🐳"], ["é"]),
        ("a/", ["a/"], ["a", "a/b"]),
        ("", [""], ["a"]),
    ],
)
def test_grammar(pattern: str, matching: list[str], others: list[str]) -> None:
    glob = compile_glob(pattern)

    assert [text for text in matching + others if glob(text)] == matching


@pytest.mark.parametrize(
    ("pattern", "position", "why"),
    [
        ("a{b,c", 1, "brace"),
        ("a{b,{c}", 1, "brace"),
        ("ab[c", 2, "not closed"),
        ("[]", 0, "empty"),
        ("[^]", 0, "empty"),
        ("[-a]", 1, "escaped"),
        ("x[a-]", 4, "escaped"),
        ("[z-a]", 1, "backwards"),
        ("{[a,b],c}", 3, "within braces"),
        ("a\\", 1, "backslash"),
        ("a\\/b", 1, "separator"),
        ("{" * (MAX_NESTING + 1) + "}" * (MAX_NESTING + 1), MAX_NESTING, "nested"),
        ("a" * (MAX_PATTERN_CHARS + 1), MAX_PATTERN_CHARS, "longer"),
    ],
)
def test_a_bad_pattern_is_refused_with_its_place(pattern: str, position: int, why: str) -> None:
    with pytest.raises(GlobInvalid, match=why) as caught:
        compile_glob(pattern)

    assert (caught.value.pattern, caught.value.position) == (pattern, position)


@pytest.mark.parametrize("piece", ["?", "[^x]", "*a", "**/", "{?,é}", "[Ā-\uffff]"])
def test_the_longest_patterns_compile_and_match_hostile_texts(piece: str) -> None:
    """Backtracking would take longer than the universe has; the engine needs no more than a look."""
    glob = compile_glob(piece * (MAX_PATTERN_CHARS // len(piece)))

    assert not glob("a" * 5000 + "!")


def test_half_a_surrogate_pair_is_one_strange_character() -> None:
    assert compile_glob("a?")("a\ud800")
    assert not compile_glob("ab")("a\ud800")


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("library/nginx", ["library/nginx"]),
        ("{library,goharbor}/{nginx,redis}", ["library/nginx", "library/redis", "goharbor/nginx", "goharbor/redis"]),
        ("{a/b,c}/d", ["a/b/d", "c/d"]),
        ("a{,b}{,b}", ["a", "ab", "abb"]),
        ("\\*", ["*"]),
        ("a/*", None),
        ("{a,b?}", None),
        ("[a]", None),
        ("**", None),
    ],
)
def test_literals(pattern: str, texts: list[str] | None) -> None:
    assert literals(pattern) == texts


def test_too_many_literals_are_none() -> None:
    assert len(literals("{0,1,2,3,4,5,6,7,8,9}" * 3) or []) == MAX_LITERALS
    assert literals("{0,1,2,3,4,5,6,7,8,9}" * 3 + "{a,b}") is None


_ALPHABET = "ab-é"
_CLASSES = {"[ab]": "ab", "[^a]": "b-é", "[a-b]": "ab", "[\\-é]": "-é", "[^b-é]": "a-", "[+-9]": "-"}
_pieces = st.sampled_from(["a", "b", "é", "-", "?", "*", "**", "/", "/", "\\a", "/**/", "\\*"]) | st.sampled_from(
    list(_CLASSES)
)
_patterns = st.recursive(
    st.lists(_pieces, max_size=6).map("".join),
    lambda inner: st.lists(
        inner | st.lists(inner, min_size=1, max_size=3).map(lambda options: f"{{{','.join(options)}}}"), max_size=3
    ).map("".join),
    max_leaves=6,
)
_texts = st.lists(st.text(_ALPHABET, min_size=1, max_size=3), max_size=4).map("/".join)


@given(pattern=_patterns, text=_texts)
def test_the_expression_agrees_with_the_slow_matcher(pattern: str, text: str) -> None:
    assert compile_glob(pattern)(text) == _slow_match(pattern, text)


@given(pattern=_patterns)
def test_a_glob_matches_its_literals(pattern: str) -> None:
    texts = literals(pattern) or []

    assert [text for text in texts if not compile_glob(pattern)(text)] == []


@given(pattern=st.text(max_size=20) | st.text("{}[],^-\\*?/ab", max_size=20), text=st.text(max_size=10))
def test_any_text_is_a_pattern_or_refused(pattern: str, text: str) -> None:
    try:
        matched: bool | int | None = compile_glob(pattern)(text)
    except GlobInvalid as refused:
        matched = refused.position

    assert matched in (True, False) or (matched is not None and 0 < matched < len(pattern))


def _slow_match(pattern: str, text: str) -> bool:
    # A whole component is told before braces are expanded: expansion makes none.
    marked = re.sub(r"(?<![^/])\*\*(?=[/,}]|$)", "\0", pattern)
    return any(_components_match(each.split("/"), text.split("/")) for each in _expanded(marked))


def _expanded(pattern: str) -> list[str]:
    """Expands the innermost braces first; classes here hold no braces, and no brace is escaped."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if not found:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [each for option in found[1].split(",") for each in _expanded(before + option + after)]


def _components_match(patterns: list[str], texts: list[str]) -> bool:
    if not patterns:
        return not texts
    if patterns[0] == "\0":
        # At the end it takes one component or more, elsewhere also none.
        takes = range(1 if len(patterns) == 1 else 0, len(texts) + 1)
        return any(_components_match(patterns[1:], texts[count:]) for count in takes)
    return (
        bool(texts)
        and _chars_match(patterns[0].replace("\0", "**"), texts[0])
        and _components_match(patterns[1:], texts[1:])
    )


def _chars_match(pattern: str, text: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "*":
        return _chars_match(pattern[1:], text) or (bool(text) and _chars_match(pattern, text[1:]))
    if pattern[0] == "[":
        end = pattern.index("]") + 1
        return bool(text) and text[0] in _CLASSES[pattern[:end]] and _chars_match(pattern[end:], text[1:])
    if pattern[0] == "?":
        return bool(text) and _chars_match(pattern[1:], text[1:])
    pattern = pattern.removeprefix("\\")
    return text[:1] == pattern[0] and _chars_match(pattern[1:], text[1:])
