"""What this service asks of others."""

from collections.abc import Sequence
from typing import Final

import grpc

from service_kit.status import remote_errors
from transship.policy.v1 import policy_pb2, policy_pb2_grpc

LIST_TIMEOUT_S: Final = 10.0  # a caller waits for the answer; a policy service that is down is told at once


class GrpcPolicyGateway:
    """Asks the policy service."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._policies = policy_pb2_grpc.PolicyServiceStub(channel)

    async def policies_with(self, registry: str, *, limit: int) -> Sequence[str]:
        """Names of policies that have the registry as source or destination. Raises ServiceUnavailable."""
        request = policy_pb2.ListPoliciesRequest(registry=registry, page_size=limit)
        async with remote_errors("policy"):
            response = await self._policies.ListPolicies(request, timeout=LIST_TIMEOUT_S)
        return [policy.name for policy in response.policies]
