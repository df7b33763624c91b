"""Replicas of the scheduler on one PostgreSQL, before an execution service that is called over gRPC."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from policy_svc.domain.due import ON_TIME
from policy_svc.domain.policy import Policy
from policy_svc.domain.trigger import MissedRuns, ScheduledTrigger
from policy_svc.gateways import GrpcExecutionGateway
from policy_svc.postgres import PostgresPolicyStore, PostgresScheduleStore
from policy_svc.scheduler import BATCH, LEASE, RETRY, Scheduler
from service_kit.clock import FakeClock
from service_kit.database import Pool, open_pool
from service_kit.errors import DOMAIN, Kind, RemoteError, ServiceUnavailable
from service_kit.tasks import end_tasks
from service_kit.testing import served
from tests.policies import a_spec
from tests.postgres import Database
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceServicer, add_ExecutionServiceServicer_to_server

HOUR = timedelta(hours=1)


class Executions(ExecutionServiceServicer):
    """Starts an execution for each request id; can be told to fail, before it has started one or after."""

    def __init__(self) -> None:
        self.calls: list[pb.StartExecutionRequest] = []
        self.started: dict[str, str] = {}
        self.failing: Exception | None = None
        self.failing_late = False
        self.called = asyncio.Event()

    async def StartExecution(self, request: pb.StartExecutionRequest, context: object) -> pb.Execution:
        self.calls.append(request)
        self.called.set()
        if self.failing and not self.failing_late:
            raise self.failing
        name = self.started.setdefault(request.request_id, f"executions/{len(self.started)}")
        if self.failing:
            raise self.failing
        return pb.Execution(name=name)


@dataclass
class World:
    pool: Pool
    executions: Executions
    gateway: GrpcExecutionGateway
    clock: FakeClock = field(default_factory=FakeClock)

    @property
    def policies(self) -> PostgresPolicyStore:
        return PostgresPolicyStore(self.pool)

    def scheduler(self) -> Scheduler:
        return Scheduler(PostgresScheduleStore(self.pool), self.gateway, self.clock)

    async def add(self, policy_id: str = "nightly", **trigger: object) -> Policy:
        scheduled = ScheduledTrigger(**{"cron": "@hourly", **trigger})  # type: ignore[arg-type]
        spec = replace(a_spec(), trigger=scheduled)
        policy = Policy.new(policy_id, f"uid-of-{policy_id}", spec, self.clock.now())
        await self.policies.add(policy)
        return policy

    async def change(self, **fields: object) -> None:
        policy = await self.policies.get("nightly")
        spec = replace(policy.spec, **fields)  # type: ignore[arg-type]
        assert await self.policies.replace(policy.changed(spec, self.clock.now()))


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    executions = Executions()  # type: ignore[abstract]  # nobody calls the rest
    async with (
        open_pool(await database("policy_svc"), schema="policy") as pool,
        served(add_ExecutionServiceServicer_to_server, executions) as channel,
    ):
        yield World(pool, executions, GrpcExecutionGateway(channel))


async def test_a_run_is_started_when_it_is_due_and_says_what_started_it(world: World) -> None:
    await world.add()
    scheduler = world.scheduler()

    world.clock.advance(HOUR - timedelta(seconds=1))
    await scheduler.step()
    assert world.executions.calls == []
    world.clock.advance(1)
    await scheduler.step()
    await scheduler.step()

    [call] = world.executions.calls
    assert (call.policy, call.trigger) == ("policies/uid-of-nightly", pb.Execution.TRIGGER_SCHEDULED)
    assert call.started_by == "schedule of policies/nightly"
    assert call.request_id == "schedule-uid-of-nightly-20260101T010000Z"
    next_run = (await world.policies.get("nightly")).next_run
    assert next_run is not None
    assert next_run.run_time == world.clock.now() + HOUR


async def test_two_replicas_start_each_run_once(world: World) -> None:
    count = 2 * BATCH + 5
    for number in range(count):
        await world.add(f"p{number}")
    replicas = [world.scheduler(), world.scheduler()]

    for _ in range(3):
        world.clock.advance(HOUR)
        while sum(await asyncio.gather(*(each.step() for each in replicas))):
            pass

    assert len(world.executions.calls) == 3 * count
    assert len({call.request_id for call in world.executions.calls}) == 3 * count


async def test_what_a_replica_claimed_and_never_started_is_started_by_another(world: World) -> None:
    await world.add()
    world.clock.advance(HOUR)
    now = world.clock.now()
    assert await PostgresScheduleStore(world.pool).claim_due(now=now, until=now + LEASE, limit=BATCH)

    await world.scheduler().step()
    assert world.executions.calls == []
    world.clock.advance(LEASE)
    await world.scheduler().step()

    assert len(world.executions.started) == 1


async def test_what_was_started_and_not_written_down_is_not_started_twice(world: World) -> None:
    """The execution service has started it, and its answer is lost."""
    await world.add()
    world.clock.advance(HOUR)
    world.executions.failing, world.executions.failing_late = ServiceUnavailable(service="execution"), True
    await world.scheduler().step()
    world.executions.failing = None

    world.clock.advance(RETRY)
    await world.scheduler().step()
    await world.scheduler().step()

    assert len(world.executions.calls) == 2
    assert len(world.executions.started) == 1


@pytest.mark.parametrize(("missed_runs", "started"), [(MissedRuns.SKIP, 1), (MissedRuns.RUN_ONCE, 2)])
async def test_runs_that_went_by_are_left_out_or_made_up_for_once(
    world: World, missed_runs: MissedRuns, started: int
) -> None:
    await world.add(missed_runs=missed_runs)

    world.clock.advance(5 * HOUR + 2 * ON_TIME)
    while await world.scheduler().step():
        pass
    world.clock.advance(HOUR - 2 * ON_TIME)
    while await world.scheduler().step():
        pass

    assert len(world.executions.started) == started


@pytest.mark.parametrize(("missed_runs", "started"), [(MissedRuns.SKIP, 0), (MissedRuns.RUN_ONCE, 1)])
async def test_an_execution_service_that_is_away_is_tried_again(
    world: World, missed_runs: MissedRuns, started: int
) -> None:
    """For as long as the run is on time, or for ever where missed runs are made up for."""
    await world.add(missed_runs=missed_runs)
    world.executions.failing = ServiceUnavailable(service="execution")
    world.clock.advance(HOUR)
    tries = (2 * ON_TIME) // RETRY
    for _ in range(tries):
        await world.scheduler().step()
        await world.scheduler().step()
        world.clock.advance(RETRY)

    world.executions.failing = None
    await world.scheduler().step()

    assert len(world.executions.calls) == (tries + 1 if started else ON_TIME // RETRY + 1)
    assert len(world.executions.started) == started


async def test_a_start_that_is_refused_is_given_up(world: World) -> None:
    await world.add(missed_runs=MissedRuns.RUN_ONCE)
    world.executions.failing = RemoteError.of(
        Kind.FAILED_PRECONDITION, reason="POLICY_DISABLED", domain=DOMAIN, message="disabled"
    )
    world.clock.advance(HOUR)

    await world.scheduler().step()
    world.clock.advance(RETRY)
    await world.scheduler().step()

    assert len(world.executions.calls) == 1


@pytest.mark.parametrize("change", ["disabled", "schedule", "deleted"])
async def test_a_changed_schedule_never_starts_the_old_run(world: World, change: str) -> None:
    await world.add()
    world.clock.advance(HOUR - timedelta(seconds=1))

    match change:
        case "disabled":
            await world.change(disabled=True)
        case "schedule":
            await world.change(trigger=ScheduledTrigger(cron="30 * * * *"))
        case _:
            await world.policies.delete("nightly")
    world.clock.advance(1)
    await world.scheduler().step()
    assert world.executions.calls == []
    world.clock.advance(HOUR / 2)
    await world.scheduler().step()

    fired = [call.request_id[-7:] for call in world.executions.calls]
    assert fired == (["013000Z"] if change == "schedule" else [])


async def test_a_run_of_an_enabled_policy_is_one_after_that(world: World) -> None:
    await world.add()
    await world.change(disabled=True)
    world.clock.advance(5.5 * HOUR)
    await world.change(disabled=False)

    await world.scheduler().step()
    assert world.executions.calls == []
    world.clock.advance(HOUR / 2)
    await world.scheduler().step()

    assert [call.request_id[-7:] for call in world.executions.calls] == ["060000Z"]


async def test_jitter_puts_a_run_off_and_keeps_its_request_id(world: World) -> None:
    policy = await world.add(jitter=HOUR / 2)
    assert policy.next_run is not None
    late = policy.next_run.run_time - policy.next_run.fire_time
    assert timedelta() < late < HOUR / 2

    world.clock.advance(HOUR + late - timedelta(seconds=1))
    await world.scheduler().step()
    assert world.executions.calls == []
    world.clock.advance(1)
    await world.scheduler().step()

    assert [call.request_id[-7:] for call in world.executions.calls] == ["010000Z"]


async def test_a_policy_that_cannot_be_understood_holds_up_no_other(world: World) -> None:
    """Such as one in a time zone that a newer time zone database has no more."""
    await world.add("bad")
    await world.add("good")
    async with world.pool.connection() as conn:
        await conn.execute("""UPDATE policies SET trigger = trigger || '{"time_zone": "Gone/Away"}' WHERE id = 'bad'""")

    for _ in range(3):
        world.clock.advance(HOUR)
        await world.scheduler().step()

    assert [call.policy for call in world.executions.calls] == ["policies/uid-of-good"] * 3


async def test_the_loop_outlives_a_fault_of_the_database(world: World) -> None:
    await world.add()
    world.clock.advance(HOUR)
    async with world.pool.connection() as conn:
        await conn.execute("ALTER TABLE policies RENAME TO elsewhere")
    loop = asyncio.create_task(world.scheduler().run())
    await asyncio.sleep(0.2)
    async with world.pool.connection() as conn:
        await conn.execute("ALTER TABLE elsewhere RENAME TO policies")

    async with asyncio.timeout(30):
        await world.executions.called.wait()

    assert not loop.done()
    await end_tasks(loop)
