"""The parts that a policy is made of, in a line each: filters, destinations, triggers and the rest."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from google.protobuf.duration_pb2 import Duration

from transship.policy.v1 import policy_pb2 as pb
from transship.sdk.names import registry_name
from transship.type.v1.filter_pb2 import Filter, Newest

_GLOB_CHARACTERS: Final = re.compile(r"([*?\[\]{}\\])")


def name_filter(glob: str | None = None, *, regex: str | None = None, exclude: bool = False) -> Filter:
    """Picks repositories, or leaves them out, by a glob such as `library/**` or a regular expression."""
    return _filter(Filter.DIMENSION_NAME, exclude=exclude, glob=glob, regex=regex)


def tag_filter(
    glob: str | None = None, *, regex: str | None = None, semver: str | None = None, exclude: bool = False
) -> Filter:
    """Picks tags, or leaves them out, by a glob such as `1.2*`, a regular expression or a range such as `>=1.2 <2`."""
    return _filter(Filter.DIMENSION_TAG, exclude=exclude, glob=glob, regex=regex, semver=semver)


def label_filter(glob: str | None = None, *, regex: str | None = None, exclude: bool = False) -> Filter:
    """Picks artifacts, or leaves them out, that have a label which matches."""
    return _filter(Filter.DIMENSION_LABEL, exclude=exclude, glob=glob, regex=regex)


def type_filter(glob: str | None = None, *, regex: str | None = None, exclude: bool = False) -> Filter:
    """Picks artifacts, or leaves them out, by what they are, such as `image` or `chart`."""
    return _filter(Filter.DIMENSION_RESOURCE_TYPE, exclude=exclude, glob=glob, regex=regex)


def literal(text: str) -> str:
    """The glob that matches this text and no other."""
    return _GLOB_CHARACTERS.sub(r"\\\1", text)


def newest_versions(count: int) -> Newest:
    """Keeps this many tags of each repository, the highest semantic versions."""
    return Newest(order=Newest.ORDER_SEMVER, count=count)


def newest_created(count: int = 0, *, max_age: timedelta | None = None, min_count: int = 0) -> Newest:
    """Keeps this many tags of each repository, or those of this age, but min_count of them whatever their age."""
    return Newest(order=Newest.ORDER_CREATE_TIME, count=count, max_age=_duration(max_age), min_count=min_count)


def destination(
    registry: str,
    *,
    namespace: str | None = None,
    replace_count: int | None = None,
    repository: str | None = None,
    template: str | None = None,
    rewrite: tuple[str, str] | None = None,
    tag: str = "",
) -> pb.Destination:
    """A destination, and what repositories are called there; without a mapping, as at the source.

    The mapping is one of: `namespace`, in the place of `replace_count` components; `repository`, for a policy of a
    single one; `template`; `rewrite`, a regular expression and what it becomes. `tag` is a template of the tag.
    """
    return pb.Destination(
        registry=registry_name(registry),
        namespace=namespace,
        replace_count=replace_count,
        repository=repository,
        template=template,
        rewrite=None if rewrite is None else pb.RegexRewrite(regex=rewrite[0], replacement=rewrite[1]),
        tag=tag,
    )


def manual() -> pb.Trigger:
    """Starts when somebody does."""
    return pb.Trigger(manual=pb.ManualTrigger())


def scheduled(
    cron: str, *, time_zone: str = "", jitter: timedelta | None = None, run_missed_once: bool = False
) -> pb.Trigger:
    """Starts by a schedule; with run_missed_once, one run makes up for those that no service was there to start."""
    return pb.Trigger(scheduled=schedule(cron, time_zone=time_zone, jitter=jitter, run_missed_once=run_missed_once))


def schedule(
    cron: str, *, time_zone: str = "", jitter: timedelta | None = None, run_missed_once: bool = False
) -> pb.ScheduledTrigger:
    """What `scheduled` starts by, for `policies.preview_schedule`."""
    missed = (
        pb.ScheduledTrigger.MISSED_RUNS_RUN_ONCE if run_missed_once else pb.ScheduledTrigger.MISSED_RUNS_UNSPECIFIED
    )
    return pb.ScheduledTrigger(cron=cron, time_zone=time_zone, jitter=_duration(jitter), missed_runs=missed)


def on_event() -> pb.Trigger:
    """Starts when the source tells of a push or, with `deletion(on_event=True)`, of a deletion."""
    return pb.Trigger(event=pb.EventTrigger())


def deletion(*, on_event: bool = False, prune: pb.Prune | None = None) -> pb.Deletion:
    """Deletes at the destinations what events tell of, and what `prune` says."""
    return pb.Deletion(on_event=on_event, prune=prune)


def prune(*, max_percent: int = 0, max_tags: int = 0, grace: timedelta | None = None) -> pb.Prune:
    """Deletes what the source no longer has; at least one of the two guards is needed."""
    return pb.Prune(max_percent=max_percent, max_tags=max_tags, grace_period=_duration(grace))


def window(start: str, end: str, *, days: Sequence[str] = (), time_zone: str = "") -> pb.TimeWindow:
    """A time of the day, such as `window("22:00", "06:00")`; on days such as `MONDAY`, or on all."""
    return pb.TimeWindow(start=start, end=end, days=days, time_zone=time_zone)


def retention(*, max_count: int = 0, max_age: timedelta | None = None) -> pb.Retention:
    """Keeps at most this many ended executions of the policy, and none that is older."""
    return pb.Retention(max_count=max_count, max_age=_duration(max_age))


def _filter(dimension: Filter.Dimension, *, exclude: bool, **matchers: str | None) -> Filter:
    given: dict[str, Any] = {name: value for name, value in matchers.items() if value is not None}
    if len(given) != 1:
        raise ValueError(f"A filter matches in one way: give one of {', '.join(matchers)}.")
    action = Filter.ACTION_EXCLUDE if exclude else Filter.ACTION_INCLUDE
    return Filter(dimension=dimension, action=action, **given)


def _duration(given: timedelta | None) -> Duration | None:
    if given is None:
        return None
    duration = Duration()
    duration.FromTimedelta(given)
    return duration
