"""Builders and small working parts for tests of the job service."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from jobservice.changes import Change, Changes
from jobservice.domain import Job, JobSpec, JobState, JobStatus, LogEntry
from jobservice.errors import JobNotFound
from jobservice.handlers import JobContext
from jobservice.store import Beat, Claim, Cursor, End, Finish, Reaped
from jobservice.transfer import (
    Action,
    ArtifactReference,
    DeleteWork,
    Failure,
    Outcome,
    PlannedReference,
    ReferenceResult,
    ReplicateWork,
    TransferOptions,
    newest_by_place,
)
from service_kit.clock import FakeClock

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
COPIED = ReferenceResult(reference=ArtifactReference(tag="1"), outcome=Outcome.COPIED)
OPTIONS = TransferOptions(
    platforms=("linux/amd64", "linux/arm64/v8"),
    referrers=True,
    referrer_types=("application/spdx+json",),
    foreign_layers=True,
    max_bytes_per_second=2**40,
)


def a_spec(key: str, *, group: str = "policies/p", tags: tuple[str, ...] = ("1",)) -> JobSpec:
    references = tuple(ArtifactReference(tag=tag) for tag in tags)
    work = DeleteWork(registry="registries/r", repository="library/nginx", references=references)
    return JobSpec(key=key, fairness_group=group, work=work)


def a_copy(key: str, *, options: TransferOptions) -> JobSpec:
    work = ReplicateWork(
        source_registry="registries/a",
        source_repository="library/nginx",
        destination_registry="registries/b",
        destination_repository="mirror/nginx",
        references=(ArtifactReference(tag="1", destination_tag="app-1"),),
        options=options,
        backup_tag="{tag}-before-{date}",
    )
    return JobSpec(key=key, fairness_group="policies/p", work=work)


def failed(reason: str = "REGISTRY_FAULT", *, retryable: bool = True, **metadata: str) -> ReferenceResult:
    failure = Failure(reason=reason, message="No.", retryable=retryable, metadata=metadata)
    return ReferenceResult(reference=ArtifactReference(tag="1"), outcome=Outcome.FAILED, failure=failure)


class Script:
    """A handler that ends as told: with results, an exception, or not before it is released. Notes `done` before."""

    def __init__(self, *ends: Sequence[ReferenceResult] | Exception) -> None:
        self.ends = list(ends)
        self.begun: list[tuple[str, int]] = []
        self.cancelled: list[str] = []
        self.began = asyncio.Event()
        self.released = asyncio.Event()
        self.blocking = False
        self.steps = 0
        self.done: list[ReferenceResult] = []
        self.done_before: list[ReferenceResult | None] = []

    async def run(self, context: JobContext) -> Sequence[ReferenceResult]:
        self.begun.append((context.key, context.attempt))
        self.began.set()
        context.log.info("begun", attempt=context.attempt)
        try:
            context.progress.bytes_copied += self.steps
            self.done_before = [context.record.earlier(each) for each in context.work.references]
            for result in self.done:
                context.record.note(result)
            if self.blocking:
                await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.append(context.key)
            raise
        end = self.ends.pop(0) if self.ends else [COPIED]
        if isinstance(end, Exception):
            raise end
        return end


class Plans:
    """A planner that copies everything, one reference a batch, and waits before the second one if it is told to."""

    def __init__(self, *, stalls: bool = False) -> None:
        self.stalls = stalls
        self.ended = asyncio.Event()

    async def plan(self, work: ReplicateWork) -> AsyncGenerator[Sequence[PlannedReference], None]:
        try:
            for reference in work.references:
                yield [PlannedReference(reference=reference, action=Action.COPY, blobs_to_move=1, bytes_to_move=7)]
                if self.stalls:
                    await asyncio.Event().wait()
        finally:
            self.ended.set()


@dataclass(kw_only=True)
class _Row:
    job: Job
    failed_attempts: int = 0
    lost_attempts: int = 0
    heartbeat_at: datetime = LONG_AGO
    queued_at: datetime | None = None
    log: list[LogEntry] = field(default_factory=list)
    results: tuple[ReferenceResult, ...] = ()
    run_after: datetime = LONG_AGO


class MemoryStore:
    """JobStore and RunStore in one, on a clock that the test owns."""

    def __init__(self, changes: Changes | None = None, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.rows: dict[str, _Row] = {}
        self._changes = changes or Changes()

    async def submit(self, specs: Sequence[JobSpec]) -> frozenset[str]:
        others = set()
        for spec in specs:
            status = JobStatus(key=spec.key)
            row = self.rows.setdefault(spec.key, _Row(job=Job(spec=spec, status=status, create_time=self.clock.now())))
            if row.job.spec != spec:
                others.add(spec.key)
        return frozenset(others)

    async def get(self, key: str) -> Job:
        if key not in self.rows:
            raise JobNotFound(job=f"jobs/{key}")
        return self.rows[key].job

    async def page(self, states: frozenset[JobState], *, limit: int, after: Cursor | None) -> list[Job]:
        jobs = sorted((row.job for row in self.rows.values()), key=_age, reverse=True)
        found = [job for job in jobs if not states or job.status.state in states]
        return [_without_results(job) for job in found if after is None or _age(job) < after][:limit]

    async def existing(self, keys: Sequence[str]) -> frozenset[str]:
        return frozenset(keys) & self.rows.keys()

    async def newer(self, known: Mapping[str, int]) -> list[JobStatus]:
        found = [(self.rows[key].job.status, revision) for key, revision in known.items() if key in self.rows]
        return [status for status, revision in found if status.revision > revision]

    async def request_stop(self, keys: Sequence[str]) -> None:
        for row in [self.rows[key] for key in keys if key in self.rows]:
            if row.job.status.state is JobState.PENDING:
                results = _newest(row.results)
                now = self.clock.now()
                self._change(row, state=JobState.STOPPED, stop_requested=True, results=results, end_time=now)
            elif row.job.status.state is JobState.RUNNING and not row.job.status.stop_requested:
                self._change(row, stop_requested=True)

    async def read_log(self, key: str, *, after: int, limit: int) -> list[LogEntry]:
        return self.rows[key].log[after : after + limit]

    def queue(self, *keys: str) -> None:
        """What the feeder does."""
        for key in keys:
            self.rows[key].queued_at = self.clock.now()

    async def claim(self, keys: Sequence[str], *, worker: str) -> list[Claim]:
        claims = [self._claim(key) for key in keys]
        return [claim for claim in claims if claim is not None]

    def _claim(self, key: str) -> Claim | None:
        row = self.rows[key]
        status = row.job.status
        if status.state is not JobState.PENDING or row.queued_at is None:
            return None
        row.heartbeat_at = self.clock.now()
        self._change(
            row,
            state=JobState.RUNNING,
            attempt=status.attempt + 1,
            start_time=status.start_time or self.clock.now(),
            next_attempt_time=None,
        )
        return Claim(
            key=key,
            fairness_group=row.job.spec.fairness_group,
            attempt=row.job.status.attempt,
            work=row.job.spec.work,
            failed_attempts=row.failed_attempts,
            progress=status.progress,
            results=row.results,
        )

    async def beat(self, beats: Sequence[Beat]) -> Mapping[str, bool]:
        held = {}
        for beat in beats:
            if (row := self._held(beat)) is not None:
                row.heartbeat_at = self.clock.now()
                first = len(row.log) + 1
                row.results += beat.results
                row.log += [LogEntry(sequence=first + place, line=line) for place, line in enumerate(beat.lines)]
                if beat.progress is not None:
                    self._change(row, urgent=False, progress=beat.progress)
                held[beat.key] = row.job.status.stop_requested
        return held

    async def finish(self, ends: Sequence[End]) -> frozenset[str]:
        return frozenset([end.beat.key for end in ends if await self._finish(end.beat, end.finish)])

    async def _finish(self, beat: Beat, finish: Finish) -> bool:
        if not await self.beat([beat]):
            return False
        row = self.rows[beat.key]
        row.results = finish.results or row.results
        row.failed_attempts += finish.counts_as_failure
        row.queued_at = None
        row.run_after = self.clock.now() + timedelta(seconds=finish.delay_s)
        pending = finish.state is JobState.PENDING
        state = JobState.STOPPED if pending and row.job.status.stop_requested else finish.state
        waits = state is JobState.PENDING
        self._change(
            row,
            state=state,
            failure=finish.failure or (row.job.status.failure if waits else None),
            results=() if waits else _newest(row.results),
            end_time=None if waits else self.clock.now(),
            next_attempt_time=row.run_after if waits and row.failed_attempts else None,
        )
        return True

    async def reap(self, *, silent_s: float, max_lost: int) -> Reaped:
        limit = self.clock.now() - timedelta(seconds=silent_s)
        running = [row for row in self.rows.values() if row.job.status.state is JobState.RUNNING]
        ends: dict[JobState, list[str]] = {JobState.PENDING: [], JobState.STOPPED: [], JobState.FAILED: []}
        for row in [row for row in running if row.heartbeat_at <= limit]:
            row.lost_attempts += 1
            row.queued_at = None
            end = JobState.FAILED if row.lost_attempts >= max_lost else JobState.PENDING
            end = JobState.STOPPED if row.job.status.stop_requested else end
            ends[end].append(row.job.spec.key)
            lost = Failure(reason="WORKER_LOST", message="", metadata={"attempt": str(row.job.status.attempt)})
            self._change(
                row,
                state=end,
                results=_newest(row.results) if end.is_final else (),
                end_time=self.clock.now() if end.is_final else None,
                failure=lost if end is JobState.FAILED else row.job.status.failure,
            )
        returned, stopped, failed_ = map(tuple, ends.values())
        return Reaped(returned=returned, stopped=stopped, failed=failed_)

    async def forget(self, *, ended_s: float, limit: int) -> int:
        until = self.clock.now() - timedelta(seconds=ended_s)
        ended = [key for key, row in self.rows.items() if (end := row.job.status.end_time) and end <= until]
        for key in ended[:limit]:
            del self.rows[key]
        return len(ended[:limit])

    async def queued_for(self, seconds: float) -> list[str]:
        limit = self.clock.now() - timedelta(seconds=seconds)
        waiting = [row for row in self.rows.values() if row.job.status.state is JobState.PENDING]
        return [row.job.spec.key for row in waiting if row.queued_at is not None and row.queued_at <= limit]

    async def unqueue(self, keys: Sequence[str]) -> None:
        for key in keys:
            if self.rows[key].job.status.state is JobState.PENDING:
                self.rows[key].queued_at = None

    def _held(self, beat: Beat) -> _Row | None:
        row = self.rows.get(beat.key)
        if row is None or row.job.status.state is not JobState.RUNNING or row.job.status.attempt != beat.attempt:
            return None
        return row

    def _change(self, row: _Row, *, urgent: bool = True, **changes: object) -> None:
        status = replace(row.job.status, revision=row.job.status.revision + 1, **changes)  # type: ignore[arg-type]
        row.job = replace(row.job, status=status)
        self._changes.publish(Change(keys=frozenset({status.key}), urgent=urgent))


def _newest(results: Sequence[ReferenceResult]) -> tuple[ReferenceResult, ...]:
    return tuple(newest_by_place(results).values())


def _age(job: Job) -> Cursor:
    return job.create_time, job.spec.key


def _without_results(job: Job) -> Job:
    return replace(job, status=replace(job.status, results=()))
