"""WWW-Authenticate headers as they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oci_client.challenge import Challenge, parse_challenges, preferred


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('Basic realm="x"', [("basic", {"realm": "x"})]),
        ("Basic", [("basic", {})]),
        ("Negotiate", [("negotiate", {})]),
        ("BEARER Realm=x", [("bearer", {"realm": "x"})]),
        (
            'Bearer realm="https://a/token?x=1",service="reg",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://a/token?x=1", "service": "reg", "scope": "repository:a/b:pull,push"})],
        ),
        (
            'Basic realm="x", Bearer realm="y",service="z"',
            [("basic", {"realm": "x"}), ("bearer", {"realm": "y", "service": "z"})],
        ),
        ('Negotiate, Basic realm="x"', [("negotiate", {}), ("basic", {"realm": "x"})]),
        (r'Basic realm="say \"hi\" \\"', [("basic", {"realm": 'say "hi" \\'})]),
        ('Bearer  realm = "a" ,, service = b ', [("bearer", {"realm": "a", "service": "b"})]),
        (', Basic realm=""', [("basic", {"realm": ""})]),
        ('Bearer realm="a",realm="b"', [("bearer", {"realm": "a"})]),
        ('Bearer realm="unfinished', [("bearer", {})]),
        ("", []),
        ('"', []),
    ],
)
def test_one_line(line: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert [(challenge.scheme, challenge.params) for challenge in parse_challenges([line])] == expected


def test_token68() -> None:
    first, second = parse_challenges(['Negotiate YII/+a==, Basic realm="x"'])

    assert (first.scheme, first.token68, first.params) == ("negotiate", "YII/+a==", {})
    assert second.params == {"realm": "x"}


def test_several_lines_are_one_list() -> None:
    assert [challenge.scheme for challenge in parse_challenges(["Basic realm=a", "Bearer realm=b"])] == [
        "basic",
        "bearer",
    ]


def test_bearer_before_basic_and_nothing_else() -> None:
    basic, bearer, other = (Challenge(scheme=scheme) for scheme in ("basic", "bearer", "digest"))

    assert preferred([other, basic, bearer]) is bearer
    assert preferred([other, basic]) is basic
    assert preferred([other]) is None


@given(st.text(alphabet=st.sampled_from('Basic realm="x",\\=/ \t')))
def test_any_line_is_survived(line: str) -> None:
    parse_challenges([line])


@given(st.text(), st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)))
def test_quoted_values_read_back(realm: str, scope: str) -> None:
    quoted = ['"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in (realm, scope)]

    (challenge,) = parse_challenges([f"Bearer realm={quoted[0]},scope={quoted[1]}"])

    assert challenge.params == {"realm": realm, "scope": scope}
