"""A servicer with a method of each kind, whose behaviour a test chooses."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.wrappers_pb2 import StringValue

from service_kit.errors import Kind, ServiceError
from transship.job.v1.job_pb2 import GetJobRequest

NAME = "test.Kettle"
VALID = GetJobRequest(name="jobs/tea")
INVALID = GetJobRequest(name="Not A Job")


class KettleEmpty(ServiceError):
    """The kettle {kettle} is empty."""

    kind = Kind.NOT_FOUND
    reason = "TEST_KETTLE_EMPTY"


async def nothing() -> None:
    return None


class Kettle:
    """Answers with the names it is sent; `work` runs before each answer but the first of a stream."""

    def __init__(self, work: Callable[[], Awaitable[Any]] = nothing) -> None:
        self.work = work
        self.names: list[str] = []

    async def unary_unary(self, request: GetJobRequest, context: Any) -> StringValue:
        self.names.append(request.name)
        await self.work()
        return StringValue(value=request.name)

    async def unary_stream(self, request: GetJobRequest, context: Any) -> AsyncIterator[StringValue]:
        self.names.append(request.name)
        yield StringValue(value="first")
        await self.work()
        yield StringValue(value=request.name)

    async def stream_unary(self, requests: AsyncIterator[GetJobRequest], context: Any) -> StringValue:
        self.names += [request.name async for request in requests]
        await self.work()
        return StringValue(value=" ".join(self.names))

    async def stream_stream(self, requests: AsyncIterator[GetJobRequest], context: Any) -> AsyncIterator[StringValue]:
        async for request in requests:
            self.names.append(request.name)
            if len(self.names) > 1:
                await self.work()
            yield StringValue(value=request.name)


KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")


def add_kettle(servicer: Kettle, server: Any) -> None:
    handlers = {
        kind: getattr(grpc, f"{kind}_rpc_method_handler")(
            getattr(servicer, kind),
            request_deserializer=GetJobRequest.FromString,
            response_serializer=StringValue.SerializeToString,
        )
        for kind in KINDS
    }
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(NAME, handlers)])


def call(channel: grpc.aio.Channel, kind: str, *requests: GetJobRequest, **options: Any) -> Any:
    """The call object of a method of this kind, started."""
    method = getattr(channel, kind)(
        f"/{NAME}/{kind}",
        request_serializer=GetJobRequest.SerializeToString,
        response_deserializer=StringValue.FromString,
    )
    return method(iter(requests) if kind.startswith("stream") else requests[0], **options)


async def answers(channel: grpc.aio.Channel, kind: str, *requests: GetJobRequest, **options: Any) -> list[str]:
    """All that the method answers."""
    started = call(channel, kind, *requests, **options)
    if kind.endswith("unary"):
        return [(await started).value]
    return [answer.value async for answer in started]
