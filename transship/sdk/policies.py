"""Policies, as a client sees them."""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from google.protobuf.field_mask_pb2 import FieldMask

from transship.policy.v1 import policy_pb2 as pb
from transship.sdk.calls import Calls
from transship.sdk.names import policy_name, registry_name
from transship.type.v1.filter_pb2 import Filter, Newest
from transship.type.v1.transfer_pb2 import TransferOptions

if TYPE_CHECKING:  # A name for type checkers only.
    from transship.policy.v1.policy_pb2_grpc import PolicyServiceAsyncStub


class PolicyChanges(TypedDict, total=False):
    """What can be said of a policy, and changed of it; what consists of parts is given as a whole."""

    description: str
    source_registry: str
    destinations: Sequence[pb.Destination]
    filters: Sequence[Filter]
    newest: Newest | None
    override: bool
    backup_tag: str
    disabled: bool
    trigger: pb.Trigger | None
    options: TransferOptions | None
    deletion: pb.Deletion | None
    overlap: pb.Policy.Overlap
    max_parallel_tasks: int
    windows: Sequence[pb.TimeWindow]
    retention: pb.Retention | None


class Policies:
    """What is replicated from where to where. A name may be the id, the uid or the full name."""

    def __init__(self, stub: "PolicyServiceAsyncStub") -> None:
        self._stub = stub
        self._calls = Calls("policy_svc")

    async def create(
        self, policy_id: str, *, validate_only: bool = False, **fields: Unpack[PolicyChanges]
    ) -> pb.Policy:
        """Creates a policy of a source_registry, destinations and what else is given.

        With validate_only it is checked and completed, but not stored; then it needs no id.
        """
        request = pb.CreatePolicyRequest(policy_id=policy_id, policy=_policy(fields), validate_only=validate_only)
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
        """Changes what is given and nothing else; with an etag, only if nobody else has changed it since.

        An empty list or text, and None in the place of a message, takes away what there was; a trigger of None is
        manual.
        """
        policy = _policy(changes, name=policy_name(name), etag=etag)
        request = pb.UpdatePolicyRequest(policy=policy, update_mask=FieldMask(paths=sorted(changes)))
        return await self._calls.once(self._stub.UpdatePolicy, request)

    async def delete(self, name: str) -> None:
        await self._calls.once(self._stub.DeletePolicy, pb.DeletePolicyRequest(name=policy_name(name)))

    async def test(
        self,
        policy: str | pb.Policy,
        *,
        candidates: Sequence[tuple[str, str]] = (),
        include_rejected: bool = False,
    ) -> AsyncIterator[pb.TestPolicyResponse]:
        """What a stored policy, or another one, picks of its source, and with include_rejected, what not and why.

        With candidates, (repository, tag) each, these are tried instead and the source is not asked.
        """
        request = pb.TestPolicyRequest(include_rejected=include_rejected)
        if isinstance(policy, str):
            request.policy = policy_name(policy)
        else:
            request.inline_policy.CopyFrom(policy)
        for repository, tag in candidates:
            request.candidates.add(repository=repository, tag=tag)
        async for answer in self._calls.stream(self._stub.TestPolicy(request)):
            yield answer

    async def preview_schedule(
        self, schedule: str | pb.ScheduledTrigger, *, count: int = 0
    ) -> pb.PreviewScheduleResponse:
        """When a policy, or a schedule that is not stored, runs next."""
        request = (
            pb.PreviewScheduleRequest(policy=policy_name(schedule), count=count)
            if isinstance(schedule, str)
            else pb.PreviewScheduleRequest(schedule=schedule, count=count)
        )
        return await self._calls.repeatable(self._stub.PreviewSchedule, request)


def _policy(fields: PolicyChanges, **beside: Any) -> pb.Policy:
    policy = pb.Policy(**fields, **beside)
    if policy.source_registry:
        policy.source_registry = registry_name(policy.source_registry)
    return policy
