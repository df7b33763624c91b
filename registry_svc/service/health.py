"""Tries every registry from time to time, each by one replica."""

import asyncio
import random
from datetime import timedelta
from typing import Final

import structlog

from registry_svc.domain.registry import Check, Registry
from registry_svc.service.sessions import Connector
from registry_svc.store import RegistryStore
from service_kit.clock import Clock
from service_kit.errors import ServiceError

CHECK_INTERVAL_S: Final = 300.0  # Harbor's; soon enough for people, rare enough for registries that count requests
CHECK_TIMEOUT_S: Final = 30.0
CONCURRENCY: Final = 8
LOOK_INTERVAL_S: Final = 5.0  # how often a replica looks for what is due
JITTER: Final = 0.1  # a tenth sooner or later, so that registries registered together drift apart

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class HealthMonitor:
    """Writes down for each registry whether it answers."""

    def __init__(
        self,
        *,
        store: RegistryStore,
        connector: Connector,
        clock: Clock,
        interval_s: float = CHECK_INTERVAL_S,
        timeout_s: float = CHECK_TIMEOUT_S,
    ) -> None:
        self._store = store
        self._connector = connector
        self._clock = clock
        self._interval_s = interval_s
        self._timeout_s = timeout_s

    async def run(self) -> None:
        """Goes on until it is cancelled, whatever happens."""
        while True:
            try:
                checked = await self.check_due()
            except Exception:
                log.exception("registries could not be checked")
                checked = 0
            if checked < CONCURRENCY:
                await asyncio.sleep(_about(LOOK_INTERVAL_S))

    async def check_due(self) -> int:
        """Tries some of the registries whose time has come; returns how many."""
        now = self._clock.now()
        again_at = now + timedelta(seconds=_about(self._interval_s))
        due = await self._store.claim_due(now=now, again_at=again_at, limit=CONCURRENCY)
        async with asyncio.TaskGroup() as group:
            for registry in due:
                group.create_task(self._check(registry), name=f"check {registry.name}")
        return len(due)

    async def _check(self, registry: Registry) -> None:
        problem = await self._problem(registry)
        now = self._clock.now()
        check = Check.healthy(now) if problem is None else Check.unhealthy(problem, now)
        if check.state is not registry.check.state:
            log.info("registry changed its state", registry=registry.name, state=check.state, message=check.message)
        await self._store.record_check(registry, check)

    async def _problem(self, registry: Registry) -> str | None:
        try:
            async with asyncio.timeout(self._timeout_s):
                endpoint = self._connector.endpoint(registry)
                async with self._connector.connect(registry.type, endpoint) as adapter:
                    await adapter.health_check()
        except ServiceError as error:
            return error.message
        except TimeoutError:
            return f"The registry did not answer within {self._timeout_s:g} s."
        except Exception as error:
            # A fault of the adapter must not leave the old state standing.
            log.exception("adapter failed", registry=registry.name, type=registry.type)
            return f"The adapter failed: {type(error).__name__}."
        return None


def _about(seconds: float) -> float:
    return seconds * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, guards nothing
