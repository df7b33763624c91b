"""What becomes of a run whose time has come or gone."""

from datetime import UTC, datetime, timedelta

import pytest

from policy_svc.domain.due import ON_TIME, Verdict, judge
from policy_svc.domain.trigger import MissedRuns, NextRun, ScheduledTrigger

T0 = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


def run_at(moment: datetime) -> NextRun:
    return NextRun(fire_time=moment, run_time=moment)


def hourly(missed_runs: MissedRuns, jitter: timedelta = timedelta()) -> ScheduledTrigger:
    return ScheduledTrigger(cron="@hourly", jitter=jitter, missed_runs=missed_runs)


@pytest.mark.parametrize("policy", MissedRuns)
@pytest.mark.parametrize("late", [timedelta(), ON_TIME])
def test_a_run_on_time_starts(policy: MissedRuns, late: timedelta) -> None:
    assert judge(run_at(T0), hourly(policy), key="u", now=T0 + late) == Verdict(starts=True, then=run_at(T0 + HOUR))


def test_missed_runs_are_left_out() -> None:
    verdict = judge(run_at(T0), hourly(MissedRuns.SKIP), key="u", now=T0 + 3 * HOUR + 2 * MINUTE)

    assert verdict == Verdict(starts=False, then=run_at(T0 + 4 * HOUR))


def test_a_run_that_is_on_time_is_not_left_out_with_those_before_it() -> None:
    verdict = judge(run_at(T0), hourly(MissedRuns.SKIP), key="u", now=T0 + 3 * HOUR + MINUTE / 2)

    assert verdict == Verdict(starts=False, then=run_at(T0 + 3 * HOUR))


def test_one_run_makes_up_for_all_that_were_missed() -> None:
    verdict = judge(run_at(T0), hourly(MissedRuns.RUN_ONCE), key="u", now=T0 + 3 * HOUR + 2 * MINUTE)

    assert verdict == Verdict(starts=True, then=run_at(T0 + 4 * HOUR))


def test_a_run_that_is_put_off_is_late_from_then_on() -> None:
    trigger = hourly(MissedRuns.SKIP, jitter=HOUR)
    run = trigger.next_run(T0 - MINUTE, key="u")
    assert run is not None
    assert run.fire_time < run.run_time

    on_time = judge(run, trigger, key="u", now=run.run_time + ON_TIME)
    missed = judge(run, trigger, key="u", now=run.run_time + 2 * MINUTE)

    assert (on_time.starts, missed.starts) == (True, False)
    assert on_time.then == missed.then == trigger.next_run(T0, key="u")


def test_a_schedule_that_ends_has_no_next_run() -> None:
    last = datetime(9999, 1, 1, tzinfo=UTC)

    assert judge(run_at(last), ScheduledTrigger(cron="@yearly"), key="u", now=last) == Verdict(starts=True, then=None)
