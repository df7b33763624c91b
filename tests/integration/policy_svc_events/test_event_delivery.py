"""Events on their way from PostgreSQL to an execution service over gRPC."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import grpc
import psycopg
import pytest

from policy_svc.events.domain.event import Event, EventState, Notice
from policy_svc.events.postgres import PostgresEventStore
from service_kit.database import Pool, open_pool
from tests.events import DIGEST_A, FakeSubscribers, a_delete, a_push, a_subscriber, an_event
from tests.integration.policy_svc_events.event_peers import (
    END_TIMEOUT_S,
    FakeExecutionService,
    Misdeed,
    dispatching,
    execution_service,
    no_policy,
)
from transship.execution.v1 import execution_pb2 as pb

Fake = FakeExecutionService


@pytest.fixture
async def peer() -> AsyncIterator[tuple[FakeExecutionService, grpc.aio.Channel]]:
    async with execution_service() as found:
        yield found


@pytest.fixture
def executions(peer: tuple[FakeExecutionService, grpc.aio.Channel]) -> FakeExecutionService:
    return peer[0]


@pytest.fixture
def channel(peer: tuple[FakeExecutionService, grpc.aio.Channel]) -> grpc.aio.Channel:
    return peer[1]


async def publish(pool: Pool, *notices: Notice) -> list[Event]:
    events = [an_event(each, received=datetime.now(UTC)) for each in notices]
    await PostgresEventStore(pool).add(events)
    return events


async def finished(pool: Pool, events: list[Event]) -> list[Event]:
    """The events once none of them is pending."""
    store = PostgresEventStore(pool)
    async with asyncio.timeout(END_TIMEOUT_S):
        while True:
            found = [await store.get(each.uid) for each in events]
            if all(each.state is not EventState.PENDING for each in found):
                return found
            await asyncio.sleep(0.05)


async def run_out(pool: Pool) -> None:
    """Spares the test the seconds that leases and back-offs last."""
    async with pool.connection() as conn:
        await conn.execute("UPDATE event_queues SET leased_until = now() WHERE leased_until IS NOT NULL")
        await conn.execute("UPDATE event_queues SET due_time = now()")


async def test_a_start_says_what_happened_where(pool: Pool, executions: Fake, channel: grpc.aio.Channel) -> None:
    notices = [a_push("library/app", "1.0", at=1), a_delete("library/old", "", DIGEST_A, at=2)]
    async with dispatching(pool, channel, FakeSubscribers([a_subscriber()])) as dispatcher:
        events = await publish(pool, *notices)
        dispatcher.wake()
        done = await finished(pool, events)

    [request] = executions.calls
    assert request.policy == "policies/uid-of-mirror"
    assert request.trigger == pb.Execution.TRIGGER_EVENT
    assert request.started_by == "events at registries/hub"
    assert list(request.event_resources) == [
        pb.EventResource(
            operation=pb.EventResource.OPERATION_PUSH, repository="library/app", tag="1.0", digest=DIGEST_A
        ),
        pb.EventResource(operation=pb.EventResource.OPERATION_DELETE, repository="library/old", digest=DIGEST_A),
    ]
    assert {(each.state, each.executions, each.problem) for each in done} == {
        (EventState.DELIVERED, ("executions/1",), "")
    }


async def test_events_of_another_process_are_found_without_being_woken(
    pool: Pool, executions: Fake, channel: grpc.aio.Channel
) -> None:
    async with dispatching(pool, channel, FakeSubscribers([a_subscriber()])):
        await finished(pool, await publish(pool, a_push()))

    assert len(executions.started) == 1


async def test_many_policies_finish_one_event_together(pool: Pool, executions: Fake, channel: grpc.aio.Channel) -> None:
    policies = [a_subscriber(f"uid-of-{number}") for number in range(30)]
    async with dispatching(pool, channel, FakeSubscribers(policies)) as dispatcher:
        events = await publish(pool, a_push(tag="1"), a_push(tag="2"))
        dispatcher.wake()
        done = await finished(pool, events)

    assert Counter(each.policy for each in executions.calls) == {f"policies/uid-of-{n}": 1 for n in range(30)}
    assert [len(each.executions) for each in done] == [30, 30]


async def test_two_replicas_deliver_each_event_once(
    url: str, pool: Pool, executions: Fake, channel: grpc.aio.Channel
) -> None:
    policies = FakeSubscribers([a_subscriber(f"uid-of-{number}") for number in range(5)])
    async with (
        open_pool(url, schema="policy") as other_pool,
        dispatching(pool, channel, policies) as one,
        dispatching(other_pool, channel, policies) as other,
    ):
        events = []
        for number in range(40):
            events += await publish(pool, *(a_push(f"library/app-{number}", tag=f"{tag}") for tag in range(5)))
            one.wake()
            other.wake()
        await finished(pool, events)

    told = Counter(
        (request.policy, resource.repository, resource.tag)
        for request in executions.calls
        for resource in request.event_resources
    )
    assert len(told) == 5 * 200
    assert set(told.values()) == {1}


async def test_a_start_whose_answer_is_lost_is_the_same_execution(
    pool: Pool, executions: Fake, channel: grpc.aio.Channel
) -> None:
    executions.misdeeds["policies/uid-of-mirror"] = Misdeed(times=2, after_start=True)
    async with dispatching(pool, channel, FakeSubscribers([a_subscriber()])) as dispatcher:
        first = await publish(pool, a_push(tag="1"))
        dispatcher.wake()
        await executions.until(1)
        second = await publish(pool, a_push(tag="2"))
        dispatcher.wake()
        done = await finished(pool, first + second)

    assert [each.executions for each in done] == [("executions/1",), ("executions/2",)]
    assert len({each.request_id for each in executions.calls}) == 2
    assert len(executions.calls) == 4


async def test_a_crash_between_start_and_mark_is_made_up_for(
    pool: Pool, executions: Fake, channel: grpc.aio.Channel
) -> None:
    policies = FakeSubscribers([a_subscriber()])
    executions.hold.clear()
    async with dispatching(pool, channel, policies) as dispatcher:
        events = await publish(pool, a_push())
        dispatcher.wake()
        await executions.until(1)  # it is started, and then the process dies
    executions.hold.set()
    [found] = [await PostgresEventStore(pool).get(each.uid) for each in events]
    assert (found.state, found.executions) == (EventState.PENDING, ())
    await run_out(pool)

    async with dispatching(pool, channel, policies):
        [done] = await finished(pool, events)

    assert (done.state, done.executions) == (EventState.DELIVERED, ("executions/1",))
    assert [len(executions.calls), len(executions.started)] == [2, 1]


async def test_a_policy_that_fails_holds_back_no_other(pool: Pool, executions: Fake, channel: grpc.aio.Channel) -> None:
    executions.misdeeds["policies/uid-of-sick"] = Misdeed(times=10**6)
    policies = FakeSubscribers([a_subscriber("uid-of-sick"), a_subscriber("uid-of-well")])
    async with dispatching(pool, channel, policies) as dispatcher:
        for number in range(3):
            [event] = await publish(pool, a_push(tag=f"{number}"))
            dispatcher.wake()
            await executions.until(number + 1)
        found = await PostgresEventStore(pool).get(event.uid)
        assert found.state is EventState.PENDING
        executions.misdeeds.clear()
        await run_out(pool)
        [done] = await finished(pool, [event])

    assert done.state is EventState.DELIVERED
    assert {each.policy for each in executions.started.values()} == {"policies/uid-of-sick", "policies/uid-of-well"}


async def test_a_policy_that_is_gone_ends_its_deliveries(
    pool: Pool, executions: Fake, channel: grpc.aio.Channel
) -> None:
    executions.misdeeds["policies/uid-of-mirror"] = Misdeed(times=1, error=no_policy())
    async with dispatching(pool, channel, FakeSubscribers([a_subscriber()])) as dispatcher:
        events = await publish(pool, a_push())
        dispatcher.wake()
        [done] = await finished(pool, events)

    assert (done.state, done.executions, done.problem) == (EventState.DELIVERED, (), "There is no such policy.")
    assert len(executions.calls) == 1


async def test_deliveries_outlast_a_database_that_hangs_up(
    url: str, pool: Pool, executions: Fake, channel: grpc.aio.Channel
) -> None:
    async with dispatching(pool, channel, FakeSubscribers([a_subscriber()])) as dispatcher:
        await finished(pool, await publish(pool, a_push(tag="1")))
        async with await psycopg.AsyncConnection.connect(url) as conn:
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        async with open_pool(url, schema="policy") as ours:
            events = await publish(ours, a_push(tag="2"))
            dispatcher.wake()
            await finished(ours, events)

    assert len(executions.started) == 2
