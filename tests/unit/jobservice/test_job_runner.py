"""Runs: what a worker does with a job, and what it leaves when it is stopped, drained or lost."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import psycopg
import pytest

from jobservice.changes import Changes
from jobservice.domain import JobState
from jobservice.handlers import JobContext
from jobservice.runner import Runner
from jobservice.store import Beat
from jobservice.transfer import DeleteWork, ReferenceResult
from tests.jobs import COPIED, MemoryStore, Script, a_spec, failed


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def store(changes: Changes) -> MemoryStore:
    return MemoryStore(changes)


@pytest.fixture
def handler() -> Script:
    return Script()


class AwayOnce(MemoryStore):
    """Cannot be reached at the first sign of life."""

    away = True

    async def beat(self, beats: Sequence[Beat]) -> Mapping[str, bool]:
        if self.away:
            self.away = False
            raise psycopg.OperationalError("away")
        return await super().beat(beats)


class Announces(Script):
    """Fails once what it has noted is stored, and not before."""

    async def run(self, context: JobContext) -> Sequence[ReferenceResult]:
        self.began.set()
        await self.released.wait()
        context.record.note(COPIED)
        await context.record.stored()
        raise RuntimeError("after it was stored")


def a_runner(store: MemoryStore, changes: Changes, handler: Script, *, slots: int = 1) -> Runner:
    return Runner(
        store,
        {DeleteWork: handler},
        changes,
        store.clock,
        worker="w",
        slots=slots,
        on_slot_free=lambda: None,
        jitter=lambda: 1.0,
    )


@pytest.fixture
async def runner(store: MemoryStore, changes: Changes, handler: Script) -> AsyncIterator[Runner]:
    runner = a_runner(store, changes, handler)
    sampling = asyncio.create_task(runner.sample())
    yield runner
    sampling.cancel()


async def queued(store: MemoryStore, *keys: str) -> None:
    await store.submit([a_spec(key) for key in keys])
    store.queue(*keys)


async def test_a_job_is_run_to_its_end(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    handler.steps = 5
    await runner.start(["a"])

    status = (await store.get("a")).status
    assert (status.state, status.results, status.progress["bytes_copied"]) == (JobState.SUCCEEDED, (COPIED,), 5)
    assert [entry.line.message for entry in await store.read_log("a", after=0, limit=9)] == ["begun"]


async def test_two_workers_and_one_job(store: MemoryStore, changes: Changes, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    await asyncio.gather(runner.start(["a"]), a_runner(store, changes, handler).start(["a"]))
    assert handler.begun == [("a", 1)]


async def test_a_transient_failure_waits_longer_each_time(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    handler.ends = [[failed()], [failed()], [failed()]]
    waits = []
    for _ in range(2):
        await runner.start(["a"])
        due = (await store.get("a")).status.next_attempt_time
        assert due is not None
        waits.append((due - store.clock.now()).total_seconds())
        store.clock.advance(waits[-1])
        store.queue("a")
    await runner.start(["a"])

    assert waits == [2.0, 4.0]
    status = (await store.get("a")).status
    assert (status.state, status.attempt, status.results) == (JobState.FAILED, 3, (failed(),))


async def test_a_fault_is_tried_again_and_told(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    handler.ends = [ValueError("a fault")]
    await runner.start(["a"])

    status = (await store.get("a")).status
    assert status.failure is not None
    assert (status.state, status.failure.reason) == (JobState.PENDING, "INTERNAL")
    log = await store.read_log("a", after=0, limit=9)
    assert log[-1].line.fields == {"error": "ValueError"}


async def test_a_stop_reaches_the_handler(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    handler.blocking = True
    running = asyncio.create_task(runner.start(["a"]))
    await handler.began.wait()
    await store.request_stop(["a"])
    await running

    assert handler.cancelled == ["a"]
    assert (await store.get("a")).status.state is JobState.STOPPED


async def test_a_killed_worker_writes_nothing_and_its_job_is_taken_over(
    store: MemoryStore, changes: Changes, runner: Runner, handler: Script
) -> None:
    await queued(store, "a")
    handler.blocking = True
    killed = a_runner(store, changes, handler)  # nobody samples it: its heart does not beat
    dead = asyncio.create_task(killed.start(["a"]))
    await handler.began.wait()
    store.clock.advance(60)
    assert (await store.reap(silent_s=15, max_lost=5)).returned == ("a",)

    store.queue("a")
    handler.blocking = False
    await runner.start(["a"])
    ended = (await store.get("a")).status
    handler.released.set()
    await dead

    assert handler.begun == [("a", 1), ("a", 2)]
    assert (await store.get("a")).status == ended
    assert ended.attempt == 2


async def test_a_lost_job_is_let_go(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    handler.blocking = True
    running = asyncio.create_task(runner.start(["a"]))
    await handler.began.wait()
    await store.reap(silent_s=0, max_lost=5)  # its notification makes the runner look
    await running

    assert handler.cancelled == ["a"]
    assert (await store.get("a")).status.state is JobState.PENDING


async def test_a_drain_gives_jobs_back_and_takes_no_more(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a", "b")
    handler.blocking = True
    running = asyncio.create_task(runner.start(["a"]))
    await handler.began.wait()
    await runner.drain()
    await running
    await runner.start(["b"])

    assert handler.cancelled == ["a"]
    assert [(await store.get(key)).status.state for key in "ab"] == [JobState.PENDING, JobState.PENDING]
    assert await store.queued_for(0) == []
    assert store.rows["a"].failed_attempts == 0


async def test_a_cancelled_caller_does_not_end_the_run(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    handler.blocking = True
    caller = asyncio.create_task(runner.start(["a"]))
    await handler.began.wait()
    caller.cancel()
    await asyncio.wait([caller])
    handler.released.set()
    await runner.drain()

    assert caller.cancelled()
    assert (await store.get("a")).status.state is not JobState.RUNNING


async def test_the_next_attempt_begins_with_what_was_done(store: MemoryStore, runner: Runner, handler: Script) -> None:
    await queued(store, "a")
    handler.steps, handler.done, handler.ends = 5, [COPIED], [[failed()]]
    await runner.start(["a"])
    assert handler.done_before == [None]
    store.queue("a")
    handler.done = []
    await runner.start(["a"])

    assert handler.done_before == [COPIED]
    progress = (await store.get("a")).status.progress
    assert (progress["bytes_copied"], progress["bytes_total"]) == (10, 5)


@pytest.mark.parametrize("interrupt", ["stop", "drain"])
async def test_an_interrupted_attempt_tells_what_it_has_done(
    store: MemoryStore, runner: Runner, handler: Script, interrupt: str
) -> None:
    await queued(store, "a")
    handler.blocking, handler.done = True, [COPIED]
    running = asyncio.create_task(runner.start(["a"]))
    await handler.began.wait()
    await (store.request_stop(["a"]) if interrupt == "stop" else runner.drain())
    await running

    assert store.rows["a"].results == (COPIED,)
    assert (await store.get("a")).status.results == ((COPIED,) if interrupt == "stop" else ())


async def test_what_is_waited_for_is_stored_at_once(
    store: MemoryStore, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobservice.runner.SAMPLE_INTERVAL_S", 3600.0)
    handler = Announces()
    runner = a_runner(store, changes, handler)
    sampling = asyncio.create_task(runner.sample())
    await queued(store, "a")
    running = asyncio.create_task(runner.start(["a"]))
    async with asyncio.timeout(10):
        await handler.began.wait()
        for _ in range(100):  # the beginning was news for the sampler; now there is none
            await asyncio.sleep(0)
        handler.released.set()
        await running
    sampling.cancel()

    assert store.rows["a"].results == (COPIED,)


async def test_what_cannot_be_stored_is_stored_later(changes: Changes) -> None:
    handler = Announces()
    handler.released.set()
    store = AwayOnce(changes)
    runner = a_runner(store, changes, handler)
    await queued(store, "a")
    running = asyncio.create_task(runner.start(["a"]))
    with pytest.raises(psycopg.OperationalError):
        await runner.sample()
    assert not store.rows["a"].results
    sampling = asyncio.create_task(runner.sample())
    async with asyncio.timeout(10):
        await running
    sampling.cancel()

    assert store.rows["a"].results == (COPIED,)


async def test_no_more_run_at_once_than_there_are_slots(store: MemoryStore, changes: Changes, handler: Script) -> None:
    runner = a_runner(store, changes, handler, slots=2)
    await queued(store, "a", "b", "c")
    handler.blocking = True
    taking = asyncio.create_task(runner.start(["a", "b", "c"]))
    for _ in range(100):
        await asyncio.sleep(0)
    waits = [key for key in "abc" if (await store.get(key)).status.state is JobState.PENDING]
    was_full = not taking.done()
    handler.released.set()
    await taking

    assert (waits, was_full) == (["c"], True)
    assert await store.queued_for(0) == []  # back in the backlog, for whoever has room
