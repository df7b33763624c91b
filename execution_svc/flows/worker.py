"""Flow workers: a bounded number of flows at a time; the others wait in the database."""

import asyncio
import uuid
from contextlib import suppress
from datetime import timedelta
from typing import Final

import psycopg
import structlog

from execution_svc.domain.errors import LeaseLost
from execution_svc.domain.execution import FlowLease
from execution_svc.domain.transfer import Failure
from execution_svc.flows.copy import Catalog, CopyFlow, History
from execution_svc.patience import patience_s, waits_s
from execution_svc.signals import Changes, Subscription
from execution_svc.store import FlowStore
from service_kit.clock import Clock
from service_kit.errors import InternalError, ServiceError

LEASE_S: Final = 15.0  # after so long without a heartbeat another worker carries on
HEARTBEAT_INTERVAL_S: Final = 5.0
POLL_INTERVAL_S: Final = 2.0  # a lease that has run out notifies nobody

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class FlowWorkers:
    """Claims executions that want listing and runs their flows."""

    def __init__(
        self, store: FlowStore, catalog: Catalog, history: History, changes: Changes, clock: Clock, *, workers: int
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._history = history
        self._changes = changes
        self._clock = clock
        self._free = asyncio.Semaphore(workers)

    async def run(self) -> None:
        """Works until it is cancelled, and then gives back what it holds."""
        with self._changes.subscribe() as changed:
            async with asyncio.TaskGroup() as flows:
                while True:
                    await self._free.acquire()
                    lease = await self._next(changed)
                    flow = flows.create_task(self._carry_on(lease), name=f"flow {lease.execution}")
                    flow.add_done_callback(lambda _: self._free.release())

    async def _next(self, changed: Subscription) -> FlowLease:
        """The next flow, as soon as there is one."""
        while True:
            try:
                if lease := await self._claim():
                    return lease
            except psycopg.OperationalError as error:
                log.warning("flows cannot be claimed", error=str(error))
            await changed.wait(POLL_INTERVAL_S)

    async def _claim(self) -> FlowLease | None:
        now = self._clock.now()
        return await self._store.claim_flow(token=str(uuid.uuid4()), now=now, until=now + timedelta(seconds=LEASE_S))

    async def _carry_on(self, lease: FlowLease) -> None:
        """Runs the flow under its lease. Whatever goes wrong in here ends this flow and no other."""
        flow_log = log.bind(execution=lease.execution, flow_attempt=lease.attempt)
        try:
            async with asyncio.TaskGroup() as group:
                heartbeat = group.create_task(self._heartbeat(lease))
                await self._run_patiently(lease)
                heartbeat.cancel()
            flow_log.info("flow finished")
        except* LeaseLost:
            flow_log.info("flow was taken away")
        except* psycopg.OperationalError as errors:
            flow_log.warning("flow let go: the database does not answer", error=str(errors.exceptions[0]))
        finally:
            with suppress(psycopg.OperationalError):
                await self._store.release(lease)

    async def _heartbeat(self, lease: FlowLease) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)
            await self._store.renew(lease, self._clock.now() + timedelta(seconds=LEASE_S))

    async def _run_patiently(self, lease: FlowLease) -> None:
        """Runs the flow, again and again while what it lacks may come back; then the execution fails."""
        failing_since = None
        for wait_s in waits_s():
            try:
                await CopyFlow(lease, self._store, self._catalog, self._history, self._clock).run()
            except ServiceError as error:
                failing_since = failing_since or self._clock.now()
                if self._clock.now() - failing_since >= timedelta(seconds=patience_s(error)):
                    await self._fail(lease, error)
                    return
                log.info("flow waits", execution=lease.execution, reason=error.reason, wait_s=round(wait_s, 1))
            except (LeaseLost, psycopg.OperationalError):
                raise
            except Exception:
                log.exception("flow failed", execution=lease.execution)
                await self._fail(lease, InternalError())
                return
            else:
                return
            await asyncio.sleep(wait_s)
            lease = lease.again()

    async def _fail(self, lease: FlowLease, error: ServiceError) -> None:
        log.warning("listing failed", execution=lease.execution, reason=error.reason)
        await self._store.fail_listing(lease, Failure.of(error), self._clock.now())
