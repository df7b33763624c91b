"""What every store of events does."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import pytest

from policy_svc.events.domain.batch import Batch
from policy_svc.events.domain.errors import EventNotFound, EventSourceAlreadyExists, EventSourceNotFound
from policy_svc.events.domain.event import Event, EventState
from policy_svc.events.postgres import PostgresEventStore, PostgresOutbox, PostgresSourceStore
from policy_svc.events.store import EventStore, Outbox, SourceStore
from service_kit.database import open_pool
from tests.events import (
    DIGEST_A,
    NOW,
    REGISTRY,
    MemoryEvents,
    MemorySources,
    a_delete,
    a_push,
    a_source,
    an_event,
)
from tests.postgres import Database

LEASE = timedelta(seconds=10)
_tokens = count(1)


@dataclass(frozen=True)
class Stores:
    events: EventStore
    outbox: Outbox
    sources: SourceStore


@pytest.fixture(params=["memory", "postgres"])
async def stores(request: pytest.FixtureRequest, database: Database) -> AsyncIterator[Stores]:
    if request.param == "memory":
        events = MemoryEvents()
        yield Stores(events, events, MemorySources())
        return
    async with open_pool(await database("policy_svc"), schema="policy") as pool:
        yield Stores(PostgresEventStore(pool), PostgresOutbox(pool), PostgresSourceStore(pool))


async def stored(stores: Stores, *events: Event) -> list[Event]:
    await stores.events.add(events)
    return [await stores.events.get(event.uid) for event in events]


async def routed(stores: Stores, policies: Sequence[str], *events: Event) -> list[Event]:
    """Stores the events and routes all of them to the policies; due at once."""
    found = await stored(stores, *events)
    claimed = await claim(stores, limit=len(events))
    assert claimed.events == found
    await claimed.route({each.number: policies for each in found})
    return found


@dataclass(frozen=True)
class Claim:
    stores: Stores
    token: str
    events: list[Event]

    async def route(self, policies: Mapping[int, Sequence[str]], due: datetime = NOW) -> None:
        await self.stores.outbox.route(token=self.token, policies=policies, due=due)


async def claim(stores: Stores, *, limit: int = 10, after: timedelta = timedelta()) -> Claim:
    token, now = f"token-{next(_tokens)}", NOW + after
    events = await stores.outbox.claim_unrouted(token=token, now=now, until=now + LEASE, limit=limit)
    return Claim(stores, token, events)


async def batch(stores: Stores, *, limit: int = 10, after: timedelta = timedelta()) -> Batch | None:
    now = NOW + after
    return await stores.outbox.claim_batch(token=f"token-{next(_tokens)}", now=now, until=now + LEASE, limit=limit)


async def a_batch(stores: Stores, *, limit: int = 10, after: timedelta = timedelta()) -> Batch:
    found = await batch(stores, limit=limit, after=after)
    assert found is not None
    return found


async def states(stores: Stores) -> list[str]:
    return [each.state for each in reversed(await stores.events.page(before=None, limit=99))]


async def test_an_event_comes_back_as_it_was(stores: Stores) -> None:
    event = an_event(a_push("library/app", "1.0", DIGEST_A, at=0.123456))
    assert await stores.events.add([event]) == 1

    found = await stores.events.get(event.uid)

    assert found == replace(event, number=found.number)
    assert found.number > 0
    with pytest.raises(EventNotFound) as caught:
        await stores.events.get("nobody")
    assert caught.value.metadata == {"event": "events/nobody"}


async def test_an_id_is_taken_once_for_each_registry(stores: Stores) -> None:
    first = an_event()
    again = replace(an_event(), notice=first.notice)
    elsewhere = replace(again, uid="elsewhere", registry="registries/other")
    assert await stores.events.add([first]) == 1

    assert await stores.events.add([again, elsewhere, replace(elsewhere, uid="twice")]) == 1

    assert {each.uid for each in await stores.events.page(before=None, limit=9)} == {first.uid, "elsewhere"}


async def test_pages_begin_at_the_newest_and_follow_filters(stores: Stores) -> None:
    events = await stored(stores, *(an_event(registry=f"registries/{name}") for name in "abab"))

    first = await stores.events.page(before=None, limit=3)
    second = await stores.events.page(before=first[-1].number, limit=3)

    assert first + second == events[::-1]
    of_a = await stores.events.page(before=None, limit=9, registry="registries/a")
    assert of_a == [events[2], events[0]]
    assert await stores.events.page(before=None, limit=9, states=[EventState.DELIVERED, EventState.EXPIRED]) == []
    assert len(await stores.events.page(before=None, limit=9, states=[EventState.PENDING])) == 4


async def test_events_are_claimed_once_in_the_order_of_their_arrival(stores: Stores) -> None:
    events = await stored(stores, an_event(), an_event(), an_event())

    assert (await claim(stores, limit=2)).events == events[:2]
    assert (await claim(stores)).events == events[2:]
    assert (await claim(stores)).events == []
    assert (await claim(stores, after=LEASE)).events == events  # whoever held them is lost


async def test_what_concerns_nobody_is_delivered(stores: Stores) -> None:
    [event] = await routed(stores, [], an_event())

    assert (await stores.events.get(event.uid)).state == EventState.DELIVERED
    assert (await claim(stores, after=LEASE)).events == []
    assert await stores.outbox.next_due() is None


async def test_a_route_under_a_lost_lease_changes_nothing(stores: Stores) -> None:
    [event] = await stored(stores, an_event())
    lost = await claim(stores)
    held = await claim(stores, after=LEASE)

    await lost.route({event.number: ["p"]})

    assert await batch(stores) is None
    await held.route({event.number: ["p"]})
    assert (await a_batch(stores)).policy_uid == "p"


async def test_a_batch_is_due_after_the_window_and_holds_what_came_until_then(stores: Stores) -> None:
    first, second = await stored(stores, an_event(), an_event(a_delete()))
    claimed = await claim(stores)
    window = timedelta(seconds=1)
    await claimed.route({first.number: ["p"]}, NOW + window)
    await claimed.route({second.number: ["p"]}, NOW + 2 * window)

    assert await stores.outbox.next_due() == NOW + window
    assert await batch(stores) is None
    found = await a_batch(stores, after=window)

    assert (found.policy_uid, found.registry, found.events) == ("p", REGISTRY, (first, second))
    assert await batch(stores, after=window) is None
    assert await stores.outbox.next_due() == NOW + window + LEASE


async def test_policies_and_registries_have_batches_of_their_own(stores: Stores) -> None:
    await routed(stores, ["p", "q"], an_event())
    await routed(stores, ["p"], an_event(registry="registries/other"))

    found = [await a_batch(stores) for _ in range(3)]

    assert {(each.policy_uid, each.registry) for each in found} == {
        ("p", REGISTRY),
        ("q", REGISTRY),
        ("p", "registries/other"),
    }
    assert await batch(stores) is None


async def test_an_event_is_delivered_when_every_policy_was_started(stores: Stores) -> None:
    [event] = await routed(stores, ["p", "q"], an_event())
    first, second = await a_batch(stores), await a_batch(stores)

    assert await stores.outbox.settle(first, execution="executions/2", now=NOW)
    assert (await stores.events.get(event.uid)).state == EventState.PENDING
    assert await stores.outbox.settle(second, execution="executions/1", now=NOW)

    done = await stores.events.get(event.uid)
    assert (done.state, done.executions, done.problem) == (EventState.DELIVERED, ("executions/1", "executions/2"), "")
    assert await stores.events.page(before=None, limit=9) == [done]
    assert await stores.outbox.next_due() is None


async def test_a_batch_has_a_bound_and_the_rest_is_due_at_once(stores: Stores) -> None:
    events = await routed(stores, ["p"], an_event(), an_event(), an_event())

    first = await a_batch(stores, limit=2)
    await stores.outbox.settle(first, execution="executions/1", now=NOW)
    second = await a_batch(stores, limit=2)

    assert [first.events, second.events] == [tuple(events[:2]), tuple(events[2:])]
    assert await states(stores) == ["DELIVERED", "DELIVERED", "PENDING"]


async def test_a_lost_batch_comes_again_as_it_was(stores: Stores) -> None:
    [event] = await routed(stores, ["p"], an_event())
    lost = await a_batch(stores)
    [later] = await routed(stores, ["p"], an_event())

    again = await a_batch(stores, after=LEASE)

    assert again.events == lost.events == (event,)
    assert again.request_id == lost.request_id
    assert not await stores.outbox.settle(lost, execution="executions/1", now=NOW)
    assert not await stores.outbox.postpone(lost, problem="late", until=NOW)
    assert await stores.outbox.settle(again, execution="executions/1", now=NOW + LEASE)
    assert (await a_batch(stores, after=LEASE)).events == (later,)


async def test_a_postponed_batch_keeps_its_events_its_problem_and_its_count(stores: Stores) -> None:
    [event] = await routed(stores, ["p"], an_event())
    await stores.outbox.postpone(await a_batch(stores), problem="It is away.", until=NOW + timedelta(seconds=5))
    await routed(stores, ["p"], an_event())

    assert await stores.outbox.next_due() == NOW + timedelta(seconds=5)  # what comes meanwhile does not hurry it
    assert await batch(stores) is None
    again = await a_batch(stores, after=timedelta(seconds=5))

    assert (again.attempts, [each.uid for each in again.events]) == (1, [event.uid])
    assert (await stores.events.get(event.uid)).problem == "It is away."
    await stores.outbox.settle(again, execution="executions/1", now=NOW)
    assert (await stores.events.get(event.uid)).problem == ""
    assert (await a_batch(stores, after=timedelta(seconds=5))).attempts == 0


async def test_a_dropped_batch_is_delivered_and_says_why(stores: Stores) -> None:
    [event] = await routed(stores, ["p"], an_event())

    await stores.outbox.settle(await a_batch(stores), execution=None, problem="It is gone.", now=NOW)

    done = await stores.events.get(event.uid)
    assert (done.state, done.executions, done.problem) == (EventState.DELIVERED, (), "It is gone.")


async def test_old_events_expire_and_the_others_do_not(stores: Stores) -> None:
    old = NOW - timedelta(hours=1)
    await routed(stores, ["p"], an_event(received=old), an_event())
    await stored(stores, an_event(received=old))

    expired = await stores.outbox.expire(received_before=NOW, now=NOW, limit=9)

    assert expired == 2
    assert await states(stores) == ["EXPIRED", "PENDING", "EXPIRED"]
    assert (await claim(stores)).events == []
    assert len((await a_batch(stores)).events) == 1
    assert await stores.outbox.expire(received_before=NOW, now=NOW, limit=9) == 0


async def test_an_event_that_one_policy_got_expires_for_the_other_one(stores: Stores) -> None:
    [event] = await routed(stores, ["p", "q"], an_event())
    await stores.outbox.settle(await a_batch(stores), execution="executions/1", now=NOW)
    await stores.outbox.postpone(await a_batch(stores), problem="It is away.", until=NOW)

    await stores.outbox.expire(received_before=NOW + LEASE, now=NOW, limit=9)

    done = await stores.events.get(event.uid)
    assert (done.state, done.executions, done.problem) == (EventState.EXPIRED, ("executions/1",), "It is away.")
    assert await batch(stores) is None
    assert await stores.outbox.next_due() is None


async def test_what_is_being_delivered_does_not_expire(stores: Stores) -> None:
    await routed(stores, ["p"], an_event())
    held = await a_batch(stores)

    assert await stores.outbox.expire(received_before=NOW + LEASE, now=NOW, limit=9) == 0
    assert await stores.outbox.settle(held, execution="executions/1", now=NOW)
    assert await states(stores) == ["DELIVERED"]


async def test_finished_events_are_forgotten_by_age_and_by_count(stores: Stores) -> None:
    old = an_event(received=NOW - timedelta(days=1))
    events = await routed(stores, [], old, an_event(), an_event())
    [pending] = await stored(stores, an_event(received=NOW - timedelta(days=1)))

    assert await stores.outbox.forget(received_before=NOW, keep=9, limit=9) == 1
    assert await stores.outbox.forget(received_before=NOW, keep=1, limit=9) == 1

    assert {each.uid for each in await stores.events.page(before=None, limit=9)} == {events[2].uid, pending.uid}


async def test_forgetting_has_a_bound_and_takes_deliveries_along(stores: Stores) -> None:
    await routed(stores, ["p"], an_event(), an_event(), an_event())
    await stores.outbox.settle(await a_batch(stores), execution="executions/1", now=NOW)

    assert [await stores.outbox.forget(received_before=NOW + LEASE, keep=9, limit=2) for _ in range(3)] == [2, 1, 0]
    assert await stores.events.page(before=None, limit=9) == []


async def test_a_source_comes_back_and_is_there_once(stores: Stores) -> None:
    source = a_source()
    await stores.sources.add(source)

    assert await stores.sources.find(REGISTRY) == source
    assert await stores.sources.find("registries/none") is None
    with pytest.raises(EventSourceAlreadyExists) as caught:
        await stores.sources.add(a_source(secret_hash=b"y" * 32))
    assert caught.value.metadata == {"registry": REGISTRY}


async def test_sources_are_listed_in_the_order_of_their_registries(stores: Stores) -> None:
    for name in ("b", "a-1", "a"):
        await stores.sources.add(a_source(f"registries/{name}"))

    first = await stores.sources.page(after="", limit=2)
    second = await stores.sources.page(after=first[-1].registry, limit=2)

    assert [each.id for each in first + second] == ["a", "a-1", "b"]


async def test_a_deleted_source_is_gone(stores: Stores) -> None:
    await stores.sources.add(a_source())
    await stores.sources.delete(REGISTRY)

    assert await stores.sources.find(REGISTRY) is None
    with pytest.raises(EventSourceNotFound):
        await stores.sources.delete(REGISTRY)


async def test_a_source_tells_when_the_last_notification_came(stores: Stores) -> None:
    await stores.sources.add(a_source())
    moments = [NOW, NOW + timedelta(seconds=0.5), NOW + timedelta(seconds=2)]
    seen = []
    for moment in moments:
        await stores.sources.received(REGISTRY, moment)
        found = await stores.sources.find(REGISTRY)
        seen.append(found and found.last_receive_time)

    assert seen == [moments[0], moments[0], moments[2]]
