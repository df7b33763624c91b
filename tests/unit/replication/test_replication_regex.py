"""Regular expressions from strangers: whole texts, in linear time and bounded memory, and told what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.linear_regex import MAX_REGEX_CHARS, RegexInvalid, compile_groups, compile_written_regex


@pytest.mark.parametrize(
    ("regex", "matching", "others"),
    [
        (r"v\d+\.\d+", ["v1.2"], ["v1.2.3", "xv1.2", "v1.2\n", "v\u0661.2"]),
        ("a|b", ["a", "b"], ["ab", "ac"]),
        ("(?i)release", ["Release"], ["released"]),
        ("", [""], ["a"]),
        (r"^\d{4}$", ["2026"], ["2026a"]),
        (".*", ["", "a/b", "é"], ["two\nlines"]),
        ("é.", ["éü", "é\ud800"], ["é"]),
    ],
)
def test_the_whole_text_has_to_match(regex: str, matching: list[str], others: list[str]) -> None:
    matches = compile_written_regex(regex)

    assert [text for text in matching + others if matches(text)] == matching


@pytest.mark.parametrize(
    ("regex", "why", "position"),
    [
        ("ab(", "missing )", None),
        ("ab)", "unexpected )", None),
        ("ab[z-a]", "class range", 3),
        ("ab**", "repetition operator", 2),
        ("a(?=b)", "perl operator", 1),
        (r"(a)\1", "escape sequence", 3),
        ("a{1001}", "repetition size", 1),
        (r"\pL{500}", "KiB", None),
        ("a\ud800", "surrogate", 1),
        ("a" * (MAX_REGEX_CHARS + 1), "longer", MAX_REGEX_CHARS),
    ],
)
def test_a_bad_expression_is_refused(regex: str, why: str, position: int | None) -> None:
    for compile_it in (compile_written_regex, compile_groups):
        with pytest.raises(RegexInvalid) as caught:
            compile_it(regex)
        assert why in str(caught.value)
        assert (caught.value.pattern, caught.value.position) == (regex, position)


@pytest.mark.parametrize("regex", ["(a+)+", "(a|a)*b", "(a*)*(a*)*c", "(.*)(.*)(.*)(.*)b", "((a?){30}){30}a{500}x"])
def test_what_would_make_backtracking_take_for_ever_takes_a_look(regex: str) -> None:
    text = "a" * 20_000 + "\n"

    assert not compile_written_regex(regex)(text)
    assert compile_groups(regex)[1](text) is None


def test_groups_are_given_and_those_without_part_are_empty() -> None:
    count, groups = compile_groups(r"(a)|(?P<second>b)(é)?")

    assert count == 3
    assert groups("a") == ["a", "a", "", ""]
    assert groups("bé") == ["bé", "", "b", "é"]
    assert groups("c") is None


@given(regex=st.text(max_size=30) | st.text(r"ab()[]{}*+?|\.^$-1,", max_size=30), text=st.text(max_size=10))
def test_any_text_is_an_expression_or_refused(regex: str, text: str) -> None:
    try:
        matched: bool | int | None = compile_written_regex(regex)(text)
    except RegexInvalid as refused:
        matched = refused.position

    assert matched in (True, False, None) or 0 < matched < len(regex)
