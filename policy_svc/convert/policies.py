"""Between protobuf and whole policies."""

from dataclasses import asdict
from typing import Final

from policy_svc.convert.parts import (
    deletion_from_pb,
    deletion_to_pb,
    destination_from_pb,
    destination_to_pb,
    retention_from_pb,
    retention_to_pb,
    timestamp,
    window_from_pb,
    window_to_pb,
)
from policy_svc.convert.selection import newest_from_pb, newest_to_pb, rule_from_pb, rule_to_pb
from policy_svc.convert.triggers import trigger_from_pb, trigger_to_pb
from policy_svc.domain.policy import Overlap, Policy, PolicySpec, TransferOptions
from transship.policy.v1 import policy_pb2 as pb
from transship.type.v1 import transfer_pb2

_OVERLAPS: Final = {
    Overlap.QUEUE: pb.Policy.OVERLAP_QUEUE,
    Overlap.SKIP: pb.Policy.OVERLAP_SKIP,
    Overlap.REPLACE: pb.Policy.OVERLAP_REPLACE,
}
_OVERLAPS_FROM_PB: Final = {value: key for key, value in _OVERLAPS.items()}


def spec_from_pb(policy: pb.Policy) -> PolicySpec:
    return PolicySpec(
        description=policy.description,
        source_registry=policy.source_registry,
        destinations=tuple(destination_from_pb(each) for each in policy.destinations),
        filters=tuple(rule_from_pb(each) for each in policy.filters),
        newest=newest_from_pb(policy.newest) if policy.HasField("newest") else None,
        override=policy.override,
        backup_tag=policy.backup_tag,
        disabled=policy.disabled,
        trigger=trigger_from_pb(policy.trigger),
        options=_options_from_pb(policy.options),
        deletion=deletion_from_pb(policy.deletion) if policy.HasField("deletion") else None,
        overlap=_OVERLAPS_FROM_PB.get(policy.overlap, Overlap.QUEUE),
        max_parallel_tasks=policy.max_parallel_tasks,
        windows=tuple(window_from_pb(each) for each in policy.windows),
        retention=retention_from_pb(policy.retention) if policy.HasField("retention") else None,
    )


def spec_to_pb(spec: PolicySpec, *, name: str = "") -> pb.Policy:
    return pb.Policy(
        name=name,
        description=spec.description,
        source_registry=spec.source_registry,
        destinations=[destination_to_pb(each) for each in spec.destinations],
        filters=[rule_to_pb(each) for each in spec.filters],
        newest=newest_to_pb(spec.newest) if spec.newest else None,
        override=spec.override,
        backup_tag=spec.backup_tag,
        disabled=spec.disabled,
        trigger=trigger_to_pb(spec.trigger),
        options=transfer_pb2.TransferOptions(**asdict(spec.options)),
        deletion=deletion_to_pb(spec.deletion) if spec.deletion else None,
        overlap=_OVERLAPS[spec.overlap],
        max_parallel_tasks=spec.max_parallel_tasks,
        windows=[window_to_pb(each) for each in spec.windows],
        retention=retention_to_pb(spec.retention) if spec.retention else None,
    )


def policy_to_pb(policy: Policy) -> pb.Policy:
    message = spec_to_pb(policy.spec, name=policy.name)
    message.uid = policy.uid
    message.etag = policy.etag
    message.create_time.CopyFrom(timestamp(policy.create_time))
    message.update_time.CopyFrom(timestamp(policy.update_time))
    if policy.next_run:
        message.next_run_time.CopyFrom(timestamp(policy.next_run.run_time))
    return message


def _options_from_pb(options: transfer_pb2.TransferOptions) -> TransferOptions:
    return TransferOptions(
        platforms=tuple(options.platforms),
        referrers=options.referrers,
        referrer_types=tuple(options.referrer_types),
        foreign_layers=options.foreign_layers,
        max_bytes_per_second=options.max_bytes_per_second,
    )
