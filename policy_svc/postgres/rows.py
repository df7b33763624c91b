"""Between policies and the rows of their table: durations are seconds, and what is unset is null."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypeVar, assert_never

from psycopg.types.json import Jsonb

from policy_svc.domain.policy import (
    Deletion,
    Destination,
    Overlap,
    Policy,
    PolicySpec,
    Prune,
    Retention,
    TimeWindow,
    TransferOptions,
)
from policy_svc.domain.trigger import EventTrigger, ManualTrigger, MissedRuns, NextRun, ScheduledTrigger, Trigger
from replication.filters import Action, Dimension, FilterRule
from replication.matchers import MATCHERS
from replication.newest import Newest, Order
from replication.rewriting import RegexRewrite

_Document = dict[str, Any]
_Value = TypeVar("_Value")


def parameters(policy: Policy) -> dict[str, Any]:
    spec, next_run = policy.spec, policy.next_run
    return {
        "uid": policy.uid,
        "id": policy.id,
        "description": spec.description,
        "source_registry": spec.source_registry,
        "destinations": Jsonb([asdict(each) for each in spec.destinations]),
        "filters": Jsonb([_rule_document(each) for each in spec.filters]),
        "newest": _optional(_newest_document, spec.newest),
        "registries": sorted(spec.registries),
        "override": spec.override,
        "backup_tag": spec.backup_tag,
        "disabled": spec.disabled,
        "trigger": Jsonb(_trigger_document(spec.trigger)),
        "options": Jsonb(asdict(spec.options)),
        "deletion": _optional(_deletion_document, spec.deletion),
        "overlap": spec.overlap,
        "max_parallel_tasks": spec.max_parallel_tasks,
        "windows": Jsonb([asdict(each) for each in spec.windows]),
        "retention": _optional(_retention_document, spec.retention),
        "revision": policy.revision,
        "create_time": policy.create_time,
        "update_time": policy.update_time,
        "fire_time": next_run.fire_time if next_run else None,
        "next_run_time": next_run.run_time if next_run else None,
    }


def to_policy(
    *,
    uid: str,
    id: str,  # noqa: A002  (the column's name)
    revision: int,
    create_time: datetime,
    update_time: datetime,
    fire_time: datetime | None,
    next_run_time: datetime | None,
    **spec: Any,
) -> Policy:
    return Policy(
        id=id,
        uid=uid,
        spec=_to_spec(**spec),
        revision=revision,
        create_time=create_time,
        update_time=update_time,
        next_run=NextRun(fire_time=fire_time, run_time=next_run_time) if fire_time and next_run_time else None,
    )


def _to_spec(
    *,
    destinations: list[_Document],
    filters: list[_Document],
    newest: _Document | None,
    trigger: _Document,
    options: _Document,
    deletion: _Document | None,
    overlap: str,
    windows: list[_Document],
    retention: _Document | None,
    **rest: Any,
) -> PolicySpec:
    return PolicySpec(
        destinations=tuple(_to_destination(**each) for each in destinations),
        filters=tuple(_to_rule(**each) for each in filters),
        newest=_to_newest(**newest) if newest else None,
        trigger=to_trigger(**trigger),
        options=_to_options(**options),
        deletion=_to_deletion(**deletion) if deletion else None,
        overlap=Overlap(overlap),
        windows=tuple(_to_window(**each) for each in windows),
        retention=_to_retention(**retention) if retention else None,
        **rest,
    )


def _optional(document_of: Callable[[_Value], _Document], value: _Value | None) -> Jsonb | None:
    return None if value is None else Jsonb(document_of(value))


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _timedelta(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _to_destination(*, rewrite: _Document | None, **rest: Any) -> Destination:
    return Destination(rewrite=RegexRewrite(**rewrite) if rewrite else None, **rest)


def _rule_document(rule: FilterRule) -> _Document:
    return {"dimension": rule.dimension, "action": rule.action, rule.matcher.kind: rule.matcher.text}


def _to_rule(*, dimension: str, action: str, **matcher: str) -> FilterRule:
    ((kind, text),) = matcher.items()
    return FilterRule(dimension=Dimension(dimension), action=Action(action), matcher=MATCHERS[kind](text))


def _newest_document(newest: Newest) -> _Document:
    return {
        "order": newest.order,
        "count": newest.count,
        "max_age_s": _seconds(newest.max_age),
        "min_count": newest.min_count,
    }


def _to_newest(*, order: str, max_age_s: float | None, **rest: Any) -> Newest:
    return Newest(order=Order(order), max_age=_timedelta(max_age_s), **rest)


def _trigger_document(trigger: Trigger) -> _Document:
    match trigger:
        case ManualTrigger():
            return {"kind": "manual"}
        case EventTrigger():
            return {"kind": "event"}
        case ScheduledTrigger():
            return {
                "kind": "scheduled",
                "cron": trigger.cron,
                "time_zone": trigger.time_zone,
                "jitter_s": _seconds(trigger.jitter),
                "missed_runs": trigger.missed_runs,
            }
        case _:
            assert_never(trigger)


def to_trigger(*, kind: str, **rest: Any) -> Trigger:
    match kind:
        case "manual":
            return ManualTrigger()
        case "event":
            return EventTrigger()
        case _:
            return _to_scheduled(**rest)


def _to_scheduled(*, jitter_s: float, missed_runs: str, **rest: Any) -> ScheduledTrigger:
    return ScheduledTrigger(jitter=timedelta(seconds=jitter_s), missed_runs=MissedRuns(missed_runs), **rest)


def _to_options(*, platforms: list[str], referrer_types: list[str], **rest: Any) -> TransferOptions:
    return TransferOptions(platforms=tuple(platforms), referrer_types=tuple(referrer_types), **rest)


def _deletion_document(deletion: Deletion) -> _Document:
    prune = deletion.prune and {
        "max_percent": deletion.prune.max_percent,
        "max_tags": deletion.prune.max_tags,
        "grace_period_s": _seconds(deletion.prune.grace_period),
    }
    return {"on_event": deletion.on_event, "prune": prune}


def _to_deletion(*, on_event: bool, prune: _Document | None) -> Deletion:
    return Deletion(on_event=on_event, prune=_to_prune(**prune) if prune else None)


def _to_prune(*, grace_period_s: float, **rest: Any) -> Prune:
    return Prune(grace_period=timedelta(seconds=grace_period_s), **rest)


def _to_window(*, days: list[int], **rest: Any) -> TimeWindow:
    return TimeWindow(days=tuple(days), **rest)


def _retention_document(retention: Retention) -> _Document:
    return {"max_count": retention.max_count, "max_age_s": _seconds(retention.max_age)}


def _to_retention(*, max_count: int, max_age_s: float | None) -> Retention:
    return Retention(max_count=max_count, max_age=_timedelta(max_age_s))
