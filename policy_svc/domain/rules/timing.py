"""Triggers and time windows."""

from collections.abc import Iterator

from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.registry import RegistryInfo
from policy_svc.domain.schedule import CronInvalid, ZoneUnknown, find_zone
from policy_svc.domain.trigger import EventTrigger, ScheduledTrigger
from service_kit.errors import FieldViolation


def trigger_mistakes(spec: PolicySpec, *, fast_schedules: bool) -> Iterator[FieldViolation]:
    if isinstance(spec.trigger, ScheduledTrigger):
        yield from schedule_mistakes(spec.trigger, "policy.trigger.scheduled", fast_schedules=fast_schedules)


def schedule_mistakes(trigger: ScheduledTrigger, field: str, *, fast_schedules: bool) -> Iterator[FieldViolation]:
    try:
        schedule = trigger.schedule()
    except ZoneUnknown as unknown:
        yield FieldViolation(f"{field}.time_zone", str(unknown), "ZONE_UNKNOWN")
        return
    except CronInvalid as invalid:
        yield FieldViolation(f"{field}.cron", str(invalid), "CRON_INVALID")
        return
    if not fast_schedules and schedule.runs_every_minute():
        description = "runs twice within a minute; leave two minutes between runs, as in */5 * * * *"
        yield FieldViolation(f"{field}.cron", description, "SCHEDULE_TOO_FREQUENT")
    if trigger.jitter > (gap := schedule.shortest_gap()):
        description = (
            f"is more than the {gap.total_seconds():.0f} s between two runs, so that one would overtake the other; "
            "make it shorter"
        )
        yield FieldViolation(f"{field}.jitter", description, "JITTER_TOO_LONG")


def window_mistakes(spec: PolicySpec) -> Iterator[FieldViolation]:
    for index, window in enumerate(spec.windows):
        try:
            find_zone(window.time_zone)
        except ZoneUnknown as unknown:
            yield FieldViolation(f"policy.windows[{index}].time_zone", str(unknown), "ZONE_UNKNOWN")


def unsupported_trigger(spec: PolicySpec, info: RegistryInfo) -> Iterator[FieldViolation]:
    if isinstance(spec.trigger, EventTrigger) and not info.sends_events:
        description = f"{spec.source_registry} sends no events; use a schedule"
        yield FieldViolation("policy.trigger.event", description, "EVENTS_UNSUPPORTED")
