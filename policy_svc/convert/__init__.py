"""Between protobuf and the values of policies."""

from policy_svc.convert.parts import timestamp
from policy_svc.convert.policies import policy_to_pb, spec_from_pb, spec_to_pb
from policy_svc.convert.requests import Change, cursor_from_pb, key_from_name, page_to_pb, update_from_pb
from policy_svc.convert.trials import candidates_from_pb, subject_from_pb, trial_to_pb
from policy_svc.convert.triggers import scheduled_from_pb

__all__ = [
    "Change",
    "candidates_from_pb",
    "cursor_from_pb",
    "key_from_name",
    "page_to_pb",
    "policy_to_pb",
    "scheduled_from_pb",
    "spec_from_pb",
    "spec_to_pb",
    "subject_from_pb",
    "timestamp",
    "trial_to_pb",
    "update_from_pb",
]
