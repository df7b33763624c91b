"""Which policies are started with which events, on stores in memory."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from policy_svc.events import dispatcher, housekeeping
from policy_svc.events.dispatcher import Dispatcher, retry_after_s
from policy_svc.events.domain.event import Event, EventState, Notice
from policy_svc.events.gateways import CALL_TIMEOUT_S
from policy_svc.events.housekeeping import Housekeeping
from service_kit.clock import FakeClock
from service_kit.errors import DeadlineExceeded, InternalError, Kind, RemoteError, ServiceUnavailable
from tests.events import FakeExecutions, FakeSubscribers, MemoryEvents, a_delete, a_push, a_subscriber, an_event

WINDOW = timedelta(seconds=dispatcher.WINDOW_S)


@dataclass
class World:
    store: MemoryEvents = field(default_factory=MemoryEvents)
    subscribers: FakeSubscribers = field(default_factory=lambda: FakeSubscribers([a_subscriber()]))
    executions: FakeExecutions = field(default_factory=FakeExecutions)
    clock: FakeClock = field(default_factory=FakeClock)
    times_orphans_deleted: int = 0

    async def delete_orphaned_sources(self) -> None:
        self.times_orphans_deleted += 1

    @property
    def dispatcher(self) -> Dispatcher:
        return Dispatcher(self.store, self.subscribers, self.executions, self.clock)

    async def publish(self, *notices: Notice) -> list[Event]:
        events = [an_event(each, received=self.clock.now()) for each in notices]
        await self.store.add(events)
        return events

    async def pass_on(self, after: timedelta = WINDOW) -> None:
        """Routes what there is, and delivers what is due after so long."""
        while await self.dispatcher.route():
            pass
        self.clock.advance(after)
        while batch := await self.dispatcher.claim():
            await self.dispatcher.deliver(batch)

    async def state(self, event: Event) -> tuple[EventState, tuple[str, ...], str]:
        found = await self.store.get(event.uid)
        return found.state, found.executions, found.problem

    @property
    def starts(self) -> list[tuple[str, list[Notice]]]:
        return [(policy, list(notices)) for policy, notices in self.executions.started.values()]


@pytest.fixture
def world() -> World:
    return World()


async def test_an_event_starts_its_policy_with_what_it_tells(world: World) -> None:
    notice = a_push()
    [event] = await world.publish(notice)

    await world.pass_on()

    assert world.starts == [("policies/mirror", [notice])]
    assert await world.state(event) == (EventState.DELIVERED, ("executions/1",), "")


async def test_what_comes_within_the_window_is_one_start(world: World) -> None:
    first, second, later = (a_push(tag=tag) for tag in ("1", "2", "3"))
    await world.publish(first)
    await world.pass_on(WINDOW / 2)
    await world.publish(second)
    await world.pass_on(WINDOW / 2)
    await world.publish(later)
    await world.pass_on()

    assert world.starts == [("policies/mirror", [first, second]), ("policies/mirror", [later])]


async def test_of_a_tag_the_last_word_is_passed_on_and_all_of_them_are_delivered(world: World) -> None:
    events = await world.publish(a_push(at=1), a_delete(at=3), a_push(at=2))

    await world.pass_on()

    assert world.starts == [("policies/mirror", [events[1].notice])]
    assert {await world.state(each) for each in events} == {(EventState.DELIVERED, ("executions/1",), "")}


async def test_what_no_policy_wants_starts_nothing(world: World) -> None:
    world.subscribers.policies = [
        a_subscriber("uid-of-other", registry="registries/other"),
        a_subscriber("uid-of-team", repository="team/app"),
        a_subscriber("uid-of-keeper", deletes=False),
    ]
    [event] = await world.publish(a_delete("library/app"))

    await world.pass_on()

    assert world.executions.calls == []
    assert await world.state(event) == (EventState.DELIVERED, (), "")


async def test_a_failing_policy_does_not_hold_back_another_one(world: World) -> None:
    world.subscribers.policies += [a_subscriber("uid-of-sick")]
    world.executions.failing["policies/sick"] = ServiceUnavailable(service="execution")
    [event] = await world.publish(a_push())

    await world.pass_on()

    problem = str(ServiceUnavailable(service="execution"))
    assert await world.state(event) == (EventState.PENDING, ("executions/1",), problem)
    del world.executions.failing["policies/sick"]
    await world.pass_on(timedelta(seconds=dispatcher.FIRST_RETRY_S))
    assert await world.state(event) == (EventState.DELIVERED, ("executions/1", "executions/2"), "")


async def test_a_start_that_may_have_happened_is_repeated_under_the_same_request_id(world: World) -> None:
    world.executions.failing["policies/mirror"] = DeadlineExceeded()
    await world.publish(a_push())
    await world.pass_on()
    await world.publish(a_push(tag="2"))
    del world.executions.failing["policies/mirror"]

    await world.pass_on(timedelta(seconds=dispatcher.LONGEST_RETRY_S))

    assert [len(notices) for _, notices in world.starts] == [1, 1]


async def test_tries_come_later_and_later_and_no_more_than_one_policy_at_a_time(world: World) -> None:
    world.executions.failing["policies/mirror"] = ServiceUnavailable(service="execution")
    await world.publish(a_push())
    await world.pass_on()
    tried = []
    for _ in range(120):
        await world.publish(a_push())
        before = len(world.executions.calls)
        await world.pass_on(timedelta(seconds=1))
        tried.append(len(world.executions.calls) - before)

    assert set(tried) == {0, 1}
    assert 5 <= sum(tried) <= 12
    assert sum(tried[60:]) <= 3


def test_a_retry_has_a_bound() -> None:
    for attempts in range(2000):
        assert dispatcher.FIRST_RETRY_S / 2 <= retry_after_s(attempts) <= dispatcher.LONGEST_RETRY_S


@pytest.mark.parametrize("reason", ["POLICY_NOT_FOUND", "POLICY_DISABLED"])
async def test_a_policy_that_cannot_be_started_any_more_gets_nothing(world: World, reason: str) -> None:
    world.executions.failing["policies/mirror"] = RemoteError.of(
        Kind.FAILED_PRECONDITION, reason=reason, message="It is no more."
    )
    [event] = await world.publish(a_push())

    await world.pass_on()

    assert await world.state(event) == (EventState.DELIVERED, (), "It is no more.")


async def test_a_policy_that_waits_no_longer_is_not_started(world: World) -> None:
    [event] = await world.publish(a_push())
    await world.dispatcher.route()
    world.subscribers.policies = [replace(a_subscriber(), registry="registries/other")]

    await world.pass_on()

    assert world.executions.calls == []
    assert (await world.state(event))[0] == EventState.DELIVERED


async def test_a_fault_of_ours_is_tried_again(world: World) -> None:
    class Broken(FakeSubscribers):
        async def find(self, policy_uid: str) -> None:
            raise ZeroDivisionError

    [event] = await world.publish(a_push())
    await world.dispatcher.route()
    world.subscribers = Broken()
    await world.pass_on()
    assert await world.state(event) == (EventState.PENDING, (), str(InternalError()))

    world.subscribers = FakeSubscribers([a_subscriber()])
    await world.pass_on(timedelta(seconds=dispatcher.FIRST_RETRY_S))
    assert (await world.state(event))[0] == EventState.DELIVERED


async def test_many_events_are_started_a_thousand_at_a_time(world: World) -> None:
    await world.publish(*(a_push(tag=f"v{number}") for number in range(dispatcher.MAX_BATCH + 1)))

    await world.pass_on()

    assert [len(notices) for _, notices in world.starts] == [dispatcher.MAX_BATCH, 1]


async def test_a_lost_start_is_made_up_for_after_its_lease_and_by_nobody_before(world: World) -> None:
    [event] = await world.publish(a_push())
    await world.dispatcher.route()
    world.clock.advance(WINDOW)
    now = world.clock.now()
    lease = timedelta(seconds=dispatcher.LEASE_S)
    lost = await world.store.claim_batch(token="lost", now=now, until=now + lease, limit=9)
    assert lost
    await world.executions.start(a_subscriber(), [event.notice], lost.request_id)  # and then it dies

    await world.pass_on(lease / 2)
    assert len(world.executions.calls) == 1
    await world.pass_on(lease / 2)

    assert len(world.executions.calls) == 2
    assert await world.state(event) == (EventState.DELIVERED, ("executions/1",), "")


async def test_what_cannot_be_delivered_expires_with_its_last_problem(world: World) -> None:
    world.executions.failing["policies/mirror"] = ServiceUnavailable(service="execution")
    [event] = await world.publish(a_push())
    await world.pass_on()
    tidy = Housekeeping(world.store, world, world.clock).tidy

    world.clock.advance(housekeeping.EXPIRES_AFTER - timedelta(minutes=1))
    await tidy()
    assert (await world.state(event))[0] == EventState.PENDING
    world.clock.advance(timedelta(minutes=2))
    await tidy()

    assert await world.state(event) == (EventState.EXPIRED, (), str(ServiceUnavailable(service="execution")))
    await world.pass_on(timedelta(seconds=dispatcher.LONGEST_RETRY_S))
    assert len(world.executions.calls) == 1


async def test_finished_events_are_forgotten_after_a_time(world: World) -> None:
    await world.publish(a_push())
    await world.pass_on()
    tidy = Housekeeping(world.store, world, world.clock).tidy

    await tidy()
    assert len(await world.store.page(before=None, limit=9)) == 1
    world.clock.advance(housekeeping.KEPT_FOR + timedelta(minutes=1))
    await tidy()

    assert await world.store.page(before=None, limit=9) == []
    assert world.times_orphans_deleted == 2


def test_a_lease_outlasts_the_call_that_it_is_for() -> None:
    assert dispatcher.LEASE_S > CALL_TIMEOUT_S
