"""The services beside the policy service, as small working ones, and what is asked of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

from google.protobuf.field_mask_pb2 import FieldMask

from service_kit.errors import DOMAIN, Kind, RemoteError
from transship.policy.v1 import policy_pb2 as pb
from transship.registry.v1 import catalog_pb2, registry_pb2
from transship.registry.v1.catalog_pb2_grpc import CatalogServiceServicer
from transship.registry.v1.registry_pb2_grpc import RegistryServiceServicer
from transship.type.v1.filter_pb2 import Filter

BACKUP_UID = "0b8f6a52-6f3a-4b0e-9a53-0a3d1c0f6a11"
_NAMES = {"registries/hub": "hub", "registries/backup": "backup", f"registries/{BACKUP_UID}": "backup"}


class Catalog(CatalogServiceServicer):
    """Has what it is told to have, and remembers what it was asked."""

    def __init__(self) -> None:
        self.batches: list[catalog_pb2.ListResourcesResponse] = []
        self.asked: list[catalog_pb2.ListResourcesRequest] = []

    async def ListResources(
        self, request: catalog_pb2.ListResourcesRequest, context: object
    ) -> AsyncIterator[catalog_pb2.ListResourcesResponse]:
        self.asked.append(request)
        for batch in self.batches:
            yield batch


class Registries(RegistryServiceServicer):
    """Two registries; the hub cannot be filtered by tag."""

    async def GetRegistry(self, request: registry_pb2.GetRegistryRequest, context: object) -> registry_pb2.Registry:
        if request.name not in _NAMES:
            raise RemoteError.of(Kind.NOT_FOUND, reason="REGISTRY_NOT_FOUND", domain=DOMAIN, message="no such registry")
        name = _NAMES[request.name]
        return registry_pb2.Registry(name=f"registries/{name}", url=f"https://{name}.example")

    async def GetRegistryInfo(
        self, request: registry_pb2.GetRegistryInfoRequest, context: object
    ) -> registry_pb2.RegistryInfo:
        tag = [] if request.name == "registries/hub" else [Filter.DIMENSION_TAG]
        dimensions = [Filter.DIMENSION_NAME, Filter.DIMENSION_LABEL, *tag]
        return registry_pb2.RegistryInfo(filter_dimensions=dimensions, max_path_components=3)


def a_policy(**fields: object) -> pb.Policy:
    policy = pb.Policy(source_registry="registries/hub", destinations=[pb.Destination(registry="registries/backup")])
    changed = pb.Policy(**fields)  # type: ignore[arg-type]  # any fields of it
    for field, _ in changed.ListFields():
        policy.ClearField(field.name)
    policy.MergeFrom(changed)
    return policy


def create(policy: pb.Policy, policy_id: str = "nightly", *, validate_only: bool = False) -> pb.CreatePolicyRequest:
    return pb.CreatePolicyRequest(policy_id=policy_id, policy=policy, validate_only=validate_only)


def update(policy: pb.Policy, *paths: str) -> pb.UpdatePolicyRequest:
    return pb.UpdatePolicyRequest(policy=policy, update_mask=FieldMask(paths=paths))


def a_filter(glob: str, *, exclude: bool = False) -> Filter:
    action = Filter.ACTION_EXCLUDE if exclude else Filter.ACTION_UNSPECIFIED
    return Filter(dimension=Filter.DIMENSION_NAME, glob=glob, action=action)
