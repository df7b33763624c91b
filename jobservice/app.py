"""Wires the job service: one process serves JobService and works."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from jobservice.changes import CHANNEL, Changes
from jobservice.config import JobConfig
from jobservice.copying import open_engine
from jobservice.delete import DeleteHandler
from jobservice.feeder import Feeder
from jobservice.gateways import RegistryGateway
from jobservice.postgres.jobs import PostgresJobStore
from jobservice.postgres.runs import PostgresRunStore
from jobservice.procrastinate_queue import ProcrastinateQueue
from jobservice.reaper import Reaper
from jobservice.runner import Handlers, Runner
from jobservice.servicer import JobServicer, Plans
from jobservice.supervise import supervise
from jobservice.tag_digests import TagDigests
from jobservice.transfer import DeleteWork, ReplicateWork
from jobservice.worker import Worker
from service_kit.channel import open_channel
from service_kit.clock import SystemClock
from service_kit.database import Pool, listen, open_pool, session_conninfo
from service_kit.server import GrpcServer
from transship.job.v1 import job_pb2_grpc

SCHEMA = "job"
DAY_S = 24 * 3600.0
SERVICE_NAME = "transship.job.v1.JobService"


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What does the work: a handler for each class of it, and a planner."""

    handlers: Handlers
    planner: Plans


class JobServer(GrpcServer):
    """Drains its worker together with its calls: jobs are given back at once, and streams still tell of it."""

    def __init__(self, config: JobConfig, worker: Worker) -> None:
        super().__init__(config.listen, config.server_tls())
        self._worker = worker

    async def drain(self, grace_s: float) -> None:
        await asyncio.gather(self._worker.drain(), super().drain(grace_s))


async def build(config: JobConfig, stack: AsyncExitStack) -> GrpcServer:
    """The service as it runs in production."""
    channel = await stack.enter_async_context(open_channel(config.registry_target, config.client_tls()))
    gateway = RegistryGateway(channel)

    def equip(pool: Pool) -> Equipment:
        engine = open_engine(gateway, pool, stack)
        deletion = DeleteHandler(gateway, TagDigests(engine.registries))
        return Equipment(handlers={ReplicateWork: engine.replicate, DeleteWork: deletion}, planner=engine.planner)

    return await build_with(config, stack, equip)


async def build_with(config: JobConfig, stack: AsyncExitStack, equip: Callable[[Pool], Equipment]) -> JobServer:
    """The service with this equipment."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)  # it tells of each entry, as we do of each job
    conninfo = config.database_url.get_secret_value()
    pool = await stack.enter_async_context(open_pool(conninfo, schema=SCHEMA, max_size=config.database_pool_size))
    queue = await stack.enter_async_context(ProcrastinateQueue.opened(conninfo))

    changes = Changes()
    notifications = session_conninfo(conninfo, schema=SCHEMA)
    listening = asyncio.create_task(supervise("listener", lambda: changes.follow(listen(notifications, CHANNEL))))
    stack.callback(listening.cancel)

    equipment = equip(pool)
    feeder = Feeder(pool, queue, slots=config.workers)
    runs = PostgresRunStore(pool)
    runner = Runner(
        runs,
        equipment.handlers,
        changes,
        SystemClock(),
        worker=_worker_name(),
        slots=config.workers,
        on_slot_free=feeder.room_made,
    )
    reaper = Reaper(runs, queue, retention_s=config.retention_days * DAY_S, on_returned=feeder.wake)
    worker = await stack.enter_async_context(Worker.working(queue, feeder, runner, reaper))

    server = JobServer(config, worker)
    servicer = JobServicer(PostgresJobStore(pool), changes, equipment.planner, on_submitted=feeder.wake)
    server.add(job_pb2_grpc.add_JobServiceServicer_to_server, servicer, SERVICE_NAME)
    return server


def _worker_name() -> str:
    """Tells in the table where a job runs; unique, because process ids come again."""
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
