"""Versions and ranges: by table, and against a slow reading of semver.org and of npm's rules."""

import re
from itertools import pairwise, zip_longest

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replication.semver import MAX_RANGE_CHARS, RangeInvalid, Version, compile_range, parse_version


@pytest.mark.parametrize(
    ("tag", "core", "is_release"),
    [
        ("1.2.3", (1, 2, 3), True),
        ("v1.2.3", (1, 2, 3), True),
        ("1.2", (1, 2, 0), True),
        ("v1", (1, 0, 0), True),
        ("0", (0, 0, 0), True),
        ("1.2.3-rc.1", (1, 2, 3), False),
        ("1.2-alpine", (1, 2, 0), False),
        ("1-0a.-", (1, 0, 0), False),
        ("1.2.3+build.01", (1, 2, 3), True),
        ("1.2.3_build.01", (1, 2, 3), True),
        ("1.2.3-rc.1_build", (1, 2, 3), False),
        ("20261124", (20261124, 0, 0), True),
        ("9" * 128, (int("9" * 128), 0, 0), True),
    ],
)
def test_tags_that_are_versions(tag: str, core: tuple[int, int, int], is_release: bool) -> None:
    version = parse_version(tag)

    assert version is not None
    assert (version.core, version == Version(core)) == (core, is_release)


@pytest.mark.parametrize(
    "tag",
    [
        *("", "v", "latest", "1.", "1..2", "1.2.3.4", "01.2", "1.02", "1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+"),
        *("V1.2", "vv1", " 1.2", "1.2\n", "-1", "1.x", "\u0661.2", "1.2.3-\u0661", "9" * 129, "9" * 100_000),
    ],
)
def test_tags_that_are_none(tag: str) -> None:
    assert parse_version(tag) is None


def test_the_order_is_that_of_the_specification() -> None:
    chain = ["1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-11.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta"]
    chain += ["1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2", "1.10", "2-0", "2"]

    versions = [version for each in chain if (version := parse_version(each))]

    assert len(versions) == len(chain)
    assert [one < other for one, other in pairwise(versions)] == [True] * (len(chain) - 1)
    assert parse_version("1.2.0+a") == parse_version("v1.2")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        (">=1.2.0 <2.0.0", ["1.2", "v1.9.9"], ["1.1.9", "2.0.0", "1.3.0-rc.1", "2.0.0-rc.1", "latest", ""]),
        (">= 1.2.0  < 2", ["1.2", "1.9.9"], ["1.1", "2"]),
        ("1.2.3", ["1.2.3", "1.2.3+b"], ["1.2.4", "1.2.3-a"]),
        ("=v1.2.3", ["1.2.3"], ["1.2.2"]),
        ("1.2", ["1.2.0", "1.2.9"], ["1.1", "1.3"]),
        ("1.x", ["1.0", "1.9"], ["0.9", "2.0", "1.1-a"]),
        ("1.2.*", ["1.2.7"], ["1.3.0"]),
        ("*", ["0.0", "99"], ["1-a"]),
        (">=*", ["0.0"], []),
        (">1.2", ["1.3"], ["1.2.9"]),
        (">1.2.3", ["1.2.4"], ["1.2.3", "1.2.3+b", "1.2.4-a"]),
        ("<1.2", ["1.1.9"], ["1.2.0", "1.2.0-a"]),
        ("<=1.2", ["1.2.9"], ["1.3.0"]),
        ("<=1.2.3", ["1.2.3"], ["1.2.4"]),
        ("~1.4", ["1.4.0", "1.4.9"], ["1.3.9", "1.5.0"]),
        ("~1.4.2", ["1.4.2", "1.4.9"], ["1.4.1", "1.5.0"]),
        ("~1", ["1.0", "1.9"], ["2.0"]),
        ("^1.4", ["1.4.0", "1.9"], ["1.3", "2.0"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.2.2", "0.3"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0.0", ["0.0.9"], ["0.1"]),
        ("^0", ["0.9"], ["1.0"]),
        ("1.x || >=3 <4||6", ["1.1", "3.3", "6.6"], ["2", "4", "5"]),
        (">=1.2.0-rc.1", ["1.2.0-rc.1", "1.2.0-rc.2", "1.2.0", "3"], ["1.2.0-beta", "1.3.0-rc.2"]),
        (">1.2.0-rc.1 <=1.2.0-rc.5", ["1.2.0-rc.1.0", "1.2.0-rc.5"], ["1.2.0-rc.1", "1.2.0-rc.5.0", "1.2.0"]),
        ("^1.2.0-a || 3", ["1.2.0-b", "1.5", "3.1"], ["1.2.1-b", "3.0.0-b", "2.0.0-a"]),
    ],
)
def test_ranges(text: str, inside: list[str], outside: list[str]) -> None:
    matches = compile_range(text)

    assert [tag for tag in inside + outside if matches(tag)] == inside


@pytest.mark.parametrize(
    ("text", "position", "why"),
    [
        ("", 0, "missing"),
        ("1 || ", 4, "missing"),
        ("|| 1", 0, "missing"),
        (">=", 0, "written as"),
        ("1.2 - 1.4", 4, "written as"),
        ("1, 2", 0, "written as"),
        (">=1 latest", 4, "written as"),
        ("1.2.3.4", 0, "written as"),
        ("01.2", 0, "written as"),
        ("=>1.2", 0, "written as"),
        ("2 | 3", 2, "written as"),
        ("1.x.3", 0, "behind a wildcard"),
        ("2 || >1.2-rc", 5, "all three numbers"),
        (">2 <2", 0, "no version"),
        ("1 || 2 <*", 7, "no version"),
        ("1 " * MAX_RANGE_CHARS, MAX_RANGE_CHARS, "longer"),
    ],
)
def test_a_bad_range_is_refused_with_its_place(text: str, position: int, why: str) -> None:
    with pytest.raises(RangeInvalid, match=why) as caught:
        compile_range(text)

    assert (caught.value.pattern, caught.value.position) == (text, position)


_number = st.integers(0, 2).map(str)
_stages = st.sampled_from(["", "", "", "-0", "-1", "-10", "-a", "-a.1", "-a.b", "-b"])
_full = st.builds("{}.{}.{}{}".format, _number, _number, _number, _stages)
_partial = _number | st.builds("{}.{}".format, _number, _number) | st.builds("{}.x".format, _number)
_comparisons = st.builds(str.__add__, st.sampled_from(["", "=", ">", ">=", "<", "<=", "~", "^"]), _full | _partial)
_ranges = st.lists(st.lists(_comparisons, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=3).map(
    " || ".join
)


@given(one=_full, other=_full)
def test_the_order_agrees_with_the_slow_one(one: str, other: str) -> None:
    first, second = parse_version(one), parse_version(other)
    assert first is not None
    assert second is not None

    assert (first > second) - (first < second) == _slow_compare(one, other)


@given(text=_ranges, tag=_full)
def test_ranges_agree_with_the_slow_ones(text: str, tag: str) -> None:
    try:
        matched = compile_range(text)(tag)
    except RangeInvalid as refused:
        text = text[refused.position :].partition("||")[0]  # the alternative that is empty
        matched = False

    assert matched == _slow_range(text, tag)


@given(text=st.text(max_size=20) | st.text("0123.x*<>=~^|- va", max_size=20), tag=st.text(max_size=10))
def test_any_text_is_a_range_or_refused(text: str, tag: str) -> None:
    try:
        matched: bool | None = compile_range(text)(tag)
    except RangeInvalid:
        matched = None

    assert matched is not True or parse_version(tag)


def _slow_compare(one: str, other: str) -> int:
    """Item 11, read aloud."""
    (core, _, stages), (other_core, _, other_stages) = one.partition("-"), other.partition("-")
    if core != other_core:
        return 1 if list(map(int, core.split("."))) > list(map(int, other_core.split("."))) else -1
    if not (stages and other_stages):
        return bool(other_stages) - bool(stages)
    for mine, others in zip_longest(stages.split("."), other_stages.split(".")):
        if mine == others:
            continue
        if mine is None or others is None:
            return 1 if others is None else -1
        if mine.isdigit() and others.isdigit():
            return 1 if int(mine) > int(others) else -1
        if mine.isdigit() or others.isdigit():
            return 1 if others.isdigit() else -1
        return 1 if mine > others else -1
    return 0


def _slow_range(text: str, tag: str) -> bool:
    return any(_slow_alternative(each.split(), tag) for each in text.split("||"))


def _slow_alternative(comparisons: list[str], tag: str) -> bool:
    core, _, stages = tag.partition("-")
    if stages and not any(each.lstrip("<>=~^").startswith(f"{core}-") for each in comparisons):
        return False
    return all(_slow_comparison(each, tag) for each in comparisons)


def _slow_comparison(comparison: str, tag: str) -> bool:
    """Says of each operator which leading numbers have to be equal, and on which side of the version the tag lies."""
    found = re.fullmatch(r"([<>=~^]*)(.*)", comparison)
    assert found
    operator, wanted = found[1], found[2].removesuffix(".x")
    numbers = wanted.partition("-")[0].split(".")
    own = tag.partition("-")[0].split(".")
    if len(numbers) == 3:
        side = _slow_compare(tag, wanted)
    else:
        # Pre-releases of the version that a range begins with come before it.
        side = (own[: len(numbers)] > numbers) - (own[: len(numbers)] < numbers)
        if operator == ">":
            numbers[-1] = str(int(numbers[-1]) + 1)
        begin = ".".join([*numbers, "0", "0"][:3])
        if operator not in ("<", "<=") and _slow_compare(tag, begin) < 0:
            return False
    match operator:
        case "" | "=":
            return side == 0
        case "~":
            return side >= 0 and own[: min(2, len(numbers))] == numbers[:2]
        case "^":
            nonzero = [index for index, number in enumerate(numbers) if number != "0"]
            count = nonzero[0] + 1 if nonzero else len(numbers)
            return side >= 0 and own[:count] == numbers[:count]
        case _:
            return {">": side > 0, ">=": side >= 0, "<": side < 0, "<=": side <= 0}[operator]
