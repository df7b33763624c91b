"""Puts the service together."""

import asyncio
from contextlib import AsyncExitStack

from registry_svc.adapters.table import AdapterTable, installed
from registry_svc.config import RegistryConfig
from registry_svc.gateways import GrpcPolicyGateway
from registry_svc.postgres import PostgresRegistryStore
from registry_svc.service.catalog import AccessDesk, Catalog
from registry_svc.service.health import HealthMonitor
from registry_svc.service.registries import Registries
from registry_svc.service.sessions import Connector, Sessions
from registry_svc.servicer import AccessServicer, CatalogServicer, RegistryServicer
from registry_svc.store import RegistryStore
from registry_svc.vault import KeyRing, Vault
from service_kit.channel import open_channel
from service_kit.clock import SystemClock
from service_kit.database import open_pool
from service_kit.server import GrpcServer
from service_kit.tasks import end_tasks
from transship.registry.v1 import access_pb2_grpc, catalog_pb2_grpc, registry_pb2_grpc


async def create_app(config: RegistryConfig, stack: AsyncExitStack) -> GrpcServer:
    """Opens what the service needs on the stack; the server is not yet started."""
    vault = Vault(KeyRing.read(config.credential_keys_file))
    adapters = installed()
    connector = Connector(adapters, vault)
    pool = open_pool(config.database_url.get_secret_value(), schema="registry", max_size=config.database_pool_size)
    store = PostgresRegistryStore(await stack.enter_async_context(pool))
    channel = await stack.enter_async_context(open_channel(config.policy_target, config.client_tls()))
    sessions = Sessions(connector)
    stack.push_async_callback(sessions.aclose)
    registries = Registries(
        store=store, connector=connector, vault=vault, policies=GrpcPolicyGateway(channel), clock=SystemClock()
    )
    monitor = HealthMonitor(store=store, connector=connector, clock=SystemClock(), interval_s=config.health_interval_s)
    stack.push_async_callback(end_tasks, asyncio.create_task(monitor.run(), name="health monitor"))
    return _server(config, registries, adapters, store, sessions)


def _server(
    config: RegistryConfig, registries: Registries, adapters: AdapterTable, store: RegistryStore, sessions: Sessions
) -> GrpcServer:
    server = GrpcServer(config.listen, config.server_tls())
    server.add(
        registry_pb2_grpc.add_RegistryServiceServicer_to_server,
        RegistryServicer(registries, adapters),
        service_name="transship.registry.v1.RegistryService",
    )
    server.add(
        catalog_pb2_grpc.add_CatalogServiceServicer_to_server,
        CatalogServicer(Catalog(store, sessions)),
        service_name="transship.registry.v1.CatalogService",
    )
    server.add(
        access_pb2_grpc.add_AccessServiceServicer_to_server,
        AccessServicer(AccessDesk(store, sessions)),
        service_name="transship.registry.v1.AccessService",
    )
    return server
