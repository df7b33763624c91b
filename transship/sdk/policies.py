"""Policies, as a client sees them, and the parts that they are made of."""

import re
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, TypedDict, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from transship.policy.v1 import policy_pb2 as pb
from transship.sdk.calls import Calls
from transship.sdk.names import policy_name, registry_name
from transship.type.v1.filter_pb2 import Filter
from transship.type.v1.transfer_pb2 import TransferOptions

if TYPE_CHECKING:  # A name for type checkers only.
    from transship.policy.v1.policy_pb2_grpc import PolicyServiceAsyncStub

_GLOB_CHARACTERS: Final = re.compile(r"([*?\[\]{}\\])")


class PolicyChanges(TypedDict, total=False):
    """What can be changed of a policy; destinations, filters and options are given as a whole."""

    description: str
    source_registry: str
    destinations: Sequence[pb.Destination]
    filters: Sequence[Filter]
    override: bool
    disabled: bool
    trigger: pb.Trigger
    options: TransferOptions


class Policies:
    """What is replicated from where to where. A name may be the id, the uid or the full name."""

    def __init__(self, stub: "PolicyServiceAsyncStub") -> None:
        self._stub = stub
        self._calls = Calls("policy_svc")

    async def create(
        self,
        policy_id: str,
        *,
        source_registry: str,
        destinations: Sequence[pb.Destination],
        filters: Sequence[Filter] = (),
        override: bool = False,
        disabled: bool = False,
        options: TransferOptions | None = None,
        description: str = "",
        validate_only: bool = False,
    ) -> pb.Policy:
        """Creates a policy; with validate_only it is checked and completed, but not stored."""
        policy = pb.Policy(
            source_registry=registry_name(source_registry),
            destinations=destinations,
            filters=filters,
            override=override,
            disabled=disabled,
            options=options,
            description=description,
        )
        request = pb.CreatePolicyRequest(policy_id=policy_id, policy=policy, validate_only=validate_only)
        return await self._calls.once(self._stub.CreatePolicy, request)

    async def get(self, name: str) -> pb.Policy:
        return await self._calls.repeatable(self._stub.GetPolicy, pb.GetPolicyRequest(name=policy_name(name)))

    async def list(self, *, registry: str = "") -> AsyncIterator[pb.Policy]:
        """In the order of their names; with a registry, those that read from it or write to it."""
        request = pb.ListPoliciesRequest(registry=registry and registry_name(registry))
        async for page in self._calls.pages(self._stub.ListPolicies, request):
            for policy in page.policies:
                yield policy

    async def update(self, name: str, *, etag: str = "", **changes: Unpack[PolicyChanges]) -> pb.Policy:
        """Changes what is given and nothing else; with an etag, only if nobody else has changed it since."""
        policy = pb.Policy(name=policy_name(name), etag=etag, **changes)
        if "source_registry" in changes:
            policy.source_registry = registry_name(changes["source_registry"])
        request = pb.UpdatePolicyRequest(policy=policy, update_mask=FieldMask(paths=sorted(changes)))
        return await self._calls.once(self._stub.UpdatePolicy, request)

    async def delete(self, name: str) -> None:
        await self._calls.once(self._stub.DeletePolicy, pb.DeletePolicyRequest(name=policy_name(name)))


def destination(registry: str, *, namespace: str | None = None, repository: str | None = None) -> pb.Destination:
    """A destination: repositories below the namespace, or all in the one repository, or named as at the source."""
    return pb.Destination(registry=registry_name(registry), namespace=namespace, repository=repository)


def name_filter(glob: str, *, exclude: bool = False) -> Filter:
    """Picks repositories, or leaves them out, by a glob such as `library/**`."""
    return _filter(Filter.DIMENSION_NAME, glob, exclude=exclude)


def tag_filter(glob: str, *, exclude: bool = False) -> Filter:
    """Picks tags, or leaves them out, by a glob such as `1.2*`."""
    return _filter(Filter.DIMENSION_TAG, glob, exclude=exclude)


def literal(text: str) -> str:
    """The glob that matches this text and no other."""
    return _GLOB_CHARACTERS.sub(r"\\\1", text)


def _filter(dimension: Filter.Dimension, glob: str, *, exclude: bool) -> Filter:
    action = Filter.ACTION_EXCLUDE if exclude else Filter.ACTION_INCLUDE
    return Filter(dimension=dimension, action=action, glob=glob)
