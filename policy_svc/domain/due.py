"""What is to be done about a run whose time has come."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, assert_never

from policy_svc.domain.trigger import MissedRuns, NextRun, ScheduledTrigger

# A run that is no later than this is on time: a service that is started anew, or another one that takes over, is there
# again within it.
ON_TIME: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether the run is started, and the one that comes after it; None when the schedule ends."""

    starts: bool
    then: NextRun | None


def judge(run: NextRun, trigger: ScheduledTrigger, *, key: str, now: datetime) -> Verdict:
    """Judges a run that is due at `now`. The runs that come after it are judged one by one when they are due.

    A run on time starts. A missed one is left out, with all that were missed since, or makes up for all of them.
    """
    if now - run.run_time <= ON_TIME:
        return Verdict(starts=True, then=trigger.next_run(run.fire_time, key=key))
    match trigger.missed_runs:
        case MissedRuns.SKIP:
            return Verdict(starts=False, then=_first_on_time(trigger, key=key, now=now))
        case MissedRuns.RUN_ONCE:
            return Verdict(starts=True, then=trigger.next_run(now, key=key))
        case _:
            assert_never(trigger.missed_runs)


def _first_on_time(trigger: ScheduledTrigger, *, key: str, now: datetime) -> NextRun | None:
    """The first run that is not missed: it may be due already, or may still be put off by the jitter."""
    candidate = trigger.next_run(now - ON_TIME - trigger.jitter, key=key)
    while candidate is not None and now - candidate.run_time > ON_TIME:
        candidate = trigger.next_run(candidate.fire_time, key=key)
    return candidate
