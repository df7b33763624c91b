"""Registries, as a client sees them."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, TypedDict, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from transship.registry.v1 import registry_pb2 as pb
from transship.sdk.calls import CHANGE_TIMEOUT_S, Calls
from transship.sdk.names import registry_name

if TYPE_CHECKING:  # A name for type checkers only.
    from transship.registry.v1.registry_pb2_grpc import RegistryServiceAsyncStub


class RegistryChanges(TypedDict, total=False):
    """What can be changed of a registry; a credential of None is removed, one without a password keeps the stored."""

    description: str
    url: str
    credential: pb.Credential | None
    insecure: bool
    ca_certificate: str
    max_bytes_per_second: int


class Registries:
    """The registries that artifacts are replicated from and to. A name may be the id, the uid or the full name."""

    def __init__(self, stub: "RegistryServiceAsyncStub") -> None:
        self._stub = stub
        self._calls = Calls("registry_svc")

    async def create(
        self,
        registry_id: str,
        *,
        type: str,  # noqa: A002 - the field's name
        url: str,
        credential: pb.Credential | None = None,
        insecure: bool = False,
        ca_certificate: str = "",
        max_bytes_per_second: int = 0,
        description: str = "",
        skip_check: bool = False,
    ) -> pb.Registry:
        """Registers a registry after its endpoint and credential were tried, or untried with skip_check."""
        registry = pb.Registry(
            type=type,
            url=url,
            credential=credential,
            insecure=insecure,
            ca_certificate=ca_certificate,
            max_bytes_per_second=max_bytes_per_second,
            description=description,
        )
        request = pb.CreateRegistryRequest(registry_id=registry_id, registry=registry, skip_check=skip_check)
        return await self._calls.once(self._stub.CreateRegistry, request)

    async def get(self, name: str) -> pb.Registry:
        request = pb.GetRegistryRequest(name=registry_name(name))
        return await self._calls.repeatable(self._stub.GetRegistry, request)

    async def list(self, *, type: str = "") -> AsyncIterator[pb.Registry]:  # noqa: A002 - the field's name
        """In the order of their names; with a type, those of this adapter."""
        async for page in self._calls.pages(self._stub.ListRegistries, pb.ListRegistriesRequest(type=type)):
            for registry in page.registries:
                yield registry

    async def update(
        self, name: str, *, etag: str = "", skip_check: bool = False, **changes: Unpack[RegistryChanges]
    ) -> pb.Registry:
        """Changes what is given and nothing else; with an etag, only if nobody else has changed it since."""
        request = pb.UpdateRegistryRequest(
            registry=pb.Registry(name=registry_name(name), etag=etag, **changes),
            update_mask=FieldMask(paths=sorted(changes)),
            skip_check=skip_check,
        )
        return await self._calls.once(self._stub.UpdateRegistry, request)

    async def delete(self, name: str) -> None:
        await self._calls.once(self._stub.DeleteRegistry, pb.DeleteRegistryRequest(name=registry_name(name)))

    async def ping(self, registry: str | pb.Registry) -> pb.PingRegistryResponse:
        """Tries a stored registry, or one that is only described."""
        request = (
            pb.PingRegistryRequest(name=registry_name(registry))
            if isinstance(registry, str)
            else pb.PingRegistryRequest(registry=registry)
        )
        return await self._calls.repeatable(self._stub.PingRegistry, request, timeout_s=CHANGE_TIMEOUT_S)

    async def info(self, name: str) -> pb.RegistryInfo:
        """What the registry's adapter can do."""
        request = pb.GetRegistryInfoRequest(name=registry_name(name))
        return await self._calls.repeatable(self._stub.GetRegistryInfo, request)

    async def adapters(self) -> Sequence[pb.Adapter]:
        """The kinds of registries that there are, in the order of their types."""
        answer = await self._calls.repeatable(self._stub.ListAdapters, pb.ListAdaptersRequest())
        return answer.adapters
