"""A policy as the keywords that the SDK takes."""

from typing import Any

from transship.policy.v1.policy_pb2 import Policy


def fields_of(policy: Policy) -> dict[str, Any]:
    """What is set of a policy, as keywords of the SDK."""
    return {field.name: value for field, value in policy.ListFields()}


def value_of(policy: Policy, name: str) -> Any:
    """A field as a keyword of the SDK; None for a part that the policy does not have."""
    is_part = policy.DESCRIPTOR.fields_by_name[name].has_presence
    return None if is_part and not policy.HasField(name) else getattr(policy, name)
