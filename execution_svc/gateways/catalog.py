"""registry_svc: what registries have, and how they want to be written to."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import grpc

from execution_svc import convert
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Preparation, Resource, ResourceBatch
from replication.mapping import PathRule
from service_kit.status import remote_errors
from transship.registry.v1 import catalog_pb2, catalog_pb2_grpc, registry_pb2, registry_pb2_grpc

CALL_TIMEOUT_S: Final = 10.0
PREPARE_TIMEOUT_S: Final = 300.0  # a thousand projects are created one by one

# Docker Hub decides for each repository, and a plain registry for nothing.
_TYPES_WITH_PROJECTS: Final = frozenset({"harbor"})

_SERVICE: Final = "registry_svc"


class RemoteCatalog:
    """The contents of the registries."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._registries: registry_pb2_grpc.RegistryServiceAsyncStub = registry_pb2_grpc.RegistryServiceStub(channel)
        self._catalog: catalog_pb2_grpc.CatalogServiceAsyncStub = catalog_pb2_grpc.CatalogServiceStub(channel)

    async def list_resources(
        self, policy: Policy, within: Sequence[Resource] = ()
    ) -> AsyncGenerator[ResourceBatch, None]:
        """Batch by batch: gRPC's flow control holds the listing back while a batch is being worked on."""
        message = convert.policy_to_pb(policy)
        request = catalog_pb2.ListResourcesRequest(
            registry=policy.source_registry,
            filters=message.filters,
            newest=message.newest if message.HasField("newest") else None,
            within=map(convert.resource_to_pb, within),
        )
        async with aclosing(self._list(request)) as batches:
            async for batch in batches:
                yield batch

    async def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncGenerator[ResourceBatch, None]:
        request = catalog_pb2.ListResourcesRequest(registry=registry, within=map(convert.resource_to_pb, within))
        async with aclosing(self._list(request)) as batches:
            async for batch in batches:
                yield batch

    async def _list(self, request: catalog_pb2.ListResourcesRequest) -> AsyncGenerator[ResourceBatch, None]:
        call = self._catalog.ListResources(request)
        try:
            async with remote_errors(_SERVICE):
                async for response in call:
                    yield convert.batch_from_pb(response)
        finally:
            call.cancel()  # when nobody wants the rest; without effect at its end

    async def path_rule(self, registry: str) -> PathRule:
        request = registry_pb2.GetRegistryInfoRequest(name=registry)
        async with remote_errors(_SERVICE):
            info = await self._registries.GetRegistryInfo(request, timeout=CALL_TIMEOUT_S)
        return PathRule(min_components=info.min_path_components or 1, max_components=info.max_path_components)

    async def has_projects(self, registry: str) -> bool:
        request = registry_pb2.GetRegistryInfoRequest(name=registry)
        async with remote_errors(_SERVICE):
            info = await self._registries.GetRegistryInfo(request, timeout=CALL_TIMEOUT_S)
        return info.type in _TYPES_WITH_PROJECTS

    async def prepare(self, registry: str, repositories: Sequence[str], *, public: bool) -> Preparation:
        return await self._prepare(registry, repositories, public=public, validate_only=False)

    async def preview(self, registry: str, repositories: Sequence[str]) -> Preparation:
        """What preparing them would come to; nothing is created."""
        return await self._prepare(registry, repositories, public=False, validate_only=True)

    async def _prepare(
        self, registry: str, repositories: Sequence[str], *, public: bool, validate_only: bool
    ) -> Preparation:
        request = catalog_pb2.PrepareRepositoriesRequest(
            registry=registry, repositories=repositories, public=public, validate_only=validate_only
        )
        async with remote_errors(_SERVICE):
            response = await self._catalog.PrepareRepositories(request, timeout=PREPARE_TIMEOUT_S)
        return convert.preparation_from_pb(response)
