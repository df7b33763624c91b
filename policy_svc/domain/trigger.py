"""What starts a policy."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from policy_svc.domain.schedule import DEFAULT_ZONE, Schedule, put_off


class MissedRuns(StrEnum):
    """What becomes of runs whose time went by while nobody was there to start them."""

    SKIP = "skip"
    RUN_ONCE = "run_once"


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRun:
    """A run that is to come: when the schedule says so, and when it really starts, put off by the jitter."""

    fire_time: datetime
    run_time: datetime


@dataclass(frozen=True, slots=True)
class ManualTrigger:
    """Somebody calls StartExecution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledTrigger:
    """A schedule."""

    cron: str
    time_zone: str = DEFAULT_ZONE
    jitter: timedelta = timedelta()
    missed_runs: MissedRuns = MissedRuns.SKIP

    def schedule(self) -> Schedule:
        """Raises CronInvalid or ZoneUnknown."""
        return Schedule.parse(self.cron, self.time_zone)

    def next_run(self, after: datetime, *, key: str) -> NextRun | None:
        """The first run after the moment; None when the schedule ends. The key, such as a uid, decides the jitter."""
        fire_time = self.schedule().next_after(after)
        if fire_time is None:
            return None
        return NextRun(fire_time=fire_time, run_time=put_off(fire_time, jitter=self.jitter, key=key))


@dataclass(frozen=True, slots=True)
class EventTrigger:
    """Something was pushed at the source or deleted there."""


Trigger = ManualTrigger | ScheduledTrigger | EventTrigger

MANUAL: Final = ManualTrigger()
