"""Between protobuf and triggers."""

from typing import Final, assert_never

from policy_svc.convert.parts import duration, timedelta_from_pb
from policy_svc.domain.schedule import DEFAULT_ZONE
from policy_svc.domain.trigger import EventTrigger, ManualTrigger, MissedRuns, ScheduledTrigger, Trigger
from transship.policy.v1 import policy_pb2 as pb

_MISSED_RUNS: Final = {
    MissedRuns.SKIP: pb.ScheduledTrigger.MISSED_RUNS_SKIP,
    MissedRuns.RUN_ONCE: pb.ScheduledTrigger.MISSED_RUNS_RUN_ONCE,
}
_MISSED_RUNS_FROM_PB: Final = {value: key for key, value in _MISSED_RUNS.items()}


def trigger_from_pb(trigger: pb.Trigger) -> Trigger:
    match trigger.WhichOneof("kind"):
        case "scheduled":
            return scheduled_from_pb(trigger.scheduled)
        case "event":
            return EventTrigger()
        case _:
            return ManualTrigger()


def trigger_to_pb(trigger: Trigger) -> pb.Trigger:
    match trigger:
        case ScheduledTrigger():
            return pb.Trigger(scheduled=_scheduled_to_pb(trigger))
        case EventTrigger():
            return pb.Trigger(event=pb.EventTrigger())
        case ManualTrigger():
            return pb.Trigger(manual=pb.ManualTrigger())
        case _:
            assert_never(trigger)


def scheduled_from_pb(trigger: pb.ScheduledTrigger) -> ScheduledTrigger:
    return ScheduledTrigger(
        cron=trigger.cron,
        time_zone=trigger.time_zone or DEFAULT_ZONE,
        jitter=timedelta_from_pb(trigger.jitter),
        missed_runs=_MISSED_RUNS_FROM_PB.get(trigger.missed_runs, MissedRuns.SKIP),
    )


def _scheduled_to_pb(trigger: ScheduledTrigger) -> pb.ScheduledTrigger:
    return pb.ScheduledTrigger(
        cron=trigger.cron,
        time_zone=trigger.time_zone,
        jitter=duration(trigger.jitter) if trigger.jitter else None,
        missed_runs=_MISSED_RUNS[trigger.missed_runs],
    )
