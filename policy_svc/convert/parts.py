"""Between protobuf and the parts of a policy that are about its destinations and its runs."""

from datetime import datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from policy_svc.domain.policy import Deletion, Destination, Prune, Retention, TimeWindow
from policy_svc.domain.schedule import DEFAULT_ZONE
from replication.rewriting import RegexRewrite
from transship.policy.v1 import policy_pb2 as pb

_MAX_SECONDS: Final = int(timedelta.max.total_seconds()) - 1


def destination_from_pb(destination: pb.Destination) -> Destination:
    rewrite = destination.rewrite
    return Destination(
        registry=destination.registry,
        namespace=destination.namespace,
        replace_count=destination.replace_count if destination.HasField("replace_count") else None,
        repository=destination.repository,
        template=destination.template,
        rewrite=RegexRewrite(regex=rewrite.regex, replacement=rewrite.replacement)
        if destination.HasField("rewrite")
        else None,
        tag=destination.tag,
    )


def destination_to_pb(destination: Destination) -> pb.Destination:
    message = pb.Destination(
        registry=destination.registry, replace_count=destination.replace_count, tag=destination.tag
    )
    if destination.namespace:
        message.namespace = destination.namespace
    elif destination.repository:
        message.repository = destination.repository
    elif destination.template:
        message.template = destination.template
    elif destination.rewrite:
        message.rewrite.regex = destination.rewrite.regex
        message.rewrite.replacement = destination.rewrite.replacement
    return message


def deletion_from_pb(deletion: pb.Deletion) -> Deletion:
    prune = Prune(
        max_percent=deletion.prune.max_percent,
        max_tags=deletion.prune.max_tags,
        grace_period=timedelta_from_pb(deletion.prune.grace_period),
    )
    return Deletion(on_event=deletion.on_event, prune=prune if deletion.HasField("prune") else None)


def deletion_to_pb(deletion: Deletion) -> pb.Deletion:
    message = pb.Deletion(on_event=deletion.on_event)
    if prune := deletion.prune:
        message.prune.max_percent = prune.max_percent
        message.prune.max_tags = prune.max_tags
        message.prune.SetInParent()
        if prune.grace_period:
            message.prune.grace_period.FromTimedelta(prune.grace_period)
    return message


def window_from_pb(window: pb.TimeWindow) -> TimeWindow:
    return TimeWindow(
        start=window.start,
        end=window.end,
        days=tuple(map(int, window.days)),  # google.type.DayOfWeek counts as we do
        time_zone=window.time_zone or DEFAULT_ZONE,
    )


def window_to_pb(window: TimeWindow) -> pb.TimeWindow:
    return pb.TimeWindow(start=window.start, end=window.end, days=window.days, time_zone=window.time_zone)


def retention_from_pb(retention: pb.Retention) -> Retention:
    max_age = timedelta_from_pb(retention.max_age) if retention.HasField("max_age") else None
    return Retention(max_count=retention.max_count, max_age=max_age)


def retention_to_pb(retention: Retention) -> pb.Retention:
    return pb.Retention(max_count=retention.max_count, max_age=duration(retention.max_age))


def timedelta_from_pb(message: Duration) -> timedelta:
    """The duration; for one that no timedelta can hold, the longest there is."""
    return timedelta(seconds=min(message.seconds, _MAX_SECONDS), microseconds=message.nanos // 1000)


def duration(length: timedelta | None) -> Duration | None:
    if length is None:
        return None
    message = Duration()
    message.FromTimedelta(length)
    return message


def timestamp(moment: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(moment)
    return message
