"""The three registry services over loopback gRPC and a real PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from registry_svc.adapters.table import AdapterTable
from registry_svc.gateways import GrpcPolicyGateway
from registry_svc.postgres import PostgresRegistryStore
from registry_svc.service.catalog import AccessDesk, Catalog
from registry_svc.service.registries import Registries
from registry_svc.service.sessions import Connector, Sessions
from registry_svc.servicer import AccessServicer, CatalogServicer, RegistryServicer
from service_kit.channel import open_channel
from service_kit.clock import SystemClock
from service_kit.database import open_pool
from service_kit.errors import ServiceError
from service_kit.status import remote_errors
from service_kit.testing import served
from tests.unit.registry_svc.registry_fakes import a_vault
from transship.policy.v1 import policy_pb2, policy_pb2_grpc
from transship.registry.v1 import (
    access_pb2_grpc,
    catalog_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
)

NOBODY = "127.0.0.1:1"  # where no service listens


@dataclass(frozen=True)
class Services:
    """Stubs of the three services."""

    registries: "registry_pb2_grpc.RegistryServiceAsyncStub"
    catalog: "catalog_pb2_grpc.CatalogServiceAsyncStub"
    access: "access_pb2_grpc.AccessServiceAsyncStub"

    async def create(self, url: str, *, username: str = "", password: str = "", **fields: Any) -> registry_pb2.Registry:
        """A registry `registries/hub`, tried before it is stored unless `skip_check` is given."""
        skip_check = fields.pop("skip_check", False)
        registry = registry_pb2.Registry(**{"type": "docker-registry", "url": url, **fields})
        if username:
            registry.credential.username, registry.credential.password = username, password
        request = registry_pb2.CreateRegistryRequest(registry_id="hub", registry=registry, skip_check=skip_check)
        return await self.registries.CreateRegistry(request)


class PolicyServicer(policy_pb2_grpc.PolicyServiceServicer):
    """A policy service with so many policies for every registry."""

    def __init__(self, count: int) -> None:
        self._count = count

    async def ListPolicies(self, request: policy_pb2.ListPoliciesRequest, context: Any) -> Any:
        policies = [policy_pb2.Policy(name=f"policies/p{number}") for number in range(self._count)]
        return policy_pb2.ListPoliciesResponse(policies=policies[: request.page_size])


@asynccontextmanager
async def registry_services(database_url: str, *, policies: int | None = 0) -> AsyncIterator[Services]:
    """`policies` use every registry; None for a policy service that is down."""
    async with AsyncExitStack() as stack:
        store = PostgresRegistryStore(await stack.enter_async_context(open_pool(database_url, schema="registry")))
        vault, adapters = a_vault(), AdapterTable()
        connector = Connector(adapters, vault)
        sessions = Sessions(connector)
        stack.push_async_callback(sessions.aclose)
        gateway = GrpcPolicyGateway(await _policy_channel(stack, policies))
        registries = Registries(store=store, connector=connector, vault=vault, policies=gateway, clock=SystemClock())
        parts: list[tuple[Any, Any]] = [
            (registry_pb2_grpc.add_RegistryServiceServicer_to_server, RegistryServicer(registries, adapters)),
            (catalog_pb2_grpc.add_CatalogServiceServicer_to_server, CatalogServicer(Catalog(store, sessions))),
            (access_pb2_grpc.add_AccessServiceServicer_to_server, AccessServicer(AccessDesk(store, sessions))),
        ]
        channels = [await stack.enter_async_context(served(add, servicer)) for add, servicer in parts]
        yield Services(
            registry_pb2_grpc.RegistryServiceStub(channels[0]),
            catalog_pb2_grpc.CatalogServiceStub(channels[1]),
            access_pb2_grpc.AccessServiceStub(channels[2]),
        )


async def _policy_channel(stack: AsyncExitStack, policies: int | None) -> grpc.aio.Channel:
    if policies is None:
        return await stack.enter_async_context(open_channel(NOBODY))
    serving = served(policy_pb2_grpc.add_PolicyServiceServicer_to_server, PolicyServicer(policies))  # type: ignore[abstract]  # asked to list only
    return await stack.enter_async_context(serving)


async def refusal(call: Any) -> ServiceError:
    """The error that the call ends with, as a client of ours sees it."""
    try:
        async with remote_errors():
            if hasattr(call, "__aiter__"):
                async for _ in call:
                    pass
            else:
                await call
    except ServiceError as error:
        return error
    raise AssertionError("the call succeeded")


def fields(error: ServiceError) -> list[str]:
    return [violation.field for violation in error.violations]
