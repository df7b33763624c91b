"""What every store of jobs does, whether in memory or in PostgreSQL."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import pytest

from jobservice.domain import JobState, LogLine, Severity
from jobservice.errors import JobNotFound
from jobservice.postgres.jobs import PostgresJobStore
from jobservice.postgres.runs import PostgresRunStore
from jobservice.store import Beat, Claim, End, Finish, JobStore, RunStore
from jobservice.transfer import Outcome, newest_by_place
from service_kit.database import Pool, open_pool
from tests.jobs import COPIED, OPTIONS, MemoryStore, a_copy, a_spec, failed
from tests.postgres import Database

COPYING = replace(COPIED, outcome=Outcome.STOPPED, backup_tag="1-old")


class Store(JobStore, RunStore, Protocol):
    """Both sides of the same rows."""


class PostgresStore(PostgresJobStore, PostgresRunStore):
    def __init__(self, pool: Pool) -> None:
        self._pool = pool


@pytest.fixture(params=["memory", "postgres"])
async def fixtures(
    request: pytest.FixtureRequest, database: Database
) -> AsyncIterator[tuple[Store, Callable[..., Awaitable[None]]]]:
    if request.param == "memory":
        memory = MemoryStore()

        async def queue_in_memory(*keys: str) -> None:
            memory.queue(*keys)

        yield memory, queue_in_memory
        return
    async with open_pool(await database("jobservice"), schema="job") as pool:

        async def queue_in_postgres(*keys: str) -> None:
            async with pool.connection() as connection:
                await connection.execute("UPDATE jobs SET queued_at = now() WHERE key = ANY(%s)", (list(keys),))

        yield PostgresStore(pool), queue_in_postgres


@pytest.fixture
def store(fixtures: tuple[Store, object]) -> Store:
    return fixtures[0]


@pytest.fixture
def queue(fixtures: tuple[Store, Callable[..., Awaitable[None]]]) -> Callable[..., Awaitable[None]]:
    return fixtures[1]


@pytest.fixture
def claim(store: Store, queue: Callable[..., Awaitable[None]]) -> Callable[[str], Awaitable[Claim]]:
    """Submits, queues and claims a job."""

    async def claimed(key: str) -> Claim:
        await store.submit([a_spec(key)])
        await queue(key)
        (found,) = await store.claim([key], worker="w")
        return found

    return claimed


async def end(store: Store, beat: Beat, finish: Finish) -> bool:
    return bool(await store.finish([End(beat=beat, finish=finish)]))


def beat(claim: Claim, **fields: object) -> Beat:
    return Beat(key=claim.key, attempt=claim.attempt, **fields)  # type: ignore[arg-type]


def line(message: str) -> LogLine:
    return LogLine(
        write_time=datetime(2026, 1, 1, tzinfo=UTC), severity=Severity.INFO, message=message, fields={"a": "b"}
    )


async def test_a_submitted_job_is_pending(store: Store) -> None:
    assert await store.submit([a_spec("a")]) == frozenset()

    job = await store.get("a")
    assert (job.spec, job.status.state, job.status.revision) == (a_spec("a"), JobState.PENDING, 1)


async def test_submitting_twice_is_one_job(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    await claim("a")
    assert await store.submit([a_spec("a"), a_spec("a")]) == frozenset()
    assert (await store.get("a")).status.state is JobState.RUNNING


async def test_a_key_with_other_work_is_told(store: Store) -> None:
    await store.submit([a_spec("a"), a_spec("b")])
    assert await store.submit([a_spec("a", tags=("2",)), a_spec("b"), a_spec("c")]) == {"a"}
    assert (await store.get("a")).spec == a_spec("a")


async def test_how_artifacts_are_copied_is_kept_and_part_of_the_work(store: Store) -> None:
    await store.submit([a_copy("a", options=OPTIONS)])

    assert (await store.get("a")).spec == a_copy("a", options=OPTIONS)
    assert await store.submit([a_copy("a", options=OPTIONS)]) == frozenset()
    assert await store.submit([a_copy("a", options=replace(OPTIONS, referrers=False))]) == {"a"}


async def test_an_unknown_job(store: Store) -> None:
    with pytest.raises(JobNotFound):
        await store.get("nothing")
    assert await store.existing(["nothing"]) == frozenset()


async def test_a_job_waits_until_it_is_queued(store: Store) -> None:
    await store.submit([a_spec("a")])
    assert await store.claim(["a"], worker="w") == []


async def test_a_job_is_claimed_once(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    first = await claim("a")
    assert (first.attempt, first.fairness_group) == (1, a_spec("a").fairness_group)
    assert await store.claim(["a"], worker="another") == []


async def test_success_is_final(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    mine = await claim("a")
    finish = Finish(state=JobState.SUCCEEDED, results=(COPIED,))
    assert await end(store, beat(mine, progress={"bytes_copied": 7}), finish)

    status = (await store.get("a")).status
    assert (status.state, status.results, status.progress) == (JobState.SUCCEEDED, (COPIED,), {"bytes_copied": 7})
    assert status.start_time is not None
    assert status.end_time is not None
    assert not await end(store, beat(mine), Finish(state=JobState.PENDING))


async def test_a_failure_comes_back_whole(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    result = failed("BLOB_UNKNOWN", retryable=False, digest="sha256:\0\ud800")
    mine = await claim("a")
    await end(store, beat(mine), Finish(state=JobState.FAILED, failure=result.failure, results=(result,)))

    status = (await store.get("a")).status
    assert status.failure is not None
    assert (status.failure.reason, status.failure.retryable) == ("BLOB_UNKNOWN", False)


async def test_another_attempt_waits_for_its_time(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    mine = await claim("a")
    retry = Finish(state=JobState.PENDING, failure=failed().failure, delay_s=60, counts_as_failure=True)
    await end(store, beat(mine), retry)

    waiting = (await store.get("a")).status
    assert waiting.state is JobState.PENDING
    assert waiting.failure == failed().failure
    assert waiting.start_time is not None
    assert waiting.next_attempt_time is not None
    assert waiting.next_attempt_time > waiting.start_time
    assert await store.claim(["a"], worker="w") == []

    await queue("a")
    (again,) = await store.claim(["a"], worker="w")
    assert again is not None
    assert (again.attempt, again.failed_attempts) == (2, 1)


async def test_a_job_given_back_has_not_failed(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    await end(store, beat(await claim("a")), Finish(state=JobState.PENDING))
    await queue("a")

    (again,) = await store.claim(["a"], worker="w")
    assert again is not None
    assert (again.attempt, again.failed_attempts) == (2, 0)


async def test_the_write_of_an_old_attempt_changes_nothing(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    zombie = await claim("a")
    await store.reap(silent_s=0, max_lost=5)
    await queue("a")
    assert await store.claim(["a"], worker="another")
    before = (await store.get("a")).status

    assert not await end(store, beat(zombie, lines=(line("late"),)), Finish(state=JobState.SUCCEEDED))
    assert await store.beat([beat(zombie, progress={"bytes_copied": 9})]) == {}
    assert (await store.get("a")).status == before
    assert await store.read_log("a", after=0, limit=10) == []


async def test_a_silent_worker_loses_its_job(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    await claim("a")
    assert (await store.reap(silent_s=60, max_lost=5)).returned == ()
    assert (await store.reap(silent_s=0, max_lost=5)).returned == ("a",)
    assert (await store.get("a")).status.state is JobState.PENDING


async def test_a_job_that_kills_its_workers_fails(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    await claim("a")
    await store.reap(silent_s=0, max_lost=2)
    await queue("a")
    await store.claim(["a"], worker="w")

    assert (await store.reap(silent_s=0, max_lost=2)).failed == ("a",)
    failure = (await store.get("a")).status.failure
    assert failure is not None
    assert (failure.reason, failure.metadata) == ("WORKER_LOST", {"attempt": "2"})


async def test_a_lost_job_that_was_to_be_stopped_is_stopped(
    store: Store, claim: Callable[[str], Awaitable[Claim]]
) -> None:
    await claim("a")
    await store.request_stop(["a"])
    assert (await store.reap(silent_s=0, max_lost=5)).stopped == ("a",)


async def test_what_waits_is_stopped_at_once(store: Store, queue: Callable[..., Awaitable[None]]) -> None:
    keys = [f"job-{number}" for number in range(3000)]
    await store.submit([a_spec(key) for key in keys])
    await queue("job-7")
    await store.request_stop([*keys, "unknown"])

    statuses = await store.newer(dict.fromkeys(keys, 1))
    assert {status.state for status in statuses} == {JobState.STOPPED}
    assert len(statuses) == 3000
    assert await store.claim(["job-7"], worker="w") == []


async def test_what_runs_is_told_to_stop(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    mine = await claim("a")
    assert await store.beat([beat(mine)]) == {"a": False}
    await store.request_stop(["a"])
    assert await store.beat([beat(mine)]) == {"a": True}
    assert (await store.get("a")).status.state is JobState.RUNNING


async def test_a_job_to_be_stopped_is_not_handed_on(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    mine = await claim("a")
    await store.request_stop(["a"])
    await end(store, beat(mine), Finish(state=JobState.PENDING, failure=failed().failure, counts_as_failure=True))
    assert (await store.get("a")).status.state is JobState.STOPPED


async def test_an_ended_job_cannot_be_stopped(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    await end(store, beat(await claim("a")), Finish(state=JobState.SUCCEEDED))
    before = (await store.get("a")).status
    await store.request_stop(["a"])
    assert (await store.get("a")).status == before


async def test_progress_is_news_and_a_heartbeat_is_not(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    mine = await claim("a")
    revision = (await store.get("a")).status.revision
    await store.beat([beat(mine)])
    assert await store.newer({"a": revision}) == []

    await store.beat([beat(mine, progress={"bytes_copied": 1})])
    [status] = await store.newer({"a": revision})
    assert (status.revision, status.progress) == (revision + 1, {"bytes_copied": 1})


async def test_the_log_is_one_over_all_attempts(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    mine = await claim("a")
    await store.beat([beat(mine, lines=(line("one"), line("two\0\ud800")))])
    await end(store, beat(mine, lines=(line("three"),)), Finish(state=JobState.PENDING))
    await queue("a")
    (again,) = await store.claim(["a"], worker="w")
    assert again is not None
    await store.beat([beat(again, lines=(line("four"),))])

    entries = await store.read_log("a", after=1, limit=2)
    assert [entry.sequence for entry in entries] == [2, 3]
    assert entries[1].line == line("three")
    assert [entry.line.message for entry in await store.read_log("a", after=3, limit=2)] == ["four"]


async def test_pages_go_from_new_to_old(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    await end(store, beat(await claim("a")), Finish(state=JobState.SUCCEEDED, results=(COPIED,)))
    await store.submit([a_spec("b")])
    await store.submit([a_spec("c")])

    newest, middle = await store.page(frozenset(), limit=2, after=None)
    assert [newest.spec.key, middle.spec.key] == ["c", "b"]
    [oldest] = await store.page(frozenset(), limit=2, after=(middle.create_time, middle.spec.key))
    assert (oldest.spec.key, oldest.status.results) == ("a", ())
    assert [job.spec.key for job in await store.page(frozenset({JobState.SUCCEEDED}), limit=9, after=None)] == ["a"]


async def test_unclaimed_jobs_go_back_to_the_backlog(store: Store, queue: Callable[..., Awaitable[None]]) -> None:
    await store.submit([a_spec("a"), a_spec("b")])
    await queue("a")
    assert await store.queued_for(60) == []
    assert await store.queued_for(0) == ["a"]

    await store.unqueue(["a", "b"])
    assert await store.queued_for(0) == []
    assert await store.claim(["a"], worker="w") == []


async def test_jobs_of_long_ago_are_forgotten(store: Store, claim: Callable[[str], Awaitable[Claim]]) -> None:
    await store.submit([a_spec("waits")])
    for key in ("a", "b"):
        await end(store, beat(await claim(key), lines=(line("one"),)), Finish(state=JobState.SUCCEEDED))
    assert await store.forget(ended_s=60, limit=9) == 0
    assert [await store.forget(ended_s=0, limit=1) for _ in range(3)] == [1, 1, 0]
    assert await store.existing(["a", "b", "waits"]) == {"waits"}


async def test_the_next_attempt_gets_what_was_done(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    mine = await claim("a")
    assert (mine.progress, mine.results) == ({}, ())
    await store.beat([beat(mine, progress={"bytes_copied": 7}, results=(COPYING,))])
    await store.beat([beat(mine)])
    await store.beat([beat(mine, results=(COPIED,))])
    assert (await store.get("a")).status.results == ()  # it has not ended
    [status] = await store.newer({"a": 0})
    assert status.results == ()

    await store.reap(silent_s=0, max_lost=5)
    await queue("a")
    (again,) = await store.claim(["a"], worker="another")

    assert again.progress == (await store.get("a")).status.progress == {"bytes_copied": 7}
    assert list(newest_by_place(again.results).values()) == [COPIED]


async def test_an_attempt_that_hands_on_tells_what_it_has_done(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    mine = await claim("a")
    retry = Finish(state=JobState.PENDING, failure=failed().failure, counts_as_failure=True)
    await end(store, beat(mine, results=(COPIED,)), retry)
    assert (await store.get("a")).status.results == ()
    await queue("a")

    (again,) = await store.claim(["a"], worker="w")

    assert again.results == (COPIED,)
    other = replace(COPIED, outcome=Outcome.UNCHANGED)
    await end(store, beat(again), Finish(state=JobState.SUCCEEDED, results=(other,)))
    assert (await store.get("a")).status.results == (other,)


async def test_what_a_lost_attempt_tells_late_is_not_done(
    store: Store, claim: Callable[[str], Awaitable[Claim]], queue: Callable[..., Awaitable[None]]
) -> None:
    zombie = await claim("a")
    await store.reap(silent_s=0, max_lost=5)
    await store.beat([beat(zombie, results=(COPIED,))])
    await queue("a")

    (again,) = await store.claim(["a"], worker="w")

    assert again.results == ()


async def test_a_job_that_is_stopped_tells_what_it_has_done(
    store: Store, claim: Callable[[str], Awaitable[Claim]]
) -> None:
    runs, lost, waits = [await claim(key) for key in ("runs", "lost", "waits")]
    await store.beat([beat(each, results=(COPYING,)) for each in (runs, lost, waits)])
    await end(store, beat(waits, results=(COPIED,)), Finish(state=JobState.PENDING))
    await store.request_stop(["runs", "lost", "waits"])
    await end(store, beat(runs, results=(COPIED,)), Finish(state=JobState.STOPPED))
    await store.reap(silent_s=0, max_lost=5)

    statuses = {status.key: status for status in await store.newer({"runs": 0, "lost": 0, "waits": 0})}

    assert {status.state for status in statuses.values()} == {JobState.STOPPED}
    assert {key: status.results for key, status in statuses.items()} == {
        "runs": (COPIED,),
        "lost": (COPYING,),
        "waits": (COPIED,),
    }


async def test_a_job_that_has_lost_its_workers_tells_what_it_has_done(
    store: Store, claim: Callable[[str], Awaitable[Claim]]
) -> None:
    await store.beat([beat(await claim("a"), results=(COPIED,))])
    await store.reap(silent_s=0, max_lost=1)

    status = (await store.get("a")).status
    assert (status.state, status.results) == (JobState.FAILED, (COPIED,))
