"""The health loop, one look at a time."""

import asyncio

import pytest

from registry_svc.adapters.table import AdapterTable
from registry_svc.domain.errors import RegistryUnreachable
from registry_svc.domain.registry import State
from registry_svc.service.health import CONCURRENCY, HealthMonitor
from registry_svc.service.sessions import Connector
from tests.unit.registry_svc.registry_fakes import World, a_credential, a_draft, a_vault

INTERVAL_S = 60.0


@pytest.fixture
async def world() -> World:
    world = World()
    await world.registries.create(a_draft(), skip_check=True)
    return world


def _monitor(world: World) -> HealthMonitor:
    return HealthMonitor(store=world.store, connector=world.connector, clock=world.clock, interval_s=INTERVAL_S)


async def test_a_registry_is_tried_once_an_interval_by_all_replicas(world: World) -> None:
    replicas = [_monitor(world), _monitor(world)]

    assert sum([await replica.check_due() for replica in replicas]) == 1
    world.clock.advance(INTERVAL_S * 2)
    assert sum([await replica.check_due() for replica in replicas]) == 1
    assert world.product.checks == 2


async def test_an_answer_makes_it_healthy_and_changes_no_etag(world: World) -> None:
    before = await world.store.get("hub")

    await _monitor(world).check_due()

    after = await world.store.get("hub")
    assert (after.check.state, after.check.time) == (State.HEALTHY, world.clock.now())
    assert (after.etag, after.update_time) == (before.etag, before.update_time)


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        (RegistryUnreachable(url="https://hub.example.com", cause="nobody listens"), "nobody listens"),
        (TimeoutError(), "within"),
        (KeyError("secret"), "The adapter failed: KeyError."),
    ],
)
async def test_every_problem_makes_it_unhealthy_and_is_told(world: World, problem: Exception, words: str) -> None:
    world.product.problem = problem

    await _monitor(world).check_due()

    check = (await world.store.get("hub")).check
    assert check.state is State.UNHEALTHY
    assert words in check.message
    assert "secret" not in check.message


async def test_an_adapter_that_cannot_be_made_makes_it_unhealthy(world: World) -> None:
    """Harbor logs that, and the old state stays."""
    await world.registries.create(a_draft(id="locked", credential=a_credential()), skip_check=True)
    await _monitor(world).check_due()
    assert (await world.store.get("locked")).check.state is State.HEALTHY
    world.connector = Connector(AdapterTable([world.product.type()]), a_vault())
    world.clock.advance(INTERVAL_S * 2)

    await _monitor(world).check_due()

    assert (await world.store.get("hub")).check.state is State.HEALTHY
    assert (await world.store.get("locked")).check.state is State.UNHEALTHY


async def test_one_look_takes_no_more_than_it_can_do_at_once(world: World) -> None:
    for number in range(CONCURRENCY):
        await world.registries.create(a_draft(id=f"r{number}"), skip_check=True)

    assert [await _monitor(world).check_due() for _ in range(3)] == [CONCURRENCY, 1, 0]


async def test_the_loop_survives_a_failing_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()

    class BrokenStore:
        async def claim_due(self, **_: object) -> list[object]:
            looked.set()
            raise ConnectionError

    monitor = HealthMonitor(store=BrokenStore(), connector=world.connector, clock=world.clock)  # type: ignore[arg-type]
    task = asyncio.create_task(monitor.run())
    await looked.wait()
    await asyncio.sleep(0)

    assert not task.done()
    task.cancel()
