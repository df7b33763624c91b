"""Between protobuf and the values of policies."""

from policy_svc.convert.policies import policy_to_pb, spec_from_pb, spec_to_pb
from policy_svc.convert.requests import Change, cursor_from_pb, key_from_name, page_to_pb, update_from_pb

__all__ = [
    "Change",
    "cursor_from_pb",
    "key_from_name",
    "page_to_pb",
    "policy_to_pb",
    "spec_from_pb",
    "spec_to_pb",
    "update_from_pb",
]
