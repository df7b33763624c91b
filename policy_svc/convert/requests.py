"""Between protobuf and what is asked of policies: names, changes and pages."""

from typing import Final

from policy_svc.convert.policies import policy_to_pb, spec_from_pb, spec_to_pb
from policy_svc.domain.policy import Policy, PolicySpec
from service_kit.errors import FieldViolation, InvalidPageToken, InvalidRequest
from service_kit.interceptors import check
from service_kit.masks import check_mask
from service_kit.paging import PageToken
from transship.policy.v1 import policy_pb2 as pb

MAX_PAGE_BYTES: Final = 3 * 1024 * 1024  # clients refuse messages over 4 MiB; one policy has at most about 1 MiB

MUTABLE: Final = frozenset(
    {
        "description",
        "source_registry",
        "destinations",
        "filters",
        "newest",
        "override",
        "backup_tag",
        "disabled",
        "trigger",
        "options",
        "deletion",
        "overlap",
        "max_parallel_tasks",
        "windows",
        "retention",
    }
)


def key_from_name(name: str) -> str:
    """The id or uid in a name that the proto's rules have passed."""
    return name.removeprefix("policies/")


def update_from_pb(request: pb.UpdatePolicyRequest) -> tuple[str, "Change"]:
    """The key of the policy and what to change of it.

    Raises:
        InvalidRequest: the policy is not named.
        UnknownFieldInMask: the mask names a field that may not be changed.
    """
    try:
        check(pb.GetPolicyRequest(name=request.policy.name))
    except InvalidRequest as error:  # the rules of the request skip its policy, whose name is needed all the same
        raise InvalidRequest(violations=[_below("policy", each) for each in error.violations]) from error
    paths = check_mask(request.update_mask, request.policy, mutable=MUTABLE)
    return key_from_name(request.policy.name), Change(request.policy, paths)


class Change:
    """The masked fields of a policy, to be put into the present one."""

    def __init__(self, policy: pb.Policy, paths: frozenset[str]) -> None:
        self._policy = policy
        self._paths = paths

    def __call__(self, spec: PolicySpec) -> PolicySpec:
        """Raises InvalidRequest when the result breaks the rules in the proto."""
        merged = spec_to_pb(spec)
        for path in self._paths:
            merged.ClearField(path)
        merged.MergeFrom(self._masked())
        check(pb.CreatePolicyRequest(policy=merged))
        return spec_from_pb(merged)

    def _masked(self) -> pb.Policy:
        masked = pb.Policy()
        masked.CopyFrom(self._policy)
        for field, _ in self._policy.ListFields():
            if field.name not in self._paths:
                masked.ClearField(field.name)
        return masked


def _below(field: str, violation: FieldViolation) -> FieldViolation:
    return FieldViolation(f"{field}.{violation.field}", violation.description, violation.reason)


def cursor_from_pb(request: pb.ListPoliciesRequest) -> str:
    """The id after which the page begins; empty for the first page.

    Raises:
        InvalidPageToken: the token is not one of this list's.
    """
    token = PageToken.decode(request.page_token, request.registry)
    if token is None:
        return ""
    match token.cursor:
        case (str(after),) if after and after.isprintable():
            return after
        case _:
            raise InvalidPageToken


def page_to_pb(policies: list[Policy], *, size: int, registry: str) -> pb.ListPoliciesResponse:
    """A page of at most `size`; there is a next page when the policies do not all fit."""
    page = pb.ListPoliciesResponse()
    room = MAX_PAGE_BYTES
    for policy in policies[:size]:
        message = policy_to_pb(policy)
        room -= message.ByteSize()
        if room < 0 and page.policies:
            break
        page.policies.append(message)
    if len(page.policies) < len(policies):
        page.next_page_token = PageToken((policies[len(page.policies) - 1].id,)).encode(registry)
    return page
