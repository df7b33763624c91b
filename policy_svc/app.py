"""Wires the policy service."""

from contextlib import AsyncExitStack
from typing import Final

from policy_svc.config import PolicyConfig
from policy_svc.gateways import GrpcRegistryGateway
from policy_svc.postgres import PostgresPolicyStore
from policy_svc.service import PolicyService
from policy_svc.servicer import PolicyServicer
from service_kit.channel import open_channel
from service_kit.clock import SystemClock
from service_kit.database import open_pool
from service_kit.server import GrpcServer
from transship.policy.v1.policy_pb2 import DESCRIPTOR
from transship.policy.v1.policy_pb2_grpc import add_PolicyServiceServicer_to_server

SCHEMA: Final = "policy"


async def app(config: PolicyConfig, stack: AsyncExitStack) -> GrpcServer:
    """The server, not yet started, with all it needs open on the stack."""
    pool = await stack.enter_async_context(
        open_pool(config.database_url.get_secret_value(), schema=SCHEMA, max_size=config.database_pool_size)
    )
    channel = await stack.enter_async_context(open_channel(config.registry_target, config.client_tls()))
    policies = PolicyService(PostgresPolicyStore(pool), GrpcRegistryGateway(channel), SystemClock())
    server = GrpcServer(config.listen, config.server_tls())
    service_name = DESCRIPTOR.services_by_name["PolicyService"].full_name
    server.add(add_PolicyServiceServicer_to_server, PolicyServicer(policies), service_name)
    return server
