"""What happens around each rpc that we serve. `server.py` has the list and its order."""

import asyncio
import re
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from inspect import isasyncgen
from typing import Any, Final

import grpc
import protovalidate
import structlog
from google.protobuf.message import Message
from structlog.contextvars import bind_contextvars

from service_kit import context as rpc_context
from service_kit.errors import DeadlineExceeded, FieldViolation, InternalError, InvalidRequest, Kind, ShuttingDown
from service_kit.status import STATUS_METADATA_KEY, as_service_error, to_status

DEFAULT_DEADLINE_S: Final = (
    30.0  # for a unary call without a deadline: nothing that a caller waits for may hang forever
)

_REQUEST_ID: Final = re.compile(r"[\x21-\x7e]{1,128}")
_QUIET: Final = ("/grpc.health.", "/grpc.reflection.")  # probes come every few seconds and would fill the log
_LEVELS: Final = {
    Kind.INTERNAL: "error",
    Kind.DATA_LOSS: "error",
    Kind.UNAVAILABLE: "warning",
    Kind.DEADLINE_EXCEEDED: "warning",
    Kind.RESOURCE_EXHAUSTED: "warning",
}

log: structlog.stdlib.BoundLogger = structlog.get_logger()

Proceed = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rpc:
    """One call being served."""

    method: str
    context: "grpc.aio.ServicerContext[Any, Any]"  # generic for the type checker only, as its stubs have it
    request_streaming: bool
    response_streaming: bool


class Interceptor(grpc.aio.ServerInterceptor, ABC):
    """Wraps handlers of all four kinds alike.

    Responses of a stream are written inside of the wrapped call, so whatever ends it is raised inside of it as well.
    """

    @abstractmethod
    async def serve(self, rpc: Rpc, request: Any, proceed: Proceed) -> Any:
        """Serves one rpc by awaiting `proceed(request)`; the request is a message or an iterator of messages."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        handler: Any = await continuation(handler_call_details)
        if handler is None:
            return None
        kind = _KINDS[handler.request_streaming, handler.response_streaming]
        behaviour = getattr(handler, kind)

        async def served(request: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
            rpc = Rpc(
                method=handler_call_details.method,
                context=context,
                request_streaming=handler.request_streaming,
                response_streaming=handler.response_streaming,
            )
            return await self.serve(rpc, request, lambda request: _finished(behaviour(request, context), context))

        make: Callable[..., grpc.RpcMethodHandler[Any, Any]] = getattr(grpc, f"{kind}_rpc_method_handler")
        return make(
            served, request_deserializer=handler.request_deserializer, response_serializer=handler.response_serializer
        )


_KINDS: Final = {
    (False, False): "unary_unary",
    (False, True): "unary_stream",
    (True, False): "stream_unary",
    (True, True): "stream_stream",
}


async def _finished(result: Any, context: "grpc.aio.ServicerContext[Any, Any]") -> Any:
    """The response of a unary handler; for a stream, nothing, once every response has been written."""
    if not isasyncgen(result):
        return await result
    async with aclosing(result):
        async for response in result:
            await context.write(response)
    return None


class RequestContext(Interceptor):
    """Takes over the caller's request id and deadline, and binds what each log line of the rpc says."""

    async def serve(self, rpc: Rpc, request: Any, proceed: Proceed) -> Any:
        request_id = _request_id(rpc)
        rpc_context.set_request_id(request_id)
        rpc_context.set_deadline(rpc.context.time_remaining())
        bind_contextvars(rpc=rpc.method, request_id=request_id)
        rpc.context.set_trailing_metadata(((rpc_context.REQUEST_ID_HEADER, request_id),))
        return await proceed(request)


class Errors(Interceptor):
    """Answers each error with its status; what we did not foresee is logged here and told to nobody else."""

    async def serve(self, rpc: Rpc, request: Any, proceed: Proceed) -> Any:
        try:
            return await proceed(request)
        except grpc.aio.AbortError:  # control flow of gRPC: the status is set already
            raise
        except Exception as error:
            known = as_service_error(error)
            if isinstance(known, InternalError):
                log.exception("rpc failed", exc_info=error)
            await _abort(rpc, known)


class AccessLog(Interceptor):
    """One line an rpc; its level follows the kind of the error."""

    async def serve(self, rpc: Rpc, request: Any, proceed: Proceed) -> Any:
        started = time.monotonic()
        kind: Kind | None = None
        reason: str | None = None
        try:
            return await proceed(request)
        except asyncio.CancelledError:
            kind = Kind.CANCELLED
            raise
        except grpc.aio.AbortError:
            kind = _kind_set(rpc)
            raise
        except Exception as error:
            known = as_service_error(error)
            kind, reason = known.kind, known.reason
            raise
        finally:
            _log_access(rpc, kind, reason, time.monotonic() - started)


class Deadlines(Interceptor):
    """Gives a unary call that has no deadline one of ours."""

    def __init__(self, default_s: float = DEFAULT_DEADLINE_S) -> None:
        self._default_s = default_s

    async def serve(self, rpc: Rpc, request: Any, proceed: Proceed) -> Any:
        if rpc.request_streaming or rpc.response_streaming or rpc_context.remaining_s() is not None:
            return await proceed(request)
        rpc_context.set_deadline(self._default_s)
        return await _bounded(proceed(request), asyncio.timeout(self._default_s), DeadlineExceeded)


class StreamDrain(Interceptor):
    """Ends the open streams when the server drains: a watcher would otherwise hold it up until the grace is over."""

    def __init__(self) -> None:
        self._open: set[asyncio.Timeout] = set()
        self._ends_at: float | None = None

    def end_streams(self, after_s: float) -> None:
        """Ends every stream with ShuttingDown, at the latest after so many seconds."""
        self._ends_at = asyncio.get_running_loop().time() + after_s
        for stream in self._open:
            stream.reschedule(self._ends_at)

    async def serve(self, rpc: Rpc, request: Any, proceed: Proceed) -> Any:
        if not (rpc.request_streaming or rpc.response_streaming):
            return await proceed(request)
        stream = asyncio.timeout_at(self._ends_at)
        self._open.add(stream)
        try:
            return await _bounded(proceed(request), stream, ShuttingDown)
        finally:
            self._open.discard(stream)


class Validation(Interceptor):
    """Checks each incoming message against the rules in the protos before a handler sees it."""

    async def serve(self, rpc: Rpc, request: Any, proceed: Proceed) -> Any:
        if rpc.request_streaming:
            return await proceed(_each_checked(request))
        check(request)
        return await proceed(request)


def check(message: Message) -> None:
    """Raises InvalidRequest with a violation for each rule of its proto that the message breaks."""
    if found := protovalidate.collect_violations(message):
        raise InvalidRequest(violations=[_violation(each) for each in found])


async def _each_checked(messages: AsyncIterator[Message]) -> AsyncIterator[Message]:
    async for message in messages:
        check(message)
        yield message


def _violation(found: protovalidate.Violation) -> FieldViolation:
    proto = found.proto
    return FieldViolation(_field_path(proto), proto.message, proto.rule_id)


def _field_path(violation: protovalidate.ViolationPb) -> str:
    """The path as a client writes it: `policy.filters[0].matcher`."""
    elements = violation.field.elements if violation.field else []
    return ".".join(
        element.field_name if element.subscript is None else f"{element.field_name}[{element.subscript.value}]"
        for element in elements
    )


async def _bounded(work: Awaitable[Any], bound: asyncio.Timeout, error: Callable[[], Exception]) -> Any:
    """Awaits the work within the bound, and tells that bound's expiry from a TimeoutError of the work itself."""
    try:
        async with bound:
            return await work
    except TimeoutError:
        if bound.expired():
            raise error() from None
        raise


async def _abort(rpc: Rpc, error: Exception) -> None:
    status = to_status(error)
    await rpc.context.abort(
        _CODES[status.code],
        status.message,
        (
            (STATUS_METADATA_KEY, status.SerializeToString()),
            (rpc_context.REQUEST_ID_HEADER, rpc_context.current_request_id() or ""),
        ),
    )


_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


def _kind_set(rpc: Rpc) -> Kind:
    code: Any = rpc.context.code()  # a number, whatever the stubs say
    return Kind(_CODES[code].name)


def _log_access(rpc: Rpc, kind: Kind | None, reason: str | None, elapsed_s: float) -> None:
    level = "debug" if rpc.method.startswith(_QUIET) else "info"
    level = _LEVELS.get(kind, level) if kind else level
    fields = {"reason": reason} if reason else {}
    getattr(log, level)("rpc finished", code=kind.value if kind else "OK", elapsed_s=round(elapsed_s, 4), **fields)


def _request_id(rpc: Rpc) -> str:
    given = dict(rpc.context.invocation_metadata() or ()).get(rpc_context.REQUEST_ID_HEADER)
    if isinstance(given, str) and _REQUEST_ID.fullmatch(given):
        return given
    return uuid.uuid4().hex
