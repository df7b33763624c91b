"""The client of all services."""

from pathlib import Path
from typing import Final, Self

import grpc

from service_kit.channel import OPTIONS
from service_kit.tls import ClientTls
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from transship.policy.v1.event_pb2_grpc import EventServiceStub
from transship.policy.v1.policy_pb2_grpc import PolicyServiceStub
from transship.registry.v1.registry_pb2_grpc import RegistryServiceStub
from transship.sdk.endpoints import Endpoints
from transship.sdk.events import Events, EventSources
from transship.sdk.executions import Executions
from transship.sdk.policies import Policies
from transship.sdk.registries import Registries

_LOOPBACK: Final = ("127.0.0.1:", "localhost:", "[::1]:")


class TransshipClient:
    """`registries`, `policies`, `events`, `event_sources` and `executions`.

    There is a channel for each service, which connects at its first call.

    Make it inside of a running event loop with `connect`, `from_environment` or `from_local_stack`, and use it with
    `async with`. Its methods give the messages of the protos and raise TransshipError.
    """

    def __init__(self, endpoints: Endpoints) -> None:
        registry, policy, execution = self._channels = tuple(
            _open_channel(target, endpoints.tls)
            for target in (endpoints.registry, endpoints.policy, endpoints.execution)
        )
        self.registries = Registries(RegistryServiceStub(registry))
        self.policies = Policies(PolicyServiceStub(policy))
        self.events = Events(EventServiceStub(policy))
        self.event_sources = EventSources(EventServiceStub(policy))
        self.executions = Executions(ExecutionServiceStub(execution))

    @classmethod
    def connect(cls, *, registry: str, policy: str, execution: str, tls: ClientTls | None = None) -> Self:
        """A client of the services at these host:port."""
        return cls(Endpoints(registry=registry, policy=policy, execution=execution, tls=tls))

    @classmethod
    def from_environment(cls) -> Self:
        """A client of what the environment says; see Endpoints.from_environment."""
        return cls(Endpoints.from_environment())

    @classmethod
    def from_local_stack(cls, state_dir: Path | None = None) -> Self:
        """A client of the stack on this machine. Raises StackNotRunning."""
        return cls(Endpoints.from_local_stack(state_dir))

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _open_channel(target: str, tls: ClientTls | None) -> grpc.aio.Channel:
    # An HTTP proxy of the environment does not know the way to our loopback.
    proxy = [("grpc.enable_http_proxy", 0)] if target.startswith(_LOOPBACK) else []
    if tls is None:
        return grpc.aio.insecure_channel(target, options=[*OPTIONS, *proxy])
    return grpc.aio.secure_channel(target, tls.credentials(), options=[*OPTIONS, *proxy])
