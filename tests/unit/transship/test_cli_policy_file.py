"""Policies in a file: what is read, what is refused and where, and that what is written is read as the same."""

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import example, given
from hypothesis import strategies as st

from transship.cli.policy_file import MistakeInFile, read_policies, write_policies
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk import destination, label_filter, name_filter, retention, scheduled, tag_filter, window

FILE = """
policies:
  - id: nightly
    source_registry: hub
    destinations:
      - {registry: registries/mirror, namespace: library, replace_count: 0}
    filters:
      - {dimension: DIMENSION_TAG, action: ACTION_INCLUDE, glob: "1.20"}
    trigger:
      scheduled: {cron: 0 2 * * *, jitter: 60s}
    windows:
      - {start: 22:00, end: 06:00, days: [SATURDAY]}
    override: true
  - id: other
    sourceRegistry: hub
"""


def test_what_stands_in_a_file_is_read() -> None:
    policies = read_policies(FILE)
    assert list(policies) == ["nightly", "other"]
    assert policies["nightly"] == Policy(
        source_registry="registries/hub",
        destinations=[destination("mirror", namespace="library", replace_count=0)],
        filters=[tag_filter("1.20")],
        trigger=scheduled("0 2 * * *", jitter=Duration(seconds=60).ToTimedelta()),
        windows=[window("22:00", "06:00", days=["SATURDAY"])],
        override=True,
    )
    assert policies["other"] == Policy(source_registry="registries/hub")


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("", "a list under the key `policies`"),
        ("policies: 7", "a list under the key `policies`"),
        ("policies: []\nversion: 1", "a list under the key `policies`"),
        ("policies: [", "no YAML"),
        ("policies: [7]", r"policies\[0\]: it must have keys"),
        ("policies: [{description: x}]", r"policies\[0\].id: it is missing"),
        ("policies: [{id: 7}]", r"policies\[0\].id: it is missing, or no text"),
        ("policies: [{id: a}, {id: a}]", r"policies\[1\].id: a is there twice"),
        ("policies: [{id: a, id: b}]", "the key id is there twice"),
        ("policies: [{id: a, overide: true}]", r"policies\[0\].overide: there is no such field. Is it override\?"),
        ("policies: [{id: a, etag: x}]", r"policies\[0\].etag: the server sets it"),
        ("policies: [{id: a, name: x}]", r"policies\[0\].name: the server sets it"),
        ("policies: [{id: a, override: 7}]", r"policies\[0\].override: 7 does not fit"),
        ("policies: [{id: a, filters: [{glob: 1.20}]}]", r"filters\[0\].glob: 1.2 does not fit. Put it in quotes"),
        ("policies: [{id: a, filters: {glob: x}}]", r"policies\[0\].filters: it must be a list"),
        ("policies: [{id: a, trigger: {manual: 7}}]", r"policies\[0\].trigger.manual: it must have keys"),
        ("policies: [{id: a, overlap: SKIP}]", "It is one of OVERLAP_QUEUE, OVERLAP_SKIP, OVERLAP_REPLACE"),
        ("policies: [{id: a, filters: [{dimension: DIMENSION_TAG, glob: x, regex: y}]}]", "it excludes glob"),
        (
            "policies: [{id: a, destinations: [{registry: m, namespc: x}]}]",
            r"destinations\[0\].namespc: .* Is it namespace",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, mistake: str) -> None:
    with pytest.raises(MistakeInFile, match=mistake):
        read_policies(text)


TEXTS = st.one_of(
    st.text(min_size=1),
    st.sampled_from(
        ["on", "no", "1e3", "22:00", "0x1f", "1_000", "~", "null", "2026-11-24", "a\x85b", "\u2028", "a\nb"]
    ),
)


@example("x", "\x85", 0)
@given(TEXTS, TEXTS, st.integers(0, 9))
def test_what_is_written_is_read_as_the_same(glob: str, description: str, count: int) -> None:
    policy = Policy(
        description=description,
        source_registry="registries/hub",
        destinations=[destination("mirror", tag=glob)],
        filters=[name_filter(glob), label_filter(regex=glob, exclude=True)],
        windows=[window("06:00", "22:00")],
        retention=retention(max_count=count),
    )
    named = Policy(name="policies/a", uid="u", etag="7")
    named.MergeFrom(policy)
    assert read_policies(write_policies([named])) == {"a": policy}
