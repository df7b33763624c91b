"""How many requests a registry gets at once, and when it gets none."""

import asyncio

import pytest

from jobservice.engine.thread_gate import ThreadGate
from jobservice.engine.window import FIRST_REQUESTS, MAX_REQUESTS, MIN_REQUESTS, RegistryGate, Window
from oci_client.gate import Action, Outcome
from oci_client.headers import RateLimit

HEAD = Action.HEAD_MANIFEST


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def answered(status: int | None, *, elapsed_s: float = 0.1, retry_after: float | None = None) -> Outcome:
    return Outcome(status=status, elapsed_s=elapsed_s, retry_after=retry_after)


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def gate(clock: Clock) -> RegistryGate:
    return RegistryGate(clock=clock)


async def test_the_window_doubles_with_each_round_at_first(gate: RegistryGate) -> None:
    for _ in range(FIRST_REQUESTS):
        gate.observe(HEAD, answered(200))
    assert gate.window_size(HEAD) == 2 * FIRST_REQUESTS


async def test_the_window_has_an_end(gate: RegistryGate) -> None:
    for _ in range(1000):
        gate.observe(HEAD, answered(200))
    assert gate.window_size(HEAD) == MAX_REQUESTS


@pytest.mark.parametrize("status", [429, 503, None])
async def test_it_is_halved_once_for_all_that_was_under_way(
    gate: RegistryGate, clock: Clock, status: int | None
) -> None:
    for _ in range(5):
        gate.observe(HEAD, answered(status, elapsed_s=0.1))
        clock.now += 0.01
    assert gate.window_size(HEAD) == FIRST_REQUESTS / 2

    clock.now += 1
    gate.observe(HEAD, answered(status, elapsed_s=0.1))
    assert gate.window_size(HEAD) == FIRST_REQUESTS / 4


async def test_after_that_it_grows_by_one_a_round(gate: RegistryGate) -> None:
    gate.observe(HEAD, answered(429))
    for _ in range(FIRST_REQUESTS // 2):
        gate.observe(HEAD, answered(200))
    assert 4.8 < gate.window_size(HEAD) <= 5


async def test_it_never_closes(gate: RegistryGate, clock: Clock) -> None:
    for _ in range(20):
        clock.now += 1
        gate.observe(HEAD, answered(429))
    assert gate.window_size(HEAD) == MIN_REQUESTS


@pytest.mark.parametrize("status", [401, 404, 400])
async def test_other_refusals_say_nothing_of_the_load(gate: RegistryGate, status: int) -> None:
    gate.observe(HEAD, answered(status))
    assert gate.window_size(HEAD) == FIRST_REQUESTS + 1


async def test_other_kinds_of_requests_have_their_own_window(gate: RegistryGate) -> None:
    gate.observe(HEAD, answered(429))
    assert gate.window_size(Action.PUT_MANIFEST) == FIRST_REQUESTS


async def test_small_requests_go_first_and_no_more_than_fit() -> None:
    window, order = Window(1), []
    window.size = 1.0

    async def request(name: str, priority: int) -> None:
        async with window.slot(priority):
            order.append(name)
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        for name, priority in (("first", 9), ("large", 9), ("small", 1), ("small too", 1)):
            group.create_task(request(name, priority))
    assert order == ["first", "small", "small too", "large"]


async def test_who_only_tries_gets_a_free_place_that_nobody_waits_for() -> None:
    window = Window(2)
    assert [window.try_enter() for _ in range(3)] == [True, True, False]

    waiter = asyncio.create_task(window.enter())
    await asyncio.sleep(0)
    window.leave()
    assert not window.try_enter()
    await waiter
    window.leave()
    assert window.try_enter()


async def test_threads_share_the_places() -> None:
    window = Window(16)
    window.size = 16.0
    taken = await asyncio.gather(
        *(asyncio.to_thread(lambda: sum(window.try_enter() for _ in range(50))) for _ in range(8))
    )
    assert sum(taken) == 16


async def test_nobody_who_only_tries_gets_into_a_registry_that_is_held(gate: RegistryGate) -> None:
    thread_gate = ThreadGate(gate, Action.GET_BLOB)
    assert await asyncio.to_thread(thread_gate.try_enter)
    gate.hold(10)
    assert not await asyncio.to_thread(thread_gate.try_enter)


async def test_a_thread_that_leaves_lets_the_next_one_in(gate: RegistryGate) -> None:
    thread_gate = ThreadGate(gate, Action.GET_BLOB)
    while thread_gate.try_enter():
        pass
    waiter = asyncio.create_task(gate.slot(Action.GET_BLOB).__aenter__())
    await asyncio.to_thread(thread_gate.leave)
    async with asyncio.timeout(1):
        await waiter


@pytest.mark.parametrize("given", [False, True])
async def test_a_waiter_that_is_cancelled_takes_no_place(given: bool) -> None:
    window = Window(1)
    window.size = 1.0
    leave = asyncio.Event()

    async def hold() -> None:
        async with window.slot():
            await leave.wait()

    holder, waiter = asyncio.create_task(hold()), asyncio.create_task(hold())
    await asyncio.sleep(0)
    if given:
        leave.set()
        await holder
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    leave.set()
    await holder

    async with asyncio.timeout(1), window.slot():
        pass


async def test_a_hold_is_told_once_and_a_longer_one_again(clock: Clock) -> None:
    told: list[float] = []
    gate = RegistryGate(on_hold=told.append, clock=clock)
    for seconds in (10.0, 10.0, 9.0, 30.0):
        gate.observe(HEAD, answered(429, retry_after=seconds))
    assert told == [10.0, 30.0]


async def test_a_used_up_quota_holds_until_one_more_request_fits(clock: Clock) -> None:
    told: list[float] = []
    gate = RegistryGate(on_hold=told.append, clock=clock)
    limit = RateLimit(limit=100, remaining=0, window_s=1000)
    gate.observe(HEAD, Outcome(status=200, elapsed_s=0.1, rate_limit=limit))
    assert told == [10.0]


async def test_a_used_up_quota_holds_until_it_is_reset_where_that_is_told(clock: Clock) -> None:
    told: list[float] = []
    gate = RegistryGate(on_hold=told.append, clock=clock)
    limit = RateLimit(limit=100, remaining=0, window_s=None, reset_s=30)
    gate.observe(HEAD, Outcome(status=200, elapsed_s=0.1, rate_limit=limit))
    assert told == [30.0]


async def test_a_hold_keeps_every_request_back(clock: Clock) -> None:
    gate = RegistryGate(clock=clock)
    gate.hold(0.05)

    async def request(action: Action) -> None:
        async with gate.slot(action):
            pass

    tasks = [asyncio.create_task(request(action)) for action in (HEAD, Action.MOUNT, Action.GET_BLOB)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    clock.now += 1
    async with asyncio.timeout(1):
        await asyncio.gather(*tasks)
