"""Starts policies when their schedules say so. Any number of replicas may do it side by side."""

import asyncio
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from policy_svc.domain.due import judge
from policy_svc.domain.policy import Policy
from policy_svc.domain.trigger import NextRun, ScheduledTrigger
from policy_svc.store import Claim, ScheduleStore
from service_kit.clock import Clock
from service_kit.errors import Kind, ServiceError

POLL_INTERVAL_S: Final = 1.0  # a run starts within this of its time; one small query by an index
LEASE: Final = timedelta(seconds=20)  # longer than a start takes at the most, and short enough to be on time after it
RETRY: Final = timedelta(seconds=5)  # until a start that failed is tried again, by anybody
BATCH: Final = 20  # starts side by side, each a call that reads a policy and writes a row

# What calling again will not mend: the run is given up.
_FINAL: Final = frozenset({Kind.INVALID_ARGUMENT, Kind.NOT_FOUND, Kind.ALREADY_EXISTS, Kind.FAILED_PRECONDITION})

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class ExecutionGateway(Protocol):
    async def start(self, policy: str, *, request_id: str, started_by: str) -> str:
        """Starts an execution and gives its name; the same one for the same request id."""
        ...


class Scheduler:
    """Claims what is due, starts it, and puts the next run in its place.

    Whoever dies in between leaves the run in its place, and the next one starts it with the same request id, which
    makes one execution of both starts.
    """

    def __init__(self, schedules: ScheduleStore, executions: ExecutionGateway, clock: Clock) -> None:
        self._schedules = schedules
        self._executions = executions
        self._clock = clock

    async def run(self) -> None:
        """Looks again and again, until it is cancelled; a fault of the database, or of ours, does not end it."""
        while True:
            try:
                handled = await self.step()
            except Exception:
                log.exception("schedules could not be looked at")
                handled = 0
            if handled < BATCH:
                await asyncio.sleep(POLL_INTERVAL_S)

    async def step(self) -> int:
        """Handles what is due now, up to a batch of it; tells how many runs that were."""
        now = self._clock.now()
        claims = await self._schedules.claim_due(now=now, until=now + LEASE, limit=BATCH)
        async with asyncio.TaskGroup() as group:
            for claim in claims:
                group.create_task(self._handle_alone(claim), name=f"start {claim.policy.name}")
        return len(claims)

    async def _handle_alone(self, claim: Claim) -> None:
        """What goes wrong with one policy holds up no other; its run is tried again when its lease has ended."""
        try:
            await self._handle(claim)
        except Exception:
            log.exception("schedule could not be handled", policy=claim.policy.name)

    async def _handle(self, claim: Claim) -> None:
        policy, run, now = claim.policy, claim.policy.next_run, self._clock.now()
        if run is None or not isinstance(policy.spec.trigger, ScheduledTrigger):
            raise AssertionError(f"{policy.name} was claimed and has no schedule")
        verdict = judge(run, policy.spec.trigger, key=policy.uid, now=now)
        if not verdict.starts:
            log.warning("scheduled run missed", policy=policy.name, run_time=str(run.run_time))
        elif not await self._started(policy, run):
            await self._schedules.postpone(claim, until=now + RETRY)
            return
        await self._schedules.advance(claim, verdict.then)

    async def _started(self, policy: Policy, run: NextRun) -> bool:
        """Whether there is nothing more to be done for the run."""
        try:
            execution = await self._executions.start(
                f"policies/{policy.uid}",  # another policy may have its name by now
                request_id=request_id(policy.uid, run.fire_time),
                started_by=f"schedule of {policy.name}",
            )
        except ServiceError as error:
            given_up = error.kind in _FINAL
            log.warning("scheduled run not started", policy=policy.name, error=str(error), given_up=given_up)
            return given_up
        log.info("scheduled run started", policy=policy.name, execution=execution, run_time=str(run.run_time))
        return True


def request_id(policy_uid: str, fire_time: datetime) -> str:
    """One and the same for a run of a policy, whoever starts it."""
    return f"schedule-{policy_uid}-{fire_time:%Y%m%dT%H%M%SZ}"
