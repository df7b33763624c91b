"""The registry service, as policies need it."""

from typing import Final

import grpc

from policy_svc.domain.errors import REGISTRY_NOT_FOUND
from replication.filters import Dimension
from service_kit.errors import ServiceError
from service_kit.status import remote_errors
from transship.registry.v1 import registry_pb2 as pb
from transship.registry.v1.registry_pb2_grpc import RegistryServiceStub
from transship.type.v1.filter_pb2 import Filter

CALL_TIMEOUT_S: Final = 10.0  # reads of one row; who waits longer waits for a service that is not well

_DIMENSIONS: Final = {
    Filter.DIMENSION_NAME: Dimension.NAME,
    Filter.DIMENSION_TAG: Dimension.TAG,
    Filter.DIMENSION_LABEL: Dimension.LABEL,
    Filter.DIMENSION_RESOURCE_TYPE: Dimension.RESOURCE_TYPE,
}


class GrpcRegistryGateway:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._registries = RegistryServiceStub(channel)

    async def find(self, name: str) -> str | None:
        try:
            async with remote_errors("registry"):
                found = await self._registries.GetRegistry(pb.GetRegistryRequest(name=name), timeout=CALL_TIMEOUT_S)
        except ServiceError as error:
            if error.reason == REGISTRY_NOT_FOUND:
                return None
            raise
        return found.name

    async def filter_dimensions(self, name: str) -> frozenset[Dimension]:
        request = pb.GetRegistryInfoRequest(name=name)
        async with remote_errors("registry"):
            info = await self._registries.GetRegistryInfo(request, timeout=CALL_TIMEOUT_S)
        # Dimensions of a newer registry service mean nothing here, and no policy asks for them.
        return frozenset(_DIMENSIONS[each] for each in info.filter_dimensions if each in _DIMENSIONS)
