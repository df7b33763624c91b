"""The gateway to registry_svc, over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty

from jobservice.gateways import AccessKind, RegistryGateway, RepositoryScope
from service_kit.channel import open_channel
from service_kit.errors import PermissionDenied
from service_kit.server import GrpcServer
from transship.registry.v1 import access_pb2, access_pb2_grpc, catalog_pb2, catalog_pb2_grpc

EXPIRES = datetime(2026, 1, 1, tzinfo=UTC)


class Registries(access_pb2_grpc.AccessServiceServicer, catalog_pb2_grpc.CatalogServiceServicer):
    """Hands out one token, and has no tags."""

    def __init__(self) -> None:
        self.asked: list[access_pb2.IssueAccessRequest] = []

    async def IssueAccess(self, request: access_pb2.IssueAccessRequest, context: Any) -> access_pb2.IssueAccessResponse:
        self.asked.append(request)
        response = access_pb2.IssueAccessResponse(
            url="https://r",
            kind="KIND_BEARER",
            authorization="Bearer t",
            registry_uid="uid",
            type="harbor",
            max_bytes_per_second=2**40,
        )
        if request.scopes:
            response.expire_time.FromDatetime(EXPIRES)
        return response

    async def DeleteTag(self, request: catalog_pb2.DeleteTagRequest, context: Any) -> Empty:
        raise PermissionDenied(tag=request.tag)

    def ListResources(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def PrepareRepositories(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


@pytest.fixture
def registries() -> Registries:
    return Registries()


@pytest.fixture
async def gateway(registries: Registries) -> AsyncIterator[RegistryGateway]:
    server = GrpcServer("127.0.0.1:0")
    server.add(access_pb2_grpc.add_AccessServiceServicer_to_server, registries, "transship.registry.v1.AccessService")
    server.add(
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server, registries, "transship.registry.v1.CatalogService"
    )
    await server.start()
    async with open_channel(server.address) as channel:
        yield RegistryGateway(channel)
    await server.drain(0)


async def test_access_for_just_these_scopes(gateway: RegistryGateway, registries: Registries) -> None:
    scope = RepositoryScope(repository="library/nginx", actions=frozenset({"push", "pull"}))
    access = await gateway.issue_access("registries/r", [scope], rejected="Bearer old")

    assert (access.kind, access.authorization.reveal(), access.expires_at) == (AccessKind.BEARER, "Bearer t", EXPIRES)
    assert access.max_bytes_per_second == 2**40
    assert "Bearer t" not in repr(access)
    [asked] = registries.asked
    assert asked.rejected_authorization == "Bearer old"
    assert list(asked.scopes[0].actions) == [1, 2]


async def test_access_that_never_expires(gateway: RegistryGateway) -> None:
    assert (await gateway.issue_access("registries/r", [])).expires_at is None


async def test_an_error_keeps_its_reason(gateway: RegistryGateway) -> None:
    with pytest.raises(PermissionDenied) as caught:
        await gateway.delete_tag("registries/r", "library/nginx", "1", along=["2"])
    assert caught.value.metadata == {"tag": "1"}
