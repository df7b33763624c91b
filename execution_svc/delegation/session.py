"""One stream to the jobservice, from its opening to its break. Nothing that a session remembers outlives it."""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar, assert_never

from execution_svc.delegation.messages import (
    Accepted,
    Changed,
    Follow,
    JobStream,
    Rejected,
    Report,
    Stop,
    Submit,
    Unknown,
)
from execution_svc.domain.task import LAST_REVISION, JobKey, JobStatus, TaskState
from execution_svc.signals import Changes, Subscription
from execution_svc.store import DelegationStore
from service_kit.clock import Clock
from service_kit.errors import ServiceUnavailable
from service_kit.tasks import run_until_one_fails

WINDOW: Final = 2000  # jobs in flight: enough to keep many workers busy, few enough to take turns among executions
JOBS_PER_SUBMIT: Final = 100  # the limits of the messages
KEYS_PER_MESSAGE: Final = 1000
POLL_INTERVAL_S: Final = 2.0  # should a notification be missed

_T = TypeVar("_T")


class Session:
    """Follows what is in flight, submits what waits, stops what is unwanted, and folds what comes back.

    `_drive` alone sends and `_listen` alone reads, so a peer that takes nothing before it is read from cannot block us.
    """

    def __init__(self, stream: JobStream, store: DelegationStore, changes: Changes, clock: Clock) -> None:
        self._stream = stream
        self._store = store
        self._changes = changes
        self._clock = clock
        self._in_flight: set[JobKey] = set()
        self._unknown: list[JobKey] = []
        self._stops_sent: set[JobKey] = set()
        self.healthy = False  # whether the peer has said anything

    async def run(self) -> None:
        """Ends only by raising: ServiceError when the stream broke, OperationalError for the database."""
        self._in_flight = set(await self._store.in_flight())
        with self._changes.subscribe() as changed:
            await run_until_one_fails(self._listen(changed), self._drive(changed))

    async def _drive(self, changed: Subscription) -> None:
        for keys in _chunks(sorted(self._in_flight, key=str), KEYS_PER_MESSAGE):
            await self._stream.send(Follow(keys))
        while True:
            await self._submit_unknown()
            await self._stop_unwanted()
            await self._submit_waiting()
            await changed.wait(POLL_INTERVAL_S)

    async def _submit_unknown(self) -> None:
        """Submits again what the jobservice does not have; what is not wanted any more has thereby stopped."""
        keys, self._unknown = self._unknown, []
        for some in _chunks(keys, JOBS_PER_SUBMIT):
            jobs = await self._store.resubmit(some)
            if unwanted := sorted(set(some) - {job.key for job in jobs}, key=str):
                await self._fold([_stopped(key) for key in unwanted])
            if jobs:
                await self._stream.send(Submit(jobs))

    async def _stop_unwanted(self) -> None:
        unwanted = [key for key in await self._store.to_stop() if key not in self._stops_sent]
        self._stops_sent.update(unwanted)
        for keys in _chunks(unwanted, KEYS_PER_MESSAGE):
            await self._stream.send(Stop(keys))

    async def _submit_waiting(self) -> None:
        while room := max(0, WINDOW - len(self._in_flight)):
            limit = min(room, JOBS_PER_SUBMIT)
            jobs = await self._store.claim_tasks(limit, self._clock.now())
            self._in_flight.update(job.key for job in jobs)
            if jobs:
                await self._stream.send(Submit(jobs))
            if len(jobs) < limit:
                return

    async def _listen(self, changed: Subscription) -> None:
        async for report in self._stream.reports():
            self.healthy = True
            await self._take(report, changed)
        raise ServiceUnavailable(service="jobservice")

    async def _take(self, report: Report, changed: Subscription) -> None:
        match report:
            case Accepted(keys):
                # A stop that overtook the acceptance may have been passed over: say it again.
                self._stops_sent.difference_update(keys)
                changed.notify()
            case Rejected(key, failure):
                status = JobStatus(key=key, revision=LAST_REVISION, state=TaskState.FAILED, failure=failure)
                await self._fold([status])
            case Changed(statuses):
                await self._fold(statuses)
            case Unknown(keys):
                self._unknown.extend(keys)
                changed.notify()
            case _:
                assert_never(report)

    async def _fold(self, statuses: Sequence[JobStatus]) -> None:
        await self._store.fold(newest(statuses), self._clock.now())
        ended = {status.key for status in statuses if status.state.is_final}
        self._in_flight -= ended
        self._stops_sent -= ended


def newest(statuses: Sequence[JobStatus]) -> list[JobStatus]:
    """One status for each job."""
    ordered = sorted(statuses, key=lambda status: status.revision)
    return list({status.key: status for status in ordered}.values())


def _stopped(key: JobKey) -> JobStatus:
    return JobStatus(key=key, revision=LAST_REVISION, state=TaskState.STOPPED)


def _chunks(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
