"""What a real docker-registry tells of pushes and deletions that really happen to it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from oci_client.testing import an_image, an_index
from policy_svc.events.domain.event import EventKind
from policy_svc.events.endpoint import EventEndpoint
from policy_svc.events.postgres import PostgresEventStore, PostgresSourceStore
from policy_svc.events.service import EventService
from service_kit.clock import SystemClock
from service_kit.database import Pool
from tests.e2e.content import RealRegistry, need, skopeo_push
from tests.integration.policy_svc_events.event_peers import END_TIMEOUT_S, FakeRegistries
from tests.registries import DockerRegistry, Notify

Told = tuple[EventKind, str, str, str]


@dataclass
class World:
    registry: RealRegistry
    store: PostgresEventStore

    async def told(self, count: int) -> set[Told]:
        """What was told, once it is so much."""
        async with asyncio.timeout(END_TIMEOUT_S):
            while True:
                events = await self.store.page(before=None, limit=99)
                if len(events) >= count:
                    notices = [each.notice for each in events]
                    return {(each.kind, each.repository, each.tag, each.digest) for each in notices}
                await asyncio.sleep(0.05)


@pytest.fixture(params=[(), ("pull",)], ids=["everything", "without pulls"])
async def world(request: pytest.FixtureRequest, pool: Pool, tmp_path: Path) -> AsyncIterator[World]:
    need("docker-registry")
    need("skopeo")
    store = PostgresEventStore(pool)
    service = EventService(store, PostgresSourceStore(pool), FakeRegistries(), SystemClock(), lambda: None)
    _, secret = await service.create_source("registries/hub")
    async with EventEndpoint(service).serve("127.0.0.1:0") as address:
        notify = Notify(
            url=f"http://{address}/v1/events/hub",
            authorization=f"Bearer {secret.reveal()}",
            ignored_actions=request.param,
        )
        with DockerRegistry(tmp_path, notify=notify) as server:
            yield World(RealRegistry(server=server), store)


async def test_pushes_by_tag_and_by_digest_and_deletions_are_told(world: World) -> None:
    index, image = an_index(seed=10), an_image(seed=50)
    await asyncio.to_thread(skopeo_push, world.registry, {"library/app:1.0": index, "library/app:1.1": image})
    pushes = {
        (EventKind.PUSH, "library/app", "1.0", index.digest),
        (EventKind.PUSH, "library/app", "1.1", image.digest),
        *((EventKind.PUSH, "library/app", "", each.digest) for each in index.walk() if each is not index),
    }
    assert await world.told(len(pushes)) == pushes

    async with httpx.AsyncClient(base_url=world.registry.url, trust_env=False) as http:
        deleted = await http.delete(f"/v2/library/app/manifests/{image.digest}")
        assert deleted.status_code == 202

    assert await world.told(len(pushes) + 2) == pushes | {
        (EventKind.DELETE, "library/app", "", image.digest),
        (EventKind.DELETE, "library/app", "1.1", ""),
    }
