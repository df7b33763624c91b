"""policy_svc."""

from typing import Final

import grpc

from execution_svc import convert
from execution_svc.domain.policy import Policy
from service_kit.status import remote_errors
from transship.policy.v1 import policy_pb2 as pb
from transship.policy.v1 import policy_pb2_grpc

CALL_TIMEOUT_S: Final = 10.0

_SERVICE: Final = "policy_svc"


class RemotePolicies:
    """Policies as policy_svc keeps them. Its errors pass through to our caller."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub: policy_pb2_grpc.PolicyServiceAsyncStub = policy_pb2_grpc.PolicyServiceStub(channel)

    async def get(self, name: str) -> Policy:
        async with remote_errors(_SERVICE):
            policy = await self._stub.GetPolicy(pb.GetPolicyRequest(name=name), timeout=CALL_TIMEOUT_S)
        return convert.policy_from_pb(policy)

    async def checked(self, policy: Policy) -> Policy:
        """The policy with its defaults, not stored; raises as CreatePolicy does."""
        request = pb.CreatePolicyRequest(policy=convert.policy_to_pb(policy), validate_only=True)
        async with remote_errors(_SERVICE):
            checked = await self._stub.CreatePolicy(request, timeout=CALL_TIMEOUT_S)
        checked.ClearField("name")
        return convert.policy_from_pb(checked)
