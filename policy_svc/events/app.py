"""Puts the events together."""

import asyncio
from contextlib import AsyncExitStack

import grpc

from policy_svc.config import PolicyConfig
from policy_svc.events.dispatcher import Dispatcher
from policy_svc.events.endpoint import EventEndpoint
from policy_svc.events.gateways import GrpcExecutions
from policy_svc.events.housekeeping import Housekeeping
from policy_svc.events.postgres import PostgresEventStore, PostgresOutbox, PostgresSourceStore
from policy_svc.events.service import EventService, Registries
from policy_svc.events.servicer import EventServicer
from policy_svc.events.subscribers import PolicySubscribers
from policy_svc.store import PolicyStore
from service_kit.clock import SystemClock
from service_kit.database import Pool
from service_kit.run import write_port_file
from service_kit.tasks import end_tasks


async def open_events(
    config: PolicyConfig,
    stack: AsyncExitStack,
    *,
    pool: Pool,
    policies: PolicyStore,
    registries: Registries,
    executions: grpc.aio.Channel,
) -> EventServicer:
    """What answers for events. On the stack are the endpoint, which ends first, and the loops that deliver."""
    clock, outbox = SystemClock(), PostgresOutbox(pool)
    dispatcher = Dispatcher(outbox, PolicySubscribers(policies), GrpcExecutions(executions), clock)
    service = EventService(PostgresEventStore(pool), PostgresSourceStore(pool), registries, clock, dispatcher.wake)
    housekeeping = Housekeeping(outbox, service, clock)
    for name, work in {"event dispatcher": dispatcher.run(), "event housekeeping": housekeeping.run()}.items():
        stack.push_async_callback(end_tasks, asyncio.create_task(work, name=name))
    endpoint = EventEndpoint(service).serve(config.events_listen, config.server_tls())
    address = await stack.enter_async_context(endpoint)
    if config.events_port_file is not None:
        write_port_file(config.events_port_file, address)
    return EventServicer(service, clock)
