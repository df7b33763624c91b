"""Speaks protobuf for the job service."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeAlias

import grpc

from jobservice import convert
from jobservice.changes import Changes
from jobservice.delegate import Delegation
from jobservice.service import Jobs
from jobservice.store import JobStore
from jobservice.transfer import PlannedReference, ReplicateWork
from service_kit.paging import PageToken, page_size
from transship.job.v1 import job_pb2 as pb
from transship.job.v1 import job_pb2_grpc

ServicerContext: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"  # generic in its stubs only


class Plans(Protocol):
    """Tells what a replication would do."""

    def plan(self, work: ReplicateWork) -> AsyncGenerator[Sequence[PlannedReference], None]: ...


class JobServicer(job_pb2_grpc.JobServiceServicer):
    """Any replica answers for any job."""

    def __init__(self, store: JobStore, changes: Changes, plans: Plans, *, on_submitted: Callable[[], None]) -> None:
        self._store = store
        self._changes = changes
        self._on_submitted = on_submitted
        self._jobs = Jobs(store, changes)
        self._plans = plans

    async def Delegate(
        self, request_iterator: AsyncIterator[pb.DelegateRequest], _context: ServicerContext
    ) -> AsyncIterator[pb.DelegateResponse]:
        messages = (convert.message_from_pb(request) async for request in request_iterator)
        delegation = Delegation(self._store, self._changes, on_submitted=self._on_submitted)
        async with aclosing(delegation.answers(messages)) as answers:
            async for answer in answers:
                for response in convert.answer_to_pb(answer):
                    yield response

    async def GetJob(self, request: pb.GetJobRequest, _context: ServicerContext) -> pb.Job:
        return convert.job_to_pb(await self._jobs.get(convert.key_from_name(request.name)))

    async def ListJobs(self, request: pb.ListJobsRequest, _context: ServicerContext) -> pb.ListJobsResponse:
        limit = page_size(request.page_size)
        states = convert.states_from_pb(request.states)
        token = PageToken.decode(request.page_token, sorted(states))
        jobs = await self._jobs.page(states, limit=limit + 1, after=convert.cursor_from_token(token))
        page = convert.page_to_pb(jobs[:limit])
        more = convert.token_after(jobs[len(page) - 1]).encode(sorted(states)) if len(page) < len(jobs) else ""
        return pb.ListJobsResponse(jobs=page, next_page_token=more)

    async def StopJob(self, request: pb.StopJobRequest, _context: ServicerContext) -> pb.Job:
        return convert.job_to_pb(await self._jobs.stop(convert.key_from_name(request.name)))

    async def WatchJob(
        self, request: pb.WatchJobRequest, _context: ServicerContext
    ) -> AsyncIterator[pb.WatchJobResponse]:
        async with aclosing(self._jobs.watch(convert.key_from_name(request.name))) as statuses:
            async for status in statuses:
                yield pb.WatchJobResponse(status=convert.status_to_pb(status))

    async def ReadJobLog(
        self, request: pb.ReadJobLogRequest, _context: ServicerContext
    ) -> AsyncIterator[pb.ReadJobLogResponse]:
        key = convert.key_from_name(request.name)
        log = self._jobs.read_log(key, after=request.after_sequence, follow=request.follow)
        async with aclosing(log) as batches:
            async for entries in batches:
                yield pb.ReadJobLogResponse(entries=map(convert.entry_to_pb, entries))

    async def PlanReplication(
        self, request: pb.PlanReplicationRequest, _context: ServicerContext
    ) -> AsyncIterator[pb.PlanReplicationResponse]:
        async with aclosing(self._plans.plan(convert.replication_from_pb(request.replicate))) as batches:
            async for batch in batches:
                for response in convert.plan_to_pb(batch):
                    yield response
