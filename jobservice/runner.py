"""Runs jobs: claims, lets a handler work, writes signs of life, and ends each run as its attempt ended."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Final, assert_never

import psycopg
import structlog

from jobservice.changes import Changes
from jobservice.domain import JobState
from jobservice.ends import Ends
from jobservice.handlers import Handler, JobContext, JobLog
from jobservice.record import Record
from jobservice.retry import conclude, conclude_crash
from jobservice.store import Beat, Claim, End, Finish, RunStore
from jobservice.transfer import Progress, ReferenceResult
from service_kit.clock import Clock

HEARTBEAT_INTERVAL_S: Final = 3.0
SAMPLE_INTERVAL_S: Final = 0.5  # progress is told at most twice a second, by one statement for all runs

_REWRITE_S: Final = 1.0  # between attempts to write an end down while the database is away

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Handlers = Mapping[type[object], Handler]  # by the class of the work


class Interrupt(StrEnum):
    """Why a handler was cancelled."""

    STOP = "stop"  # somebody asked for it
    DRAIN = "drain"  # this worker goes down; another one takes the job
    LOST = "lost"  # a later attempt is under way: write nothing


class Run:
    """One attempt under way."""

    def __init__(self, claim: Claim, handler: Handler, clock: Clock, *, hurry: Callable[[], None]) -> None:
        self.claim = claim
        self.log = JobLog(clock.now)
        self.interrupted: Interrupt | None = None
        self._record = Record(claim.work.references, claim.results, hurry=hurry)
        self._progress = Progress.after(claim.progress)
        self._told = claim.progress or self._progress.as_dict()
        self._beat_at = asyncio.get_running_loop().time()
        self.task = asyncio.ensure_future(_begin(handler, self._context()))

    def interrupt(self, why: Interrupt) -> None:
        """Cancels the handler; the first reason stays."""
        if self.interrupted is None:
            self.interrupted = why
            self.task.cancel()

    def note_fault(self, error: BaseException) -> None:
        """For the reader of the job's log; the traceback is in that of the service."""
        self.log.error("the attempt ended in a fault", error=type(error).__name__)

    def has_news(self) -> bool:
        """Whether there is something to write: what it has done, progress, lines, or that it lives."""
        overdue = asyncio.get_running_loop().time() - self._beat_at >= HEARTBEAT_INTERVAL_S
        return overdue or bool(self._record) or bool(self.log) or self._progress.as_dict() != self._told

    def take_beat(self) -> Beat:
        """What has happened since the last beat. Say then what became of it: `confirm` or `put_back`."""
        progress = self._progress.as_dict()
        changed = progress != self._told
        self._told = progress
        self._beat_at = asyncio.get_running_loop().time()
        return Beat(
            key=self.claim.key,
            attempt=self.claim.attempt,
            progress=progress if changed else None,
            results=self._record.take(),
            lines=self.log.take(),
        )

    def confirm(self) -> None:
        """The beat is written."""
        self._record.confirm()

    def put_back(self, beat: Beat) -> None:
        """The beat could not be written: the next one tells it again."""
        self._record.put_back()
        self.log.put_back(beat.lines)
        self._told = {}

    def _context(self) -> JobContext:
        return JobContext(
            key=self.claim.key,
            fairness_group=self.claim.fairness_group,
            attempt=self.claim.attempt,
            work=self.claim.work,
            progress=self._progress,
            record=self._record,
            log=self.log,
        )


class Runner:
    """All runs of this process, as many at once as there are slots."""

    def __init__(
        self,
        store: RunStore,
        handlers: Handlers,
        changes: Changes,
        clock: Clock,
        *,
        worker: str,
        slots: int,
        on_slot_free: Callable[[], None],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._handlers = handlers
        self._changes = changes
        self._clock = clock
        self._worker = worker
        self._ends = Ends(store)
        self._free = slots
        self._room = asyncio.Event()
        self._room.set()
        self._on_slot_free = on_slot_free
        self._jitter = jitter
        self._runs: dict[str, Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._beating = asyncio.Lock()
        self._hurry: Callable[[], None] = lambda: None
        self._draining = False

    async def start(self, keys: Sequence[str]) -> None:
        """Begins as many of the jobs as there are free slots, gives the others back, and returns when one is free.

        When the caller is cancelled, what it has begun goes on without it.
        """
        await asyncio.shield(self._spawn(self._begin(keys), f"begin {', '.join(keys)}"))
        await self._room.wait()

    async def drain(self) -> None:
        """Interrupts all runs, gives their jobs back, and takes no more. Signs of life must go on meanwhile."""
        self._draining = True
        for run in self._runs.values():
            run.interrupt(Interrupt.DRAIN)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def sample(self) -> None:
        """Writes signs of life for ever; a stop request wakes it, and a run in a hurry."""
        with self._changes.subscribed(self._runs) as news:
            self._hurry = news.wake
            while True:
                await news.wait_urgent(SAMPLE_INTERVAL_S)
                async with self._beating:
                    await self._beat(news.take())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("run not begun or not ended", run=task.get_name(), error=repr(error))

    async def _beat(self, asked: Collection[str]) -> None:
        runs = [run for key, run in self._runs.items() if key in asked or run.has_news()]
        if not runs:
            return
        beats = [run.take_beat() for run in runs]
        try:
            held = await self._store.beat(beats)
        except BaseException:
            for run, beat in zip(runs, beats, strict=True):
                run.put_back(beat)
            raise
        for run in runs:
            if run.claim.key not in held:
                run.interrupt(Interrupt.LOST)
                continue
            run.confirm()
            if held[run.claim.key]:
                run.interrupt(Interrupt.STOP)

    async def _begin(self, keys: Sequence[str]) -> None:
        most = 0 if self._draining else self._free
        mine, too_many = keys[:most], keys[most:]
        self._take_slots(len(mine))
        claims: Sequence[Claim] = ()
        try:
            claims = await self._store.claim(mine, worker=self._worker) if mine else ()
        finally:
            self._take_slots(len(claims) - len(mine))
        for claim in claims:
            self._spawn(self._run_in_slot(claim), f"run {claim.key}")
        if too_many:
            await self._store.unqueue(too_many)
            self._on_slot_free()

    async def _run_in_slot(self, claim: Claim) -> None:
        try:
            await self._run(claim)
        finally:
            self._take_slots(-1)
        self._on_slot_free()

    def _take_slots(self, number: int) -> None:
        """Takes so many; gives back when it is negative."""
        self._free -= number
        if self._free > 0:
            self._room.set()
        else:
            self._room.clear()

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def _run(self, claim: Claim) -> None:
        if (older := self._runs.get(claim.key)) is not None:
            older.interrupt(Interrupt.LOST)
            await asyncio.wait([older.task])
        run = Run(claim, self._handlers[type(claim.work)], self._clock, hurry=lambda: self._hurry())
        self._runs[claim.key] = run
        if self._draining:
            run.interrupt(Interrupt.DRAIN)
        try:
            finish = await self._carried_out(run)
        finally:
            if self._runs.get(claim.key) is run:
                del self._runs[claim.key]
        if finish is not None:
            await self._write_down(run, finish)

    async def _carried_out(self, run: Run) -> Finish | None:
        """How the job goes on after the attempt; None when that is not ours to say any more."""
        try:
            results = await run.task
        except (Exception, asyncio.CancelledError) as error:
            if run.interrupted is not None:
                return _finish_interrupted(run.interrupted)
            if isinstance(error, asyncio.CancelledError):
                raise
            log.exception("handler failed", job=run.claim.key, attempt=run.claim.attempt)
            run.note_fault(error)
            return conclude_crash(failed_attempts=run.claim.failed_attempts, jitter=self._jitter)
        if run.interrupted is Interrupt.LOST:
            return None
        return conclude(results, failed_attempts=run.claim.failed_attempts, jitter=self._jitter)

    async def _write_down(self, run: Run, finish: Finish) -> None:
        """Until it is written or the job was lost: an end that is known must not wait for the reaper."""
        async with self._beating:
            pass  # a beat that is on its way holds progress and lines that come before the end
        while True:
            beat = run.take_beat()
            if finish.results:
                beat = replace(beat, results=())  # the results of the job have what they say
            try:
                held = await self._ends.write(End(beat=beat, finish=finish))
            except psycopg.OperationalError as error:
                run.put_back(beat)
                log.warning("end of a job not written", job=beat.key, error=str(error), retry_s=_REWRITE_S)
                await asyncio.sleep(_REWRITE_S)
            else:
                log.info("attempt ended", job=beat.key, attempt=beat.attempt, state=finish.state, held=held)
                return


async def _begin(handler: Handler, context: JobContext) -> Sequence[ReferenceResult]:
    return await handler.run(context)


def _finish_interrupted(why: Interrupt) -> Finish | None:
    match why:
        case Interrupt.STOP:
            return Finish(state=JobState.STOPPED)
        case Interrupt.DRAIN:
            return Finish(state=JobState.PENDING)
        case Interrupt.LOST:
            return None
    assert_never(why)
