"""Brings events to the policies that wait for them.

A router finds out which policies each new event concerns. Then each policy is started with all of its events that have
come within a short window. Both work under leases, so replicas share the work and another one takes over what one of
them lost. The same events start a policy once, however often they are tried: the start has a request id made of them.
"""

import asyncio
import random
import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

import structlog

from policy_svc.events.domain.batch import Batch, Subscriber, newest
from policy_svc.events.domain.event import Notice
from policy_svc.events.store import Outbox
from policy_svc.events.wakeup import Wakeup
from service_kit.clock import Clock
from service_kit.errors import ServiceError
from service_kit.status import as_service_error
from service_kit.tasks import run_until_one_fails

WINDOW_S: Final = 0.3  # a push of several tags is one start, and the copy still follows within two seconds
LEASE_S: Final = 20.0  # longer than a start may take (gateways.CALL_TIMEOUT_S), so that nobody else tries meanwhile
POLL_INTERVAL_S: Final = 1.0  # events that another replica has taken in, and lost, wake nobody here
SHORTEST_WAIT_S: Final = 0.01  # what is due and cannot be had is just being claimed by another replica
PAUSE_S: Final = 1.0  # after a failure of the database, or of ours
FIRST_RETRY_S: Final = 0.5
LONGEST_RETRY_S: Final = 60.0
MAX_ROUTED: Final = 500  # events at a time
MAX_BATCH: Final = 1000  # as many as a start may name
DELIVERIES: Final = 8  # a start that hangs must not hold back those of other policies
MAX_PROBLEM_CHARS: Final = 500

_POLICY_GONE: Final = frozenset({"POLICY_NOT_FOUND", "POLICY_DISABLED"})

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Subscribers(Protocol):
    async def of(self, registry: str) -> Sequence[Subscriber]:
        """The enabled policies that wait for events of the registry."""
        ...

    async def find(self, policy_uid: str) -> Subscriber | None:
        """The policy as it is now; None when it waits for no events any more."""
        ...


class Executions(Protocol):
    async def start(self, subscriber: Subscriber, notices: Sequence[Notice], request_id: str) -> str:
        """Starts the policy with what the notices tell, once for a request id, and returns the execution's name."""
        ...


class Dispatcher:
    """Works until it is cancelled. `wake` it when there are new events."""

    def __init__(self, outbox: Outbox, subscribers: Subscribers, executions: Executions, clock: Clock) -> None:
        self._outbox = outbox
        self._subscribers = subscribers
        self._executions = executions
        self._clock = clock
        self._unrouted = Wakeup()
        self._routed = Wakeup()

    def wake(self) -> None:
        self._unrouted()

    async def run(self) -> None:
        await run_until_one_fails(self._route_all(), self._deliver_all())

    async def _route_all(self) -> None:
        while True:
            try:
                if await self.route():
                    continue
            except Exception:
                log.exception("events cannot be routed")
                await asyncio.sleep(PAUSE_S)
            await self._unrouted.wait(POLL_INTERVAL_S)

    async def route(self) -> int:
        """Routes some events and returns how many there were."""
        now = self._clock.now()
        token = str(uuid.uuid4())
        until = now + timedelta(seconds=LEASE_S)
        events = await self._outbox.claim_unrouted(token=token, now=now, until=until, limit=MAX_ROUTED)
        if not events:
            return 0
        subscribers = {name: await self._subscribers.of(name) for name in {event.registry for event in events}}
        wanted = {
            event.number: [each.policy_uid for each in subscribers[event.registry] if each.wants(event.notice)]
            for event in events
        }
        await self._outbox.route(token=token, policies=wanted, due=self._clock.now() + timedelta(seconds=WINDOW_S))
        if any(wanted.values()):
            self._routed()
        return len(events)

    async def _deliver_all(self) -> None:
        free = asyncio.Semaphore(DELIVERIES)
        async with asyncio.TaskGroup() as deliveries:
            while True:
                await free.acquire()
                batch = await self._next()
                delivery = deliveries.create_task(self._deliver(batch), name=f"events for {batch.policy_uid}")
                delivery.add_done_callback(lambda _: free.release())

    async def _next(self) -> Batch:
        """The next batch, as soon as one is due."""
        while True:
            try:
                if batch := await self.claim():
                    return batch
                due = await self._outbox.next_due()
                wait_s = (due - self._clock.now()).total_seconds() if due else POLL_INTERVAL_S
                await self._routed.wait(min(max(wait_s, SHORTEST_WAIT_S), POLL_INTERVAL_S))
            except Exception:
                log.exception("events cannot be claimed")
                await asyncio.sleep(PAUSE_S)

    async def _deliver(self, batch: Batch) -> None:
        try:
            await self.deliver(batch)
        except Exception:  # the lease ends, and it is tried again
            log.exception("a delivery of events cannot be noted", policy_uid=batch.policy_uid)

    async def claim(self) -> Batch | None:
        """Events with which a policy is to be started, if any are due; nobody else gets them meanwhile."""
        now = self._clock.now()
        until = now + timedelta(seconds=LEASE_S)
        return await self._outbox.claim_batch(token=str(uuid.uuid4()), now=now, until=until, limit=MAX_BATCH)

    async def deliver(self, batch: Batch) -> None:
        """Starts the policy, or gives the batch back for another try."""
        try:
            await self._start(batch)
        except ServiceError as error:
            await self._failed(batch, error)
        except Exception as error:
            log.exception("event delivery failed", policy_uid=batch.policy_uid)
            await self._failed(batch, as_service_error(error))

    async def _start(self, batch: Batch) -> None:
        subscriber = await self._subscribers.find(batch.policy_uid)
        if subscriber is None or subscriber.registry != batch.registry:
            await self._drop(batch, f"A policy no longer waits for the events of {batch.registry}.")
            return
        try:
            execution = await self._executions.start(subscriber, newest(batch.events), batch.request_id)
        except ServiceError as error:
            if error.reason not in _POLICY_GONE:
                raise
            await self._drop(batch, error.message)
            return
        await self._outbox.settle(batch, execution=execution, now=self._clock.now())
        log.info("events delivered", policy=subscriber.policy, execution=execution, events=len(batch.events))

    async def _drop(self, batch: Batch, problem: str) -> None:
        log.info("events dropped", policy_uid=batch.policy_uid, events=len(batch.events), problem=problem)
        await self._outbox.settle(batch, execution=None, problem=problem, now=self._clock.now())

    async def _failed(self, batch: Batch, error: ServiceError) -> None:
        wait_s = retry_after_s(batch.attempts)
        problem = error.message[:MAX_PROBLEM_CHARS]
        log.warning("events not delivered", policy_uid=batch.policy_uid, reason=error.reason, retry_s=round(wait_s, 1))
        until = self._clock.now() + timedelta(seconds=wait_s)
        await self._outbox.postpone(batch, problem=problem, until=until)


def retry_after_s(attempts: int) -> float:
    """Twice as long after each try, less a random part."""
    longest = min(FIRST_RETRY_S * 2.0 ** min(attempts, 32), LONGEST_RETRY_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
