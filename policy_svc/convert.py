"""Between protobuf and the values of policies."""

from dataclasses import asdict
from datetime import datetime
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from policy_svc.domain.policy import Destination, Policy, PolicySpec, TransferOptions
from replication.filters import Action, Dimension, FilterRule
from replication.matchers import MATCHERS
from service_kit.errors import FieldViolation, InvalidPageToken, InvalidRequest
from service_kit.interceptors import check
from service_kit.masks import check_mask
from service_kit.paging import PageToken
from transship.policy.v1 import policy_pb2 as pb
from transship.type.v1 import transfer_pb2
from transship.type.v1.filter_pb2 import Filter

MAX_PAGE_BYTES: Final = 3 * 1024 * 1024  # clients refuse messages over 4 MiB; one policy has at most about 1 MiB

MUTABLE: Final = frozenset(
    {"description", "source_registry", "destinations", "filters", "override", "disabled", "trigger", "options"}
)

_DIMENSIONS: Final = {
    Dimension.NAME: Filter.DIMENSION_NAME,
    Dimension.TAG: Filter.DIMENSION_TAG,
    Dimension.LABEL: Filter.DIMENSION_LABEL,
    Dimension.RESOURCE_TYPE: Filter.DIMENSION_RESOURCE_TYPE,
}
_DIMENSIONS_FROM_PB: Final = {value: key for key, value in _DIMENSIONS.items()}
_ACTIONS: Final = {Action.INCLUDE: Filter.ACTION_INCLUDE, Action.EXCLUDE: Filter.ACTION_EXCLUDE}


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


def spec_from_pb(policy: pb.Policy) -> PolicySpec:
    return PolicySpec(
        description=policy.description,
        source_registry=policy.source_registry,
        destinations=tuple(_destination_from_pb(each) for each in policy.destinations),
        filters=tuple(_rule_from_pb(each) for each in policy.filters),
        override=policy.override,
        disabled=policy.disabled,
        options=_options_from_pb(policy.options),
    )


def spec_to_pb(spec: PolicySpec, *, name: str = "") -> pb.Policy:
    return pb.Policy(
        name=name,
        description=spec.description,
        source_registry=spec.source_registry,
        destinations=[
            pb.Destination(registry=each.registry, namespace=each.namespace, repository=each.repository)
            for each in spec.destinations
        ],
        filters=[_rule_to_pb(each) for each in spec.filters],
        override=spec.override,
        disabled=spec.disabled,
        trigger=pb.Trigger(manual=pb.ManualTrigger()),
        options=transfer_pb2.TransferOptions(**asdict(spec.options)),
    )


def policy_to_pb(policy: Policy) -> pb.Policy:
    message = spec_to_pb(policy.spec, name=policy.name)
    message.uid = policy.uid
    message.etag = policy.etag
    message.create_time.CopyFrom(_timestamp(policy.create_time))
    message.update_time.CopyFrom(_timestamp(policy.update_time))
    return message


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


def _destination_from_pb(destination: pb.Destination) -> Destination:
    mapping = destination.WhichOneof("mapping")
    return Destination(
        registry=destination.registry,
        namespace=destination.namespace if mapping == "namespace" else None,
        repository=destination.repository if mapping == "repository" else None,
    )


def _rule_from_pb(rule: Filter) -> FilterRule:
    action = Action.EXCLUDE if rule.action == Filter.ACTION_EXCLUDE else Action.INCLUDE
    kind = rule.WhichOneof("matcher") or "glob"
    return FilterRule(
        dimension=_DIMENSIONS_FROM_PB[rule.dimension], action=action, matcher=MATCHERS[kind](getattr(rule, kind))
    )


def _rule_to_pb(rule: FilterRule) -> Filter:
    message = Filter(dimension=_DIMENSIONS[rule.dimension], action=_ACTIONS[rule.action])
    setattr(message, rule.matcher.kind, rule.matcher.text)
    return message


def _options_from_pb(options: transfer_pb2.TransferOptions) -> TransferOptions:
    return TransferOptions(
        platforms=tuple(options.platforms),
        referrers=options.referrers,
        referrer_types=tuple(options.referrer_types),
        foreign_layers=options.foreign_layers,
        max_bytes_per_second=options.max_bytes_per_second,
    )


def _timestamp(moment: datetime) -> Timestamp:
    timestamp = Timestamp()
    timestamp.FromDatetime(moment)
    return timestamp
