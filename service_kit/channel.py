"""Channels to other services: they pass on the request id and what is left of the deadline."""

import json
from typing import Any, Final

import grpc

from service_kit.context import REQUEST_ID_HEADER, current_request_id, remaining_s
from service_kit.tls import ClientTls

# Left of the caller's deadline for ourselves, to answer in words before it passes.
DEADLINE_MARGIN_S: Final = 0.1

_KEEPALIVE_TIME_MS: Final = 30_000  # a dead peer is noticed within 40 s, also behind NATs that drop idle connections
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
_MAX_RECONNECT_BACKOFF_MS: Final = 5_000  # gRPC's own 120 s is longer than a restart of the peer by far

OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.keepalive_time_ms", _KEEPALIVE_TIME_MS),
    ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", _MAX_RECONNECT_BACKOFF_MS),
    # A name with several addresses is several replicas: spread the calls.
    ("grpc.service_config", json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})),
]


def open_channel(target: str, tls: ClientTls | None = None) -> grpc.aio.Channel:
    """A channel to `host:port`; use it with `async with`. It connects at the first call and reconnects by itself."""
    if tls is None:
        return grpc.aio.insecure_channel(target, options=OPTIONS, interceptors=_interceptors())
    return grpc.aio.secure_channel(target, tls.credentials(), options=OPTIONS, interceptors=_interceptors())


def _details(details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
    """The call with the request id added and its timeout cut to what remains of the rpc being served."""
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    request_id = current_request_id()
    if request_id is not None and metadata.get(REQUEST_ID_HEADER) is None:
        metadata.add(REQUEST_ID_HEADER, request_id)
    return grpc.aio.ClientCallDetails(
        method=details.method,
        timeout=_timeout(details.timeout),
        metadata=metadata,
        credentials=details.credentials,
        wait_for_ready=details.wait_for_ready,
    )


def _timeout(asked: float | None) -> float | None:
    remaining = remaining_s()
    if remaining is None:
        return asked
    bound = max(0.0, remaining - DEADLINE_MARGIN_S)
    return bound if asked is None else min(asked, bound)


# gRPC sorts an interceptor under one kind of call only, hence four classes. None of them awaits the call itself, so
# that cancelling the caller cancels the call.
class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    async def intercept_unary_unary(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_details(client_call_details), request)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    async def intercept_unary_stream(self, continuation: Any, client_call_details: Any, request: Any) -> Any:
        return await continuation(_details(client_call_details), request)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    async def intercept_stream_unary(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_details(client_call_details), request_iterator)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    async def intercept_stream_stream(self, continuation: Any, client_call_details: Any, request_iterator: Any) -> Any:
        return await continuation(_details(client_call_details), request_iterator)


def _interceptors() -> list[grpc.aio.ClientInterceptor]:
    return [_UnaryUnary(), _UnaryStream(), _StreamUnary(), _StreamStream()]
