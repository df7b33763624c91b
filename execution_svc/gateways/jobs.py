"""jobservice: streams for the delegator, the logs of jobs, and what a job would do."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import grpc

from execution_svc import convert, convert_plan
from execution_svc.delegation.messages import Command, JobStream, Report
from execution_svc.domain.plan import PlannedReference
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import Job, JobKey, TaskId
from execution_svc.domain.transfer import LogLine, Reference
from execution_svc.flows.planning import Item
from service_kit.errors import Kind, ServiceError, ServiceUnavailable
from service_kit.status import remote_errors
from transship.job.v1 import job_pb2 as pb
from transship.job.v1 import job_pb2_grpc

_SERVICE: Final = "jobservice"


class RemoteJobs:
    """The replicas of the jobservice; each of them answers for every job."""

    def __init__(self, channels: Sequence[grpc.aio.Channel]) -> None:
        self._stubs: list[job_pb2_grpc.JobServiceAsyncStub] = [job_pb2_grpc.JobServiceStub(each) for each in channels]
        self._next = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[JobStream]:
        """A stream to the next replica: one is opened only after another one broke."""
        stub = self._stubs[self._next % len(self._stubs)]
        self._next += 1
        stream = _DelegateStream(stub)
        try:
            yield stream
        finally:
            stream.cancel()

    async def read_log(self, key: JobKey, *, after: int, follow: bool) -> AsyncIterator[list[LogLine]]:
        """The lines after a sequence. When a replica goes away, the next one reads on.

        Raises:
            ServiceError: with the reason JOB_NOT_FOUND, or that of the last replica when none answers.
        """
        failure: ServiceError = ServiceUnavailable(service=_SERVICE)
        for stub in self._stubs:
            request = pb.ReadJobLogRequest(name=convert.job_name(key), after_sequence=after, follow=follow)
            try:
                async with remote_errors(_SERVICE):
                    async for response in stub.ReadJobLog(request):
                        lines = [convert.log_line_from_pb(entry) for entry in response.entries]
                        after = lines[-1].sequence if lines else after
                        yield lines
            except ServiceError as error:
                if error.kind is not Kind.UNAVAILABLE:
                    raise
                failure = error
            else:
                return
        raise failure

    async def plan(
        self, policy: Policy, item: Item, references: Sequence[Reference]
    ) -> AsyncGenerator[list[PlannedReference], None]:
        """What would become of each of the references. When a replica goes away, another one is asked for the rest.

        Raises:
            ServiceError: why it cannot be told, or that of the last replica when none answers.
        """
        failure: ServiceError = ServiceUnavailable(service=_SERVICE)
        told: set[str] = set()
        request = pb.PlanReplicationRequest(replicate=_work(policy, item, references))
        for stub in self._stubs:
            call = stub.PlanReplication(request)
            try:
                async with remote_errors(_SERVICE):
                    async for response in call:
                        new = [each for each in convert_plan.planned_from_pb(response) if each.key not in told]
                        told.update(each.key for each in new)
                        yield new
            except ServiceError as error:
                if error.kind is not Kind.UNAVAILABLE:
                    raise
                failure = error
            else:
                return
            finally:
                call.cancel()  # when nobody wants the rest; without effect at its end
        raise failure


def _work(policy: Policy, item: Item, references: Sequence[Reference]) -> pb.ReplicateWork:
    """As the task that would be made of it; its key goes nowhere."""
    job = Job(
        key=JobKey(task=TaskId(""), run=0),
        operation=item.operation,
        fairness_group=policy.name,
        source_registry=policy.source_registry,
        source_repository=item.source_repository,
        destination_registry=item.destination_registry,
        destination_repository=item.destination_repository,
        references=tuple(references),
        override=policy.override,
        backup_tag=policy.document.get("backup_tag", ""),
        options=policy.document.get("options", {}),
    )
    return convert.replicate_work(job)


class _DelegateStream:
    """Delegate, in our words. A sender waits in vain once the stream is broken; reading says so."""

    def __init__(self, stub: "job_pb2_grpc.JobServiceAsyncStub") -> None:
        self._requests: asyncio.Queue[pb.DelegateRequest] = asyncio.Queue(maxsize=1)
        self._call = stub.Delegate(self._sent())

    async def send(self, command: Command) -> None:
        await self._requests.put(convert.command_to_pb(command))

    async def reports(self) -> AsyncIterator[Report]:
        async with remote_errors(_SERVICE):
            async for response in self._call:
                yield convert.report_from_pb(response)

    def cancel(self) -> None:
        self._call.cancel()

    async def _sent(self) -> AsyncIterator[pb.DelegateRequest]:
        while True:
            yield await self._requests.get()
