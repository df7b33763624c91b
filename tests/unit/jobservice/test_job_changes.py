"""News of changed jobs, from the notification to the subscriber."""

from hypothesis import given
from hypothesis import strategies as st

from jobservice.changes import Change, Changes

KEYS = st.frozensets(st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True), min_size=1, max_size=300)


@given(KEYS, st.booleans())
def test_a_payload_tells_the_change(keys: frozenset[str], urgent: bool) -> None:
    payload = Change(keys=keys, urgent=urgent).to_payload()
    change = Change.from_payload(payload)
    assert len(payload) < 8000
    assert change.keys in (keys, None)
    assert change.urgent >= urgent


def test_too_many_keys_are_any_job() -> None:
    change = Change(keys=frozenset(f"{number:064}" for number in range(200)), urgent=False)
    assert Change.from_payload(change.to_payload()) == Change(keys=None, urgent=True)


def test_a_new_connection_is_any_change() -> None:
    assert Change.from_payload("") == Change(keys=None, urgent=True)


def test_a_subscriber_hears_of_its_own_keys_once() -> None:
    changes = Changes()
    with changes.subscribed({"a", "b"}) as news:
        changes.publish(Change(keys=frozenset({"a", "x"}), urgent=False))
        changes.publish(Change(keys=frozenset({"a"}), urgent=True))
        assert news.take() == {"a"}
        assert news.take() == frozenset()
        changes.publish(Change(keys=None, urgent=True))
        assert news.take() == {"a", "b"}


async def test_progress_wakes_but_is_not_urgent() -> None:
    changes = Changes()
    with changes.subscribed({"a"}) as news:
        changes.publish(Change(keys=frozenset({"a"}), urgent=False))
        await news.wait(60)
        await news.wait_urgent(0.01)
        assert news.take() == {"a"}
