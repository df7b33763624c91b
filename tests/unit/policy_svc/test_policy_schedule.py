"""When schedules run, above all around the changes of the clock."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy_svc.domain.schedule import CronInvalid, Schedule, ZoneUnknown, put_off

MINUTE = timedelta(minutes=1)
# Zones, and days before their clocks change. Lord Howe's changes by half an hour, Casablanca's around Ramadan, and São
# Paulo's did at midnight; Shanghai's does not.
CHANGES = [
    ("Europe/Berlin", "2026-03-28"),
    ("Europe/Berlin", "2026-10-24"),
    ("America/New_York", "2026-03-07"),
    ("America/New_York", "2026-10-31"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("America/Sao_Paulo", "2018-02-17"),
    ("America/Sao_Paulo", "2018-11-03"),
    ("Africa/Casablanca", "2026-02-14"),
    ("Africa/Casablanca", "2026-03-21"),
    ("Asia/Shanghai", "2026-03-28"),
]


def local_runs(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next runs after a time of that zone, as its clocks show them."""
    schedule = Schedule.parse(cron, zone)
    start = datetime.fromisoformat(after).replace(tzinfo=ZoneInfo(zone))
    runs = itertools.islice(schedule.runs_after(start), count)
    return [run.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M:%S%z") for run in runs]


@pytest.mark.parametrize(
    ("cron", "runs"),
    [
        ("30 2 * * *", ["11-24 02:30:00", "11-25 02:30:00"]),
        ("0 30 2 * * *", ["11-24 02:30:00", "11-25 02:30:00"]),
        ("15,45 30 2 * * *", ["11-24 02:30:15", "11-24 02:30:45"]),
        ("@hourly", ["11-24 01:00:00", "11-24 02:00:00"]),
        ("@daily", ["11-25 00:00:00", "11-26 00:00:00"]),
        ("@weekly", ["11-29 00:00:00", "12-06 00:00:00"]),
        ("@monthly", ["12-01 00:00:00", "01-01 00:00:00"]),
        ("@yearly", ["01-01 00:00:00", "01-01 00:00:00"]),
        ("0 6 * * MON-FRI", ["11-24 06:00:00", "11-25 06:00:00"]),
        ("0 6 L * *", ["11-30 06:00:00", "12-31 06:00:00"]),
        (" 0  6   1 */6  * ", ["01-01 06:00:00", "07-01 06:00:00"]),
    ],
)
def test_an_expression_runs_when_it_says(cron: str, runs: list[str]) -> None:
    assert local_runs(cron, "UTC", "2026-11-24 00:00", 2) == [f"{run}+0000" for run in runs]


@pytest.mark.parametrize(
    ("cron", "zone", "after", "runs"),
    [
        # The hour that is left out: right after it.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 03:00:00+0200", "03-30 02:30:00+0200"]),
        ("0 30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 03:00:00+0200", "03-30 02:30:00+0200"]),
        ("20 30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 03:00:00+0200", "03-30 02:30:20+0200"]),
        ("30 2 * * *", "America/New_York", "2026-03-07 12:00", ["03-08 03:00:00-0400", "03-09 02:30:00-0400"]),
        ("10 2 * * *", "Australia/Lord_Howe", "2026-10-03 12:00", ["10-04 02:30:00+1100", "10-05 02:10:00+1100"]),
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03 12:00", ["11-04 01:00:00-0200", "11-05 00:00:00-0200"]),
        ("30 2 * * *", "Africa/Casablanca", "2026-03-21 12:00", ["03-22 03:00:00+0100", "03-23 02:30:00+0100"]),
        # Several runs in it, or one in it and one right after it, are one.
        ("0,20,40 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 03:00:00+0200", "03-30 02:00:00+0200"]),
        ("0 2,3 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 03:00:00+0200", "03-30 02:00:00+0200"]),
        # The hour that comes twice: once, the first time.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["10-25 02:30:00+0200", "10-26 02:30:00+0100"]),
        ("20 30 2 * * *", "Europe/Berlin", "2026-10-24 12:00", ["10-25 02:30:20+0200", "10-26 02:30:20+0100"]),
        ("30 1 * * *", "America/New_York", "2026-10-31 12:00", ["11-01 01:30:00-0400", "11-02 01:30:00-0500"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-04 12:00", ["04-05 01:45:00+1100", "04-06 01:45:00+1030"]),
        ("30 23 * * *", "America/Sao_Paulo", "2018-02-17 12:00", ["02-17 23:30:00-0200", "02-18 23:30:00-0300"]),
        ("30 2 * * *", "Africa/Casablanca", "2026-02-14 12:00", ["02-15 02:30:00+0100", "02-16 02:30:00+0000"]),
        ("*/30 2 * * *", "Europe/Berlin", "2026-03-28 12:00", ["03-29 03:00:00+0200", "03-30 02:00:00+0200"]),
        ("0 */2 * * *", "Europe/Berlin", "2026-03-29 00:30", ["03-29 03:00:00+0200", "03-29 04:00:00+0200"]),
        # Every hour keeps its pace.
        ("0 * * * *", "Europe/Berlin", "2026-03-29 01:00", ["03-29 03:00:00+0200", "03-29 04:00:00+0200"]),
        ("0 * * * *", "Europe/Berlin", "2026-10-25 01:00", ["10-25 02:00:00+0200", "10-25 02:00:00+0100"]),
        # No summer time at all.
        ("30 2 * * *", "Asia/Shanghai", "2026-03-28 12:00", ["03-29 02:30:00+0800", "03-30 02:30:00+0800"]),
    ],
)
def test_around_a_change_of_the_clock(cron: str, zone: str, after: str, runs: list[str]) -> None:
    assert local_runs(cron, zone, after, 2) == runs


def test_a_schedule_can_be_asked_within_the_hour_that_comes_twice() -> None:
    """Every second half hour of it is found, whichever of the two passages the question falls in."""
    schedule = Schedule.parse("*/30 * * * *", "Europe/Berlin")
    start = datetime(2026, 10, 24, 23, 45, tzinfo=UTC)

    step_by_step: list[datetime | None] = []
    moment: datetime | None = start
    while moment and len(step_by_step) < 6:
        moment = schedule.next_after(moment)
        step_by_step.append(moment)

    assert step_by_step == [datetime(2026, 10, 25, tzinfo=UTC) + 30 * MINUTE * number for number in range(6)]


@given(
    change=st.sampled_from(CHANGES),
    minutes=st.one_of(st.just(set(range(60))), st.sets(st.integers(0, 59), min_size=1, max_size=3)),
    hours=st.one_of(st.just(set(range(24))), st.sets(st.sampled_from([0, 1, 2, 3, 4, 22, 23]), min_size=1, max_size=3)),
    begin=st.integers(0, 36 * 60),
)
@settings(max_examples=100, deadline=None)
def test_runs_are_those_of_somebody_who_watches_the_clock(
    change: tuple[str, str], minutes: set[int], hours: set[int], begin: int
) -> None:
    zone = ZoneInfo(change[0])
    start = datetime.fromisoformat(f"{change[1]} 00:00").replace(tzinfo=zone).astimezone(UTC) + begin * MINUTE
    end = start + timedelta(days=2)
    schedule = Schedule.parse(f"{_field(minutes, 60)} {_field(hours, 24)} * * *", change[0])

    runs = list(itertools.takewhile(lambda run: run <= end, schedule.runs_after(start)))

    watched = _watched(zone, minutes, hours, keeps_pace=len(hours) == 24, until=end)
    assert runs == [run for run in watched if run > start]


def _field(numbers: set[int], all_of_them: int) -> str:
    return "*" if len(numbers) == all_of_them else ",".join(map(str, numbers))


def _watched(
    zone: ZoneInfo, minutes: set[int], hours: set[int], *, keeps_pace: bool, until: datetime
) -> Iterator[datetime]:
    """Looks at the clock at every minute of some days, and runs what is due that it has not run at this reading yet."""
    moment = until - timedelta(days=4)
    shown = (moment - MINUTE).astimezone(zone).replace(tzinfo=None)
    latest = shown
    while moment <= until:
        before, shown = shown, moment.astimezone(zone).replace(tzinfo=None)
        passed = [shown]
        if not keeps_pace:  # what the clock has jumped over is due now; what it shows once more is not
            passed = [latest + MINUTE * (each + 1) for each in range((shown - latest) // MINUTE)]
        latest = max(latest, shown)
        if any(each.minute in minutes and each.hour in hours for each in passed):
            yield moment
        assert before != shown
        moment += MINUTE


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("", "it has 0 fields"),
        ("* * * *", "it has 4 fields"),
        ("0 0 0 1 1 * 2026", "it has 7 fields"),
        ("60 * * * *", "the minute (0 to 59)"),
        ("60 0 0 * * *", "the second (0 to 59)"),
        ("0 24 * * *", "the hour (0 to 23)"),
        ("0 0 0 * *", "the day of the month (1 to 31"),
        ("0 0 30 2 *", "the day of the month (1 to 31"),
        ("0 0 * 13 *", "the month (1 to 12"),
        ("0 0 * * 8", "the day of the week (0 to 7"),
        ("*/0 * * * *", "the minute"),
        ("5-1 * * * *", "the minute"),
        ("٣ * * * *", "the minute"),
        ("0\0 * * * *", "the minute"),
        ("@reboot", "there is no @reboot; there are @hourly, @daily"),
        ("0 0 */31 2 MON#5", "it would never run"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(cron: str, why: str) -> None:
    with pytest.raises(CronInvalid) as caught:
        Schedule.parse(cron)

    assert why in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "europe/berlin", "../UTC", "localtime", "UTC\0", "+02:00"])
def test_an_unknown_zone_is_refused(zone: str) -> None:
    with pytest.raises(ZoneUnknown, match="such as Europe/Berlin"):
        Schedule.parse("@daily", zone)


@pytest.mark.parametrize(
    ("cron", "often"),
    [
        ("* * * * *", True),
        ("*/2 * * * *", False),
        ("* 3 * * *", True),
        ("0,1 3 * * *", True),
        ("0,59 * * * *", True),
        ("0,59 1,3 * * *", False),
        ("0,59 0,23 * * *", True),
        ("*/30 0 3 * * *", True),
        ("30 */5 * * * *", False),
        ("@hourly", False),
    ],
)
def test_a_schedule_of_every_minute_is_seen(cron: str, often: bool) -> None:
    assert Schedule.parse(cron).runs_every_minute() is often


@pytest.mark.parametrize(
    ("cron", "gap"),
    [
        ("*/5 * * * *", timedelta(minutes=5)),
        ("0,50 * * * *", timedelta(minutes=10)),
        ("@daily", timedelta(days=1)),
        ("0 0 29 2 *", timedelta(days=1461)),
    ],
)
def test_the_shortest_time_between_runs(cron: str, gap: timedelta) -> None:
    assert Schedule.parse(cron).shortest_gap() == gap


def test_a_schedule_ends_with_the_calendar() -> None:
    assert list(Schedule.parse("@yearly", "Europe/Berlin").runs_after(datetime(9997, 6, 1, tzinfo=UTC))) == [
        datetime(9997, 12, 31, 23, tzinfo=UTC),
        datetime(9998, 12, 31, 23, tzinfo=UTC),
    ]


def test_jitter_is_the_same_for_one_run_and_spreads_the_others() -> None:
    run = datetime(2026, 1, 1, tzinfo=UTC)
    hour = timedelta(hours=1)

    late = [put_off(run, jitter=hour, key=str(number)) - run for number in range(200)]

    assert put_off(run, jitter=hour, key="7") - run == late[7]
    assert all(timedelta() <= each <= hour for each in late)
    assert len({each // (hour / 4) for each in late}) == 4
    assert put_off(run, jitter=timedelta(), key="7") == run
