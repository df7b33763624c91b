"""Deletes ended executions that nobody wants to keep, and the memory of policies that are gone."""

import asyncio
from typing import Final, Protocol

import psycopg
import structlog

from execution_svc.domain.policy import Policy
from execution_svc.domain.retention import Retention
from execution_svc.store import RetentionStore
from service_kit.clock import Clock
from service_kit.errors import ServiceError

INTERVAL_S: Final = 60.0  # nobody waits for it
PAUSE_S: Final = 0.05  # between two batches: others want the database too

NOT_FOUND: Final = "POLICY_NOT_FOUND"

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Policies(Protocol):
    """Where policies come from."""

    async def get(self, name: str) -> Policy: ...


class WrittenTags(Protocol):
    """What policies have written."""

    async def policies(self) -> list[str]:
        """The uids of those that have written anything."""
        ...

    async def forget(self, policy: str) -> bool:
        """Forgets some of what the policy wrote; whether there may be more."""
        ...


class RetentionLoop:
    """Holds each policy to its retention as it is now. The default is for policies that have none or are gone.

    What those that are gone have written is forgotten: it stays at the destinations, and is nobody's.
    """

    def __init__(
        self, store: RetentionStore, written: WrittenTags, policies: Policies, default: Retention, clock: Clock
    ) -> None:
        self._store = store
        self._written = written
        self._policies = policies
        self._default = default
        self._clock = clock

    async def run(self) -> None:
        """Works until it is cancelled. Any number of replicas may: one passes over what another one is at."""
        while True:
            try:
                await self.pass_once()
                await self.forget_the_gone()
            except psycopg.OperationalError as error:
                log.warning("retention interrupted", error=str(error))
            await asyncio.sleep(INTERVAL_S)

    async def pass_once(self) -> None:
        """Brings every policy to its limits; those whose retention cannot be learned now are left for the next time."""
        for policy in await self._store.policies_with_ended():
            try:
                keep = await self._retention_of(policy)
            except ServiceError as error:
                log.warning("retention unknown", policy=policy, reason=error.reason)
                continue
            while await self._store.delete_batch(policy, keep, self._clock.now()):  # noqa: ASYNC110 - it is work
                await asyncio.sleep(PAUSE_S)

    async def forget_the_gone(self) -> None:
        """Forgets what policies wrote that are gone by now, for sure."""
        for uid in await self._written.policies():
            try:
                await self._policies.get(f"policies/{uid}")
            except ServiceError as error:
                while error.reason == NOT_FOUND and await self._written.forget(uid):  # noqa: ASYNC110 - it is work
                    await asyncio.sleep(PAUSE_S)

    async def _retention_of(self, policy: str) -> Retention:
        if not policy:
            return self._default
        try:
            document = (await self._policies.get(policy)).document
        except ServiceError as error:
            if error.reason != NOT_FOUND:
                raise
            return self._default
        return Retention.of_document(document["retention"]) if "retention" in document else self._default
