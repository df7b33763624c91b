"""The other services, as policies need them."""

from policy_svc.gateways.catalog import GrpcCatalogGateway
from policy_svc.gateways.executions import GrpcExecutionGateway
from policy_svc.gateways.registries import GrpcRegistryGateway

__all__ = ["GrpcCatalogGateway", "GrpcExecutionGateway", "GrpcRegistryGateway"]
