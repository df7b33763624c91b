"""What the job service asks of registry_svc: access to registries, and the deletion of tags."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Literal

import grpc

from service_kit.secret import Secret
from service_kit.status import remote_errors
from transship.registry.v1 import access_pb2, access_pb2_grpc, catalog_pb2, catalog_pb2_grpc

CALL_TIMEOUT_S: Final = 60.0  # registry_svc asks token services and registries, and repeats what fails there

Action = Literal["pull", "push", "delete"]


class AccessKind(StrEnum):
    """What kind of Authorization value it is."""

    NONE = "none"
    BEARER = "bearer"
    BASIC = "basic"  # the registry offers nothing short-lived: this is as good as the password


_KINDS: Final = {
    access_pb2.IssueAccessResponse.KIND_UNSPECIFIED: AccessKind.NONE,
    access_pb2.IssueAccessResponse.KIND_BEARER: AccessKind.BEARER,
    access_pb2.IssueAccessResponse.KIND_BASIC: AccessKind.BASIC,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryScope:
    """What is to be done in one repository."""

    repository: str
    actions: frozenset[Action]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The way to a registry. The authorization stays in memory; it expires never when `expires_at` is None.

    All workers together read and write at most `max_bytes_per_second`, each way; 0 for no limit.
    """

    url: str
    insecure: bool
    ca_certificate: str
    kind: AccessKind
    authorization: Secret
    expires_at: datetime | None
    registry_uid: str
    type: str
    max_bytes_per_second: int


class RegistryGateway:
    """registry_svc over gRPC. Errors are the ServiceErrors that it raised."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._access = access_pb2_grpc.AccessServiceStub(channel)
        self._catalog = catalog_pb2_grpc.CatalogServiceStub(channel)

    async def issue_access(self, registry: str, scopes: Sequence[RepositoryScope], rejected: str = "") -> Access:
        """Access for just these scopes; `rejected` is a value that the registry has answered 401 to."""
        request = access_pb2.IssueAccessRequest(
            registry=registry, scopes=[_scope_to_pb(scope) for scope in scopes], rejected_authorization=rejected
        )
        async with remote_errors("registry_svc"):
            return _access_from_pb(await self._access.IssueAccess(request, timeout=CALL_TIMEOUT_S))

    async def delete_tag(self, registry: str, repository: str, tag: str, *, along: Collection[str]) -> None:
        """Deletes a tag, and nothing that another one needs which is not to go `along`."""
        request = catalog_pb2.DeleteTagRequest(registry=registry, repository=repository, tag=tag, along=along)
        async with remote_errors("registry_svc"):
            await self._catalog.DeleteTag(request, timeout=CALL_TIMEOUT_S)


def _scope_to_pb(scope: RepositoryScope) -> access_pb2.RepositoryScope:
    return access_pb2.RepositoryScope(
        repository=scope.repository, actions=[f"ACTION_{action.upper()}" for action in sorted(scope.actions)]
    )


def _access_from_pb(access: access_pb2.IssueAccessResponse) -> Access:
    return Access(
        url=access.url,
        insecure=access.insecure,
        ca_certificate=access.ca_certificate,
        kind=_KINDS[access.kind],
        authorization=Secret(access.authorization),
        expires_at=access.expire_time.ToDatetime(tzinfo=UTC) if access.HasField("expire_time") else None,
        registry_uid=access.registry_uid,
        type=access.type,
        max_bytes_per_second=access.max_bytes_per_second,
    )
