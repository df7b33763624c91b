"""The use cases of events, on stores in memory."""

import json
from dataclasses import dataclass, field

import pytest

from policy_svc.events import service
from policy_svc.events.domain.errors import EventSourceAlreadyExists, EventSourceNotFound
from policy_svc.events.domain.event import Event
from policy_svc.events.service import EventService, Published, Receipt
from service_kit.clock import FakeClock
from service_kit.errors import InvalidRequest, ServiceError, ServiceUnavailable, Unauthenticated
from tests.events import REGISTRY, MemoryEvents, MemorySources, a_push
from tests.policies import FakeRegistries
from tests.unit.policy_svc_events.test_event_notifications import PUSHED_TAG, envelope


@dataclass
class World:
    store: MemoryEvents = field(default_factory=MemoryEvents)
    sources: MemorySources = field(default_factory=MemorySources)
    registries: FakeRegistries = field(default_factory=FakeRegistries)
    clock: FakeClock = field(default_factory=FakeClock)
    wakes: list[None] = field(default_factory=list)

    @property
    def events(self) -> EventService:
        return EventService(self.store, self.sources, self.registries, self.clock, lambda: self.wakes.append(None))

    async def all(self) -> list[Event]:
        return await self.store.page(before=None, limit=99)


@pytest.fixture
def world() -> World:
    return World()


async def test_what_is_published_is_stored_once(world: World) -> None:
    published = [Published(registry=REGISTRY, notice=a_push()), Published(registry=REGISTRY, notice=a_push())]

    assert await world.events.publish(published) == Receipt(stored=2, known=0)
    assert await world.events.publish(published) == Receipt(stored=0, known=2)

    assert len(await world.all()) == 2
    assert len(world.wakes) == 1


async def test_a_registry_that_is_named_by_its_uid_is_stored_by_its_name(world: World) -> None:
    world.registries.names["registries/uid-of-hub"] = REGISTRY

    await world.events.publish([Published(registry="registries/uid-of-hub", notice=a_push())])

    assert [each.registry for each in await world.all()] == [REGISTRY]


async def test_one_bad_event_keeps_all_of_them_out(world: World) -> None:
    good, bad = Published(registry=REGISTRY, notice=a_push()), Published(registry=REGISTRY, notice=a_push("App"))

    with pytest.raises(InvalidRequest) as caught:
        await world.events.publish([good, bad])

    assert [(each.field, each.reason) for each in caught.value.violations] == [
        ("events[1].repository", "REPOSITORY_INVALID")
    ]
    assert await world.all() == []
    assert world.wakes == []


async def test_an_unknown_registry_keeps_all_of_them_out_and_is_named(world: World) -> None:
    names = [REGISTRY, "registries/gone", "registries/gone"]

    with pytest.raises(ServiceError) as caught:
        await world.events.publish([Published(registry=name, notice=a_push()) for name in names])

    assert caught.value.reason == "REGISTRY_NOT_FOUND"
    assert [each.field for each in caught.value.violations] == ["events[1].registry"]
    assert await world.all() == []


async def test_a_secret_is_told_once_and_kept_as_a_hash(world: World) -> None:
    source, secret = await world.events.create_source(REGISTRY)

    stored = await world.sources.find(REGISTRY)
    assert stored == source
    assert len(secret.reveal()) == 43  # 32 bytes in base64
    assert secret.reveal() not in repr(stored)
    assert await world.events.authenticate(REGISTRY, secret.reveal()) == source
    with pytest.raises(EventSourceAlreadyExists):
        await world.events.create_source(REGISTRY)


async def test_another_secret_is_refused(world: World) -> None:
    _, secret = await world.events.create_source(REGISTRY)
    _, other = await world.events.create_source("registries/backup")

    for wrong in ("", "x", secret.reveal()[:-1], f"{secret.reveal()} ", other.reveal(), "ü"):
        with pytest.raises(Unauthenticated):
            await world.events.authenticate(REGISTRY, wrong)


async def test_a_deleted_source_is_unknown(world: World) -> None:
    _, secret = await world.events.create_source(REGISTRY)
    await world.events.delete_source(REGISTRY)

    with pytest.raises(EventSourceNotFound):
        await world.events.authenticate(REGISTRY, secret.reveal())
    with pytest.raises(EventSourceNotFound):
        await world.events.delete_source(REGISTRY)
    assert (await world.events.create_source(REGISTRY))[1] != secret


async def test_a_source_needs_a_registry(world: World) -> None:
    with pytest.raises(ServiceError) as caught:
        await world.events.create_source("registries/gone")

    assert caught.value.reason == "REGISTRY_NOT_FOUND"


async def test_a_notification_is_stored_and_dates_its_source_without_asking_anybody(world: World) -> None:
    source, _ = await world.events.create_source(REGISTRY)
    world.registries.reachable = False
    world.clock.advance(5.0)
    body = envelope(PUSHED_TAG, PUSHED_TAG | {"action": "pull"})

    first = await world.events.receive(source, body)
    again = await world.events.receive(source, body)

    assert [first, again] == [Receipt(stored=1, known=0, ignored=1), Receipt(stored=0, known=1, ignored=1)]
    assert [(each.registry, each.receive_time) for each in await world.all()] == [(REGISTRY, world.clock.now())]
    found = await world.sources.find(REGISTRY)
    assert found
    assert found.last_receive_time == world.clock.now()
    assert len(world.wakes) == 1
    with pytest.raises(ServiceUnavailable):
        await world.events.create_source("registries/backup")


async def test_a_notification_without_events_wakes_nobody(world: World) -> None:
    source, _ = await world.events.create_source(REGISTRY)

    receipt = await world.events.receive(source, json.dumps({"type": "SCANNING_COMPLETED"}).encode())

    assert (receipt, world.wakes) == (Receipt(stored=0, known=0, ignored=1), [])


async def test_the_source_of_a_registry_that_is_gone_goes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has its secret must not speak for another registry that gets the name."""
    monkeypatch.setattr(service, "SOURCES_AT_ONCE", 1)
    for name in ("registries/backup", REGISTRY, "registries/third"):
        await world.events.create_source(name)
    del world.registries.names[REGISTRY]

    await world.events.delete_orphaned_sources()

    left = await world.events.page_of_sources(after="", limit=9)
    assert [each.registry for each in left] == ["registries/backup", "registries/third"]
