"""The registry service, as policies need it."""

from typing import Final

import grpc

from policy_svc.convert.selection import DIMENSIONS_FROM_PB
from policy_svc.domain.errors import REGISTRY_NOT_FOUND
from policy_svc.domain.registry import Registered, RegistryInfo
from replication.mapping import PathRule
from service_kit.errors import ServiceError
from service_kit.status import remote_errors
from transship.registry.v1 import registry_pb2 as pb
from transship.registry.v1.registry_pb2_grpc import RegistryServiceStub

CALL_TIMEOUT_S: Final = 10.0  # reads of one row; who waits longer waits for a service that is not well


class GrpcRegistryGateway:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._registries = RegistryServiceStub(channel)

    async def find(self, name: str) -> str | None:
        found = await self.look_up(name)
        return found.name if found else None

    async def look_up(self, name: str) -> Registered | None:
        try:
            async with remote_errors("registry"):
                found = await self._registries.GetRegistry(pb.GetRegistryRequest(name=name), timeout=CALL_TIMEOUT_S)
        except ServiceError as error:
            if error.reason == REGISTRY_NOT_FOUND:
                return None
            raise
        return Registered(name=found.name, url=found.url)

    async def info(self, name: str) -> RegistryInfo:
        request = pb.GetRegistryInfoRequest(name=name)
        async with remote_errors("registry"):
            info = await self._registries.GetRegistryInfo(request, timeout=CALL_TIMEOUT_S)
        return RegistryInfo(
            # Dimensions of a newer registry service mean nothing here, and no policy asks for them.
            filter_dimensions=frozenset(
                DIMENSIONS_FROM_PB[each] for each in info.filter_dimensions if each in DIMENSIONS_FROM_PB
            ),
            sends_events=info.sends_events,
            path_rule=PathRule(min_components=info.min_path_components or 1, max_components=info.max_path_components),
        )
