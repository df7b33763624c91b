"""jobservice: streams for the delegator, and the logs of jobs."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import grpc

from execution_svc import convert
from execution_svc.delegation.messages import Command, JobStream, Report
from execution_svc.domain.task import JobKey
from execution_svc.domain.transfer import LogLine
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
