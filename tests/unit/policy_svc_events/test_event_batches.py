"""What several events of a policy come down to."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy_svc.events.domain.batch import Batch, newest
from policy_svc.events.domain.event import EventKind, Notice
from tests.events import DIGEST_A, DIGEST_B, REGISTRY, a_delete, a_push, a_subscriber, an_event


def what_counts(notices: Sequence[Notice]) -> list[Notice]:
    return newest(an_event(each) for each in notices)


PUSH_A, PUSH_B = a_push(digest=DIGEST_A, at=1), a_push(digest=DIGEST_B, at=2)
DELETE_TAG, DELETE_A = a_delete(at=3), a_delete(tag="", digest=DIGEST_A, at=3)
OTHER_TAG = a_push(tag="2.0", digest=DIGEST_A, at=2)
PUSH_AGAIN = a_push(digest=DIGEST_A, at=4)


@pytest.mark.parametrize(
    ("happened", "counts"),
    [
        ([PUSH_A, PUSH_B], [PUSH_B]),
        ([PUSH_A, DELETE_TAG], [DELETE_TAG]),
        ([DELETE_TAG, PUSH_AGAIN], [PUSH_AGAIN]),
        ([PUSH_A, OTHER_TAG], [PUSH_A, OTHER_TAG]),
        ([PUSH_A, OTHER_TAG, DELETE_A], [DELETE_A]),
        ([PUSH_A, PUSH_B, DELETE_A], [PUSH_B, DELETE_A]),
        ([PUSH_A, DELETE_A, PUSH_AGAIN], [PUSH_AGAIN]),
        ([DELETE_TAG, DELETE_A], [DELETE_TAG, DELETE_A]),
        ([PUSH_A, a_push("other/app", at=2)], None),
        ([PUSH_A, a_delete("other/app", tag="", digest=DIGEST_A, at=2)], None),
        ([a_push(tag="", at=1), a_push(tag="", at=2)], "last"),
        ([a_push(tag="", at=1), a_delete(tag="", digest=DIGEST_A, at=2)], "last"),
        ([a_push(digest="", at=1), a_delete(tag="", digest=DIGEST_A, at=2)], None),
    ],
)
def test_the_last_word_counts(happened: list[Notice], counts: list[Notice] | str | None) -> None:
    expected = happened if counts is None else happened[-1:] if counts == "last" else counts

    assert what_counts(happened) == expected


def test_it_is_the_time_that_decides_and_not_the_arrival() -> None:
    assert what_counts([PUSH_B, PUSH_A]) == [PUSH_B]


_notices = st.builds(
    lambda kind, repository, tag, digest, at: (a_push if kind is EventKind.PUSH else a_delete)(
        repository, tag, digest if digest or tag else DIGEST_A, at=at
    ),
    st.sampled_from(EventKind),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["", "1", "2"]),
    st.sampled_from(["", DIGEST_A, DIGEST_B]),
    st.integers(0, 9),
)


@given(st.lists(_notices, max_size=30))
def test_a_source_that_is_replayed_has_what_it_had(happened: list[Notice]) -> None:
    """A registry that carries out what counts, in any order, has of every tag what carrying out everything leaves."""
    in_order = sorted(happened, key=lambda each: each.occur_time)
    everything, counted = _replayed(in_order), _replayed(what_counts(happened))
    backwards = _replayed(what_counts(happened)[::-1])

    assert {key: digest for key, digest in everything.items() if digest} == {
        key: digest for key, digest in counted.items() if digest
    }
    assert counted == backwards


def _replayed(notices: Sequence[Notice]) -> dict[tuple[str, str], str]:
    tags: dict[tuple[str, str], str] = {}
    for each in notices:
        if each.tag:
            tags[each.repository, each.tag] = (each.digest or "?") if each.kind is EventKind.PUSH else ""
        elif each.kind is EventKind.DELETE:
            tags |= {key: "" for key, digest in tags.items() if (key[0], digest) == (each.repository, each.digest)}
    return tags


def test_a_thousand_events_of_one_repository_are_soon_thought_over() -> None:
    notices = [a_push(tag=f"v{number}", digest=DIGEST_A, at=number) for number in range(1000)]

    assert what_counts(notices) == notices


def test_the_request_id_follows_the_policy_and_the_events_only() -> None:
    first, second = an_event(), an_event()

    def id_of(uid: str, *events: object, token: str = "t") -> str:
        return Batch(token=token, policy_uid=uid, registry=REGISTRY, events=events).request_id  # type: ignore[arg-type]

    assert id_of("p", first, second) == id_of("p", second, first, token="other")
    assert len({id_of("p", first), id_of("p", first, second), id_of("q", first)}) == 3
    assert len(id_of("p", first)) <= 128


@pytest.mark.parametrize(
    ("notice", "deletes", "wanted"),
    [
        (a_push("library/app"), False, True),
        (a_push("team/app"), False, False),
        (a_delete("library/app"), True, True),
        (a_delete("library/app"), False, False),
        (a_delete("team/app"), True, False),
    ],
)
def test_a_policy_wants_what_its_filters_let_through(notice: Notice, deletes: bool, wanted: bool) -> None:
    assert a_subscriber(deletes=deletes, repository="library/app").wants(notice) is wanted
