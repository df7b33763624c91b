"""Wires the policy service."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

from policy_svc.config import PolicyConfig
from policy_svc.events.app import open_events
from policy_svc.gateways import GrpcCatalogGateway, GrpcExecutionGateway, GrpcRegistryGateway
from policy_svc.postgres import PostgresPolicyStore, PostgresScheduleStore
from policy_svc.scheduler import Scheduler
from policy_svc.service import PolicyService
from policy_svc.servicer import PolicyServicer
from policy_svc.trials import Trials
from service_kit.channel import open_channel
from service_kit.clock import SystemClock
from service_kit.database import open_pool
from service_kit.server import GrpcServer
from service_kit.tasks import end_tasks
from transship.policy.v1 import event_pb2, event_pb2_grpc
from transship.policy.v1.policy_pb2 import DESCRIPTOR
from transship.policy.v1.policy_pb2_grpc import add_PolicyServiceServicer_to_server

SCHEMA: Final = "policy"


async def app(config: PolicyConfig, stack: AsyncExitStack) -> GrpcServer:
    """The server, not yet started, with all it needs open on the stack."""
    pool = await stack.enter_async_context(
        open_pool(config.database_url.get_secret_value(), schema=SCHEMA, max_size=config.database_pool_size)
    )
    tls = config.client_tls()
    registry_channel = await stack.enter_async_context(open_channel(config.registry_target, tls))
    registries = GrpcRegistryGateway(registry_channel)
    executions = await stack.enter_async_context(open_channel(config.execution_target, tls))
    store = PostgresPolicyStore(pool)
    scheduler = Scheduler(PostgresScheduleStore(pool), GrpcExecutionGateway(executions), SystemClock())
    stack.push_async_callback(end_tasks, asyncio.create_task(scheduler.run(), name="scheduler"))
    events = await open_events(config, stack, pool=pool, policies=store, registries=registries, executions=executions)
    fast = config.fast_schedules
    policies = PolicyService(store, registries, SystemClock(), fast_schedules=fast)
    trials = Trials(policies, registries, GrpcCatalogGateway(registry_channel), SystemClock(), fast_schedules=fast)
    server = GrpcServer(config.listen, config.server_tls())
    service_name = DESCRIPTOR.services_by_name["PolicyService"].full_name
    server.add(add_PolicyServiceServicer_to_server, PolicyServicer(policies, trials), service_name)
    events_name = event_pb2.DESCRIPTOR.services_by_name["EventService"].full_name
    server.add(event_pb2_grpc.add_EventServiceServicer_to_server, events, events_name)
    return server
