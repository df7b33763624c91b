"""The policy service over gRPC, with PostgreSQL below and small services beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from policy_svc.gateways import GrpcCatalogGateway, GrpcRegistryGateway
from policy_svc.postgres import PostgresPolicyStore
from policy_svc.service import PolicyService
from policy_svc.servicer import PolicyServicer
from policy_svc.trials import Trials
from service_kit.clock import SystemClock
from service_kit.database import Pool, open_pool
from service_kit.testing import served
from tests.integration.policy_svc.policy_peers import Catalog, Registries
from tests.postgres import Database
from transship.policy.v1.policy_pb2_grpc import PolicyServiceStub, add_PolicyServiceServicer_to_server
from transship.registry.v1.catalog_pb2_grpc import add_CatalogServiceServicer_to_server
from transship.registry.v1.registry_pb2_grpc import add_RegistryServiceServicer_to_server

if TYPE_CHECKING:  # it is in the stubs only
    from transship.policy.v1.policy_pb2_grpc import PolicyServiceAsyncStub


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("policy_svc"), schema="policy") as pool:
        yield pool


@pytest.fixture
def catalog() -> Catalog:
    return Catalog()  # type: ignore[abstract]  # the other methods answer UNIMPLEMENTED


@pytest.fixture
async def stub(pool: Pool, catalog: Catalog) -> AsyncIterator[PolicyServiceAsyncStub]:
    fake = Registries()  # type: ignore[abstract]  # the other methods answer UNIMPLEMENTED
    async with (
        served(add_RegistryServiceServicer_to_server, fake) as registry_channel,
        served(add_CatalogServiceServicer_to_server, catalog) as catalog_channel,
    ):
        registries, clock = GrpcRegistryGateway(registry_channel), SystemClock()
        policies = PolicyService(PostgresPolicyStore(pool), registries, clock)
        trials = Trials(policies, registries, GrpcCatalogGateway(catalog_channel), clock)
        async with served(add_PolicyServiceServicer_to_server, PolicyServicer(policies, trials)) as channel:
            yield PolicyServiceStub(channel)
