"""Channels to other services: they pass on the request id and what is left of the deadline."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc

from service_kit.context import REQUEST_ID_HEADER, current_request_id, remaining_s
from service_kit.tls import ClientTls

_Call = TypeVar("_Call", bound=grpc.aio.Call)

# Left of the caller's deadline for ourselves, to answer in words before it passes.
DEADLINE_MARGIN_S: Final = 0.1

_KEEPALIVE_TIME_MS: Final = 30_000  # a dead peer is noticed within 40 s, also behind NATs that drop idle connections
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
# A peer that is back must not seem away for longer than callers repeat their calls; gRPC's own bound is 120 s.
_MAX_RECONNECT_BACKOFF_MS: Final = 1_000

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
        return _PassingOn(grpc.aio.insecure_channel(target, options=OPTIONS))
    return _PassingOn(grpc.aio.secure_channel(target, tls.credentials(), options=OPTIONS))


@contextmanager
def open_call(call: _Call) -> Iterator[_Call]:
    """Cancels a streaming call when the block ends, unless it has ended by itself.

    A stream that is merely no longer read stays open, and a cancellation that hits its reader early can be lost in
    gRPC: the server would work on for nobody.
    """
    try:
        yield call
    finally:
        call.cancel()


class _PassingOn(grpc.aio.Channel):
    """Adds request id and deadline to each call of another channel.

    Not by interceptors: gRPC wants a class of those for each kind of call, and hands out other call objects with them.
    """

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel

    def unary_unary(self, *args: Any, **options: Any) -> Any:
        return _passing_on(self._channel.unary_unary(*args, **options))

    def unary_stream(self, *args: Any, **options: Any) -> Any:
        return _passing_on(self._channel.unary_stream(*args, **options))

    def stream_unary(self, *args: Any, **options: Any) -> Any:
        return _passing_on(self._channel.stream_unary(*args, **options))

    def stream_stream(self, *args: Any, **options: Any) -> Any:
        return _passing_on(self._channel.stream_stream(*args, **options))

    async def close(self, grace: float | None = None) -> None:
        await self._channel.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.channel_ready()

    async def __aenter__(self) -> Self:
        await self._channel.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> bool | None:
        return await self._channel.__aexit__(exc_type, exc_val, exc_tb)


def _passing_on(method: Callable[..., Any]) -> Callable[..., Any]:
    def start(*requests: Any, timeout: float | None = None, metadata: Any = None, **options: Any) -> Any:
        return method(*requests, timeout=_timeout(timeout), metadata=_metadata(metadata), **options)

    return start


def _timeout(asked: float | None) -> float | None:
    """What was asked, cut to what remains of the rpc being served."""
    remaining = remaining_s()
    if remaining is None:
        return asked
    bound = max(0.0, remaining - DEADLINE_MARGIN_S)
    return bound if asked is None else min(asked, bound)


def _metadata(given: Any) -> grpc.aio.Metadata:
    metadata = grpc.aio.Metadata(*(given or ()))
    request_id = current_request_id()
    if request_id is not None and metadata.get(REQUEST_ID_HEADER) is None:
        metadata.add(REQUEST_ID_HEADER, request_id)
    return metadata
