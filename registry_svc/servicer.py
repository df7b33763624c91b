"""The edge: protobuf in, one call, protobuf out."""

# ruff: noqa: ARG002 - gRPC hands every method a request and a context, needed or not

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.protobuf.empty_pb2 import Empty

from registry_svc import convert
from registry_svc.adapters.table import AdapterTable
from registry_svc.service.catalog import AccessDesk, Catalog
from registry_svc.service.registries import Registries
from service_kit.paging import PageToken, page_size
from transship.registry.v1 import (
    access_pb2,
    access_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
)


class RegistryServicer(registry_pb2_grpc.RegistryServiceServicer):
    """Speaks protobuf for the registries."""

    def __init__(self, registries: Registries, adapters: AdapterTable) -> None:
        self._registries = registries
        self._adapters = adapters

    async def CreateRegistry(self, request: registry_pb2.CreateRegistryRequest, context: Any) -> registry_pb2.Registry:
        draft = convert.draft_from_pb(request.registry, registry_id=request.registry_id)
        return convert.registry_to_pb(await self._registries.create(draft, skip_check=request.skip_check))

    async def GetRegistry(self, request: registry_pb2.GetRegistryRequest, context: Any) -> registry_pb2.Registry:
        return convert.registry_to_pb(await self._registries.get(convert.key_from_name(request.name)))

    async def ListRegistries(
        self, request: registry_pb2.ListRegistriesRequest, context: Any
    ) -> registry_pb2.ListRegistriesResponse:
        size = page_size(request.page_size)
        found = await self._registries.page(type_=request.type, after=convert.page_start(request), limit=size + 1)
        more = len(found) > size
        return registry_pb2.ListRegistriesResponse(
            registries=[convert.registry_to_pb(registry) for registry in found[:size]],
            next_page_token=PageToken((found[size - 1].id,)).encode(request.type) if more else "",
        )

    async def UpdateRegistry(self, request: registry_pb2.UpdateRegistryRequest, context: Any) -> registry_pb2.Registry:
        key, change = convert.key_from_update(request), convert.change_from_pb(request)
        updated = await self._registries.update(key, change, etag=request.registry.etag, skip_check=request.skip_check)
        return convert.registry_to_pb(updated)

    async def DeleteRegistry(self, request: registry_pb2.DeleteRegistryRequest, context: Any) -> Empty:
        await self._registries.delete(convert.key_from_name(request.name))
        return Empty()

    async def PingRegistry(
        self, request: registry_pb2.PingRegistryRequest, context: Any
    ) -> registry_pb2.PingRegistryResponse:
        if request.WhichOneof("target") == "registry":
            elapsed_s = await self._registries.ping_draft(convert.draft_from_pb(request.registry))
        else:
            elapsed_s = await self._registries.ping(convert.key_from_name(request.name))
        return registry_pb2.PingRegistryResponse(elapsed_ms=round(elapsed_s * 1000))

    async def GetRegistryInfo(
        self, request: registry_pb2.GetRegistryInfoRequest, context: Any
    ) -> registry_pb2.RegistryInfo:
        return convert.info_to_pb(*await self._registries.info(convert.key_from_name(request.name)))

    async def ListAdapters(
        self, request: registry_pb2.ListAdaptersRequest, context: Any
    ) -> registry_pb2.ListAdaptersResponse:
        return registry_pb2.ListAdaptersResponse(adapters=map(convert.adapter_to_pb, self._adapters.list()))


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """Speaks protobuf for the contents of registries."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def ListResources(
        self, request: catalog_pb2.ListResourcesRequest, context: Any
    ) -> AsyncIterator[catalog_pb2.ListResourcesResponse]:
        query = convert.query_from_pb(request)
        key = convert.key_from_name(request.registry)
        async with aclosing(self._catalog.list_artifacts(key, query)) as listings:
            async for listing in listings:
                yield convert.listing_to_pb(listing)

    async def PrepareRepositories(
        self, request: catalog_pb2.PrepareRepositoriesRequest, context: Any
    ) -> catalog_pb2.PrepareRepositoriesResponse:
        repositories = [
            convert.repository_from_pb(name, field=f"repositories[{index}]")
            for index, name in enumerate(request.repositories)
        ]
        preparation = await self._catalog.prepare(
            convert.key_from_name(request.registry),
            repositories,
            public=request.public,
            validate_only=request.validate_only,
        )
        return convert.preparation_to_pb(preparation)

    async def DeleteTag(self, request: catalog_pb2.DeleteTagRequest, context: Any) -> Empty:
        repository = convert.repository_from_pb(request.repository, field="repository")
        key = convert.key_from_name(request.registry)
        await self._catalog.delete_tag(key, repository, request.tag, along=request.along)
        return Empty()


class AccessServicer(access_pb2_grpc.AccessServiceServicer):
    """Speaks protobuf for access to registries."""

    def __init__(self, access: AccessDesk) -> None:
        self._access = access

    async def IssueAccess(self, request: access_pb2.IssueAccessRequest, context: Any) -> access_pb2.IssueAccessResponse:
        scopes = convert.scopes_from_pb(request.scopes)
        rejected = request.rejected_authorization
        registry, access = await self._access.issue(convert.key_from_name(request.registry), scopes, rejected=rejected)
        return convert.access_to_pb(registry, access)
