"""One Delegate stream over a store in memory."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from jobservice import delegate
from jobservice.changes import Changes
from jobservice.delegate import Answer, Changed, Delegation, Follow, Message, Stop, Submit, Submitted, Unknown
from jobservice.domain import JobState
from jobservice.store import Beat, End, Finish, JobStore
from jobservice.transfer import ArtifactReference, ReplicateWork
from service_kit.errors import InvalidRequest
from tests.jobs import OPTIONS, MemoryStore, a_copy, a_spec


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def store(changes: Changes) -> MemoryStore:
    return MemoryStore(changes)


class Stream:
    """A stream under test: `say` a message, `hear` an answer."""

    def __init__(self, store: JobStore, changes: Changes) -> None:
        self.submissions = 0
        self._said: asyncio.Queue[Message | None] = asyncio.Queue()
        delegation = Delegation(store, changes, on_submitted=self._count)
        self.answers = delegation.answers(self._messages())

    def say(self, message: Message | None) -> None:
        self._said.put_nowait(message)

    async def hear(self) -> Answer:
        return await anext(self.answers)

    async def _messages(self) -> AsyncIterator[Message]:
        while (message := await self._said.get()) is not None:
            yield message

    def _count(self) -> None:
        self.submissions += 1


@pytest.fixture
async def stream(store: MemoryStore, changes: Changes) -> AsyncIterator[Stream]:
    stream = Stream(store, changes)
    yield stream
    await stream.answers.aclose()


async def claimed(store: MemoryStore, key: str) -> Beat:
    store.queue(key)
    (claim,) = await store.claim([key], worker="w")
    return Beat(key=key, attempt=claim.attempt)


async def succeeded(store: MemoryStore, key: str) -> None:
    await store.finish([End(beat=await claimed(store, key), finish=Finish(state=JobState.SUCCEEDED))])


async def test_acceptance_comes_first_and_the_end_last(store: MemoryStore, stream: Stream) -> None:
    stream.say(Submit([a_spec("a")]))
    assert await stream.hear() == Submitted(accepted=("a",), rejected={})
    await succeeded(store, "a")

    changed = await stream.hear()
    assert isinstance(changed, Changed)
    assert [(status.key, status.state) for status in changed.statuses] == [("a", JobState.SUCCEEDED)]
    assert stream.submissions == 1


async def test_a_new_job_is_no_change_but_a_known_one_is(store: MemoryStore, stream: Stream) -> None:
    await store.submit([a_spec("known")])
    await claimed(store, "known")
    stream.say(Submit([a_spec("new"), a_spec("known")]))
    assert isinstance(await stream.hear(), Submitted)

    changed = await stream.hear()
    assert isinstance(changed, Changed)
    assert [status.key for status in changed.statuses] == ["known"]


async def test_follow_tells_present_states_and_unknown_keys(store: MemoryStore, stream: Stream) -> None:
    await store.submit([a_spec("a")])
    stream.say(Follow(["a", "b"]))
    assert await stream.hear() == Unknown(["b"])
    changed = await stream.hear()
    assert isinstance(changed, Changed)
    assert [(status.key, status.state) for status in changed.statuses] == [("a", JobState.PENDING)]


async def test_an_ended_job_is_told_once(store: MemoryStore, stream: Stream) -> None:
    await store.submit([a_spec("a"), a_spec("b")])
    await succeeded(store, "a")
    stream.say(Follow(["a", "b"]))
    assert isinstance(await stream.hear(), Changed)
    stream.say(Stop(["a", "b"]))

    changed = await stream.hear()
    assert isinstance(changed, Changed)
    assert [status.key for status in changed.statuses] == ["b"]


async def test_many_changes_of_a_job_are_told_as_one(store: MemoryStore, stream: Stream) -> None:
    stream.say(Submit([a_spec("a")]))
    await stream.hear()
    beat = await claimed(store, "a")
    for copied in range(100):
        progress = {"bytes_copied": copied}
        await store.beat([Beat(key="a", attempt=beat.attempt, progress=progress)])

    changed = await stream.hear()
    assert isinstance(changed, Changed)
    [status] = changed.statuses
    assert (status.revision, status.progress) == (102, {"bytes_copied": 99})


async def test_it_ends_when_all_was_said_and_done(store: MemoryStore, stream: Stream) -> None:
    stream.say(Submit([a_spec("a")]))
    stream.say(None)
    await stream.hear()
    await store.request_stop(["a"])
    assert isinstance(await stream.hear(), Changed)
    with pytest.raises(StopAsyncIteration):
        await stream.hear()


async def test_a_lost_notification_costs_only_time(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegate, "POLL_S", 0.01)
    stream = Stream(store, Changes())  # hears nothing of the store
    stream.say(Submit([a_spec("a")]))
    await stream.hear()
    await store.request_stop(["a"])
    assert isinstance(await stream.hear(), Changed)
    await stream.answers.aclose()


async def test_a_stream_follows_a_bounded_number(stream: Stream, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delegate, "MAX_FOLLOWED", 2)
    stream.say(Submit([a_spec("a"), a_spec("b")]))
    stream.say(Submit([a_spec("c")]))
    await stream.hear()
    with pytest.raises(InvalidRequest):
        await stream.hear()


async def test_two_references_to_one_tag_are_refused(store: MemoryStore, stream: Stream) -> None:
    """Only that job: others of the same message are taken."""
    copy = a_copy("twice", options=OPTIONS)
    work = copy.work
    assert isinstance(work, ReplicateWork)
    twice = replace(work, references=(*work.references, ArtifactReference(tag="2"), ArtifactReference(tag="app-1")))
    stream.say(Submit([replace(copy, work=twice), a_spec("a")]))

    answer = await stream.hear()

    assert isinstance(answer, Submitted)
    assert answer.accepted == ("a",)
    assert {key: (error.reason, error.metadata) for key, error in answer.rejected.items()} == {
        "twice": (
            "DESTINATION_TAG_REUSED",
            {"tag": "app-1", "sources": "1, app-1", "field": "replicate.references[2].destination_tag"},
        )
    }
    assert await store.existing(["twice", "a"]) == {"a"}


async def test_the_same_reference_may_be_named_twice(stream: Stream) -> None:
    """A listing that moves while it is read names a tag twice; either way it is that tag that is copied."""
    copy = a_copy("twice", options=OPTIONS)
    work = copy.work
    assert isinstance(work, ReplicateWork)
    twice = replace(work, references=(*work.references, replace(work.references[0], digest="sha256:a")))
    stream.say(Submit([replace(copy, work=twice)]))

    assert await stream.hear() == Submitted(accepted=("twice",), rejected={})
