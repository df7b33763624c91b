"""Puts the execution service together."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

import structlog

from execution_svc.config import ExecutionConfig
from execution_svc.delegation.delegator import Delegator
from execution_svc.delegation.leader import run_as_leader
from execution_svc.dry_run.planner import Planner
from execution_svc.flows.worker import FlowWorkers
from execution_svc.gateways import RemoteCatalog, RemoteJobs, RemotePolicies
from execution_svc.postgres import (
    PostgresDelegationStore,
    PostgresExecutionStore,
    PostgresFlowStore,
    PostgresHistory,
    PostgresRetentionStore,
    PostgresWrittenPages,
    PostgresWrittenTags,
)
from execution_svc.retention import RetentionLoop
from execution_svc.service import Executions
from execution_svc.servicer import ExecutionServicer
from execution_svc.signals import Changes
from service_kit.channel import open_channel
from service_kit.clock import SystemClock
from service_kit.database import open_pool, session_conninfo
from service_kit.server import GrpcServer
from service_kit.tasks import end_tasks
from transship.execution.v1 import execution_pb2, execution_pb2_grpc

SCHEMA: Final = "execution"
RESTART_PAUSE_S: Final = 1.0

_SERVICE_NAME: Final = execution_pb2.DESCRIPTOR.services_by_name["ExecutionService"].full_name


log: structlog.stdlib.BoundLogger = structlog.get_logger()


async def build(config: ExecutionConfig, stack: AsyncExitStack) -> GrpcServer:
    """The server, not yet started. The stack ends the workers first, then the channels and the pool they use."""
    url = config.database_url.get_secret_value()
    conninfo = session_conninfo(url, schema=SCHEMA)
    tls = config.client_tls()
    clock, changes = SystemClock(), Changes()
    pool = await stack.enter_async_context(open_pool(url, schema=SCHEMA, max_size=config.database_pool_size))
    policies = RemotePolicies(await stack.enter_async_context(open_channel(config.policy_target, tls)))
    catalog = RemoteCatalog(await stack.enter_async_context(open_channel(config.registry_target, tls)))
    jobs = RemoteJobs([await stack.enter_async_context(open_channel(each, tls)) for each in config.job_targets])
    flows = FlowWorkers(
        PostgresFlowStore(pool), catalog, PostgresHistory(pool), changes, clock, workers=config.flow_workers
    )
    delegator = Delegator(jobs, PostgresDelegationStore(pool), changes, clock)
    _run_beside("changes", partial(changes.run, conninfo), stack)
    _run_beside("flows", flows.run, stack)
    _run_beside("delegation", partial(run_as_leader, conninfo, delegator.run), stack)
    retention = RetentionLoop(
        PostgresRetentionStore(pool), PostgresWrittenTags(pool), policies, config.retention(), clock
    )
    _run_beside("retention", retention.run, stack)
    server = GrpcServer(config.listen, config.server_tls())
    executions = Executions(PostgresExecutionStore(pool), policies, jobs, changes, clock)
    planner = Planner(policies, catalog, jobs, PostgresWrittenPages(pool), clock)
    servicer = ExecutionServicer(executions, planner, clock)
    server.add(execution_pb2_grpc.add_ExecutionServiceServicer_to_server, servicer, _SERVICE_NAME)
    return server


def _run_beside(name: str, work: Callable[[], Awaitable[None]], stack: AsyncExitStack) -> None:
    """Runs the work until the stack is closed."""
    task = asyncio.create_task(_kept_running(name, work), name=name)
    stack.push_async_callback(end_tasks, task)


async def _kept_running(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """A fault that nobody foresaw is logged; it must not leave a service that answers and does nothing."""
    while True:
        try:
            await work()
        except Exception:
            log.exception("work beside the server failed", work=name)
        await asyncio.sleep(RESTART_PAUSE_S)
