"""A gRPC server as every service of ours runs it: health, reflection, rich errors, and a drain that ends in time."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped]

from service_kit.interceptors import AccessLog, Deadlines, Errors, RequestContext, StreamDrain, Validation
from service_kit.tls import ServerTls

MAX_MESSAGE_BYTES: Final = 4 * 1024 * 1024
STREAM_GRACE_S: Final = 2.0  # streams are reopened by their clients; a call with one answer has the whole grace

_Servicer = TypeVar("_Servicer")

_OPTIONS: Final[list[tuple[str, Any]]] = [
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A supervisor may keep the port reserved with a socket of its own while a service restarts.
    ("grpc.so_reuseport", 1),
    # Allow the keepalive pings of channel.py; without this the server hangs up with ENHANCE_YOUR_CALM.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
]


class GrpcServer:
    """Serves the servicers added to it on one port.

    `listen` is `host:port`; port 0 takes a free one, and `address` says which after `start`.
    """

    def __init__(self, listen: str, tls: ServerTls | None = None) -> None:
        self._listen = listen
        self._tls = tls
        self._streams = StreamDrain()
        self._health = health.aio.HealthServicer()
        self._services = [health.SERVICE_NAME, reflection.SERVICE_NAME]
        self.port = 0
        self._server = grpc.aio.server(
            options=_OPTIONS,
            interceptors=[  # outermost first
                RequestContext(),
                Errors(),
                AccessLog(),
                Deadlines(),
                self._streams,
                Validation(),
            ],
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)

    def add(self, add_fn: Callable[[_Servicer, Any], None], servicer: _Servicer, service_name: str) -> None:
        """Adds a servicer by the `add_..._to_server` of its stubs, under its full name `package.Service`."""
        add_fn(servicer, self._server)
        self._services.append(service_name)

    async def start(self) -> None:
        """Binds the port and serves; from here on each service is healthy.

        Raises:
            OSError: the address cannot be bound.
        """
        reflection.enable_server_reflection(self._services, self._server)
        self.port = self._bound()
        await self._server.start()
        for service in self._services:
            await self._health.set(service, health_pb2.HealthCheckResponse.SERVING)

    @property
    def address(self) -> str:
        """`host:port` as bound."""
        return f"{self._listen.rpartition(':')[0]}:{self.port}"

    async def drain(self, grace_s: float) -> None:
        """Stops: unhealthy first, then no new calls, open streams are ended, running calls have the grace to finish."""
        await self._health.enter_graceful_shutdown()
        self._streams.end_streams(min(STREAM_GRACE_S, grace_s))
        await self._server.stop(grace_s)

    def _bound(self) -> int:
        try:
            if self._tls is None:
                return self._server.add_insecure_port(self._listen)
            return self._server.add_secure_port(self._listen, self._tls.credentials())
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._listen}") from error
