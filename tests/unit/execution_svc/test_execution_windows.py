"""Times in which tasks may start."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execution_svc.domain.limits import TASKS_WITH_WINDOWS, Limits
from execution_svc.domain.windows import Day, TimeWindow, is_open

# Two hemispheres, half an hour of daylight saving (Lord Howe), a change at midnight (Santiago), and none at all.
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kolkata")
MINUTES_OF_A_DAY = 24 * 60

times = st.times().map(lambda each: each.replace(second=0, microsecond=0))
moments = st.integers(0, 4 * 366 * 24 * 60).map(
    lambda minute: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)
)
days = st.frozensets(st.sampled_from(Day))


def a_window(start: str, end: str, *on: Day, zone: str = "UTC") -> TimeWindow:
    return TimeWindow(start=time.fromisoformat(start), end=time.fromisoformat(end), days=frozenset(on), zone=zone)


def walls(window: TimeWindow) -> set[tuple[int, int]]:
    """Every minute (day of the week, minute of the day) that a clock on the wall shows in the window, one by one."""
    start = window.start.hour * 60 + window.start.minute
    end = window.end.hour * 60 + window.end.minute
    length = (end - start) % MINUTES_OF_A_DAY or MINUTES_OF_A_DAY
    found = set()
    for day in window.days or set(Day):
        for minute in range(start, start + length):
            found.add(((day + minute // MINUTES_OF_A_DAY) % 7, minute % MINUTES_OF_A_DAY))
    return found


@given(times, times, days, st.sampled_from(ZONES), moments)
def test_it_is_open_while_the_wall_clock_shows_one_of_its_minutes(
    start: time, end: time, on: frozenset[Day], zone: str, now: datetime
) -> None:
    window = TimeWindow(start=start, end=end, days=on, zone=zone)
    local = now.astimezone(ZoneInfo(zone))
    assert window.holds(now) == ((local.weekday(), local.hour * 60 + local.minute) in walls(window))


@given(times, st.sampled_from(ZONES), moments)
def test_the_same_start_and_end_are_the_whole_day(start: time, zone: str, now: datetime) -> None:
    assert is_open([TimeWindow(start=start, end=start, zone=zone)], now)


@given(times, times, st.sampled_from(ZONES), moments)
def test_a_window_and_its_opposite_are_never_both_open_or_both_closed(
    start: time, end: time, zone: str, now: datetime
) -> None:
    if start != end:
        one = TimeWindow(start=start, end=end, zone=zone)
        assert one.holds(now) != TimeWindow(start=end, end=start, zone=zone).holds(now)


@given(st.lists(st.tuples(times, times, days), max_size=4), st.sampled_from(ZONES), moments)
def test_one_open_window_is_enough(given_: list[tuple[time, time, frozenset[Day]]], zone: str, now: datetime) -> None:
    windows = [TimeWindow(start=start, end=end, days=on, zone=zone) for start, end, on in given_]
    assert is_open(windows, now) == (not windows or any(is_open([each], now) for each in windows))


@pytest.mark.parametrize(
    ("window", "now", "expected"),
    [
        (a_window("22:00", "06:00", Day.FRIDAY), "2026-11-27T21:59:59", False),  # a Friday
        (a_window("22:00", "06:00", Day.FRIDAY), "2026-11-27T22:00:00", True),
        (a_window("22:00", "06:00", Day.FRIDAY), "2026-11-28T05:59:59", True),
        (a_window("22:00", "06:00", Day.FRIDAY), "2026-11-28T06:00:00", False),
        (a_window("22:00", "06:00", Day.FRIDAY), "2026-11-27T03:00:00", False),  # began on a Thursday
        (a_window("22:00", "06:00", Day.SUNDAY), "2026-11-30T00:00:00", True),  # over the end of the week
        (a_window("08:00", "08:00", Day.MONDAY), "2026-12-01T07:59:00", True),  # a Tuesday
        (a_window("08:00", "08:00", Day.MONDAY), "2026-12-01T08:00:00", False),
        (a_window("00:00", "06:00", zone="Asia/Shanghai"), "2026-11-27T16:00:00", True),
        (a_window("00:00", "06:00", zone="Asia/Shanghai"), "2026-11-27T15:59:59", False),
    ],
)
def test_over_midnight_it_belongs_to_the_day_on_which_it_begins(window: TimeWindow, now: str, expected: bool) -> None:
    assert is_open([window], datetime.fromisoformat(now).replace(tzinfo=UTC)) is expected


@pytest.mark.parametrize(
    ("night", "zone", "minutes"),
    [
        ("2026-06-15", "Europe/Berlin", 120),
        ("2026-03-29", "Europe/Berlin", 60),  # 02:00 becomes 03:00
        ("2026-10-25", "Europe/Berlin", 180),  # 03:00 becomes 02:00
        ("2026-03-08", "America/New_York", 60),
        ("2026-11-01", "America/New_York", 180),  # from 01:00 on, so both hours that are 01:xx
        ("2026-04-05", "Australia/Lord_Howe", 150),
        ("2026-10-04", "Australia/Lord_Howe", 90),
        ("2026-11-01", "Asia/Kolkata", 120),
    ],
)
def test_the_clock_is_put_forward_and_back(night: str, zone: str, minutes: int) -> None:
    """How long a window of two hours lasts in a night in which the clock is changed."""
    start = "01:00" if zone.startswith("America") else "01:30" if zone.startswith("Australia") else "02:00"
    window = a_window(start, f"{int(start[:2]) + 2:02}{start[2:]}", zone=zone)
    midnight = datetime.fromisoformat(night).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    open_minutes = sum(is_open([window], midnight + timedelta(minutes=minute)) for minute in range(12 * 60))
    assert open_minutes == minutes


def test_no_windows_are_always_open() -> None:
    assert is_open([], datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("document", "hour", "allowed"),
    [
        ({}, 3, None),
        ({"max_parallel_tasks": 7}, 3, 7),
        ({"windows": [{"start": "22:00", "end": "06:00"}]}, 3, TASKS_WITH_WINDOWS),
        ({"windows": [{"start": "22:00", "end": "06:00"}]}, 12, 0),
        ({"windows": [{"start": "22:00", "end": "06:00"}], "max_parallel_tasks": 7}, 3, 7),
        ({"windows": [{"start": "22:00", "end": "06:00"}], "max_parallel_tasks": 5000}, 3, TASKS_WITH_WINDOWS),
    ],
)
def test_how_many_tasks_a_policy_allows(document: dict[str, object], hour: int, allowed: int | None) -> None:
    assert Limits.of_document(document).allowed(datetime(2026, 1, 1, hour, tzinfo=UTC)) == allowed


def test_a_zone_that_nobody_knows_is_never_open() -> None:
    for zone in ("Mars/Olympus", "../etc/passwd"):
        assert not is_open([a_window("00:00", "00:00", zone=zone)], datetime(2026, 1, 1, tzinfo=UTC))


def test_a_window_is_read_as_the_policy_has_it() -> None:
    document = {"start": "22:00", "end": "06:30", "days": ["SATURDAY", "SUNDAY"], "time_zone": "Asia/Shanghai"}
    assert TimeWindow.of_document(document) == a_window(
        "22:00", "06:30", Day.SATURDAY, Day.SUNDAY, zone="Asia/Shanghai"
    )
    assert TimeWindow.of_document({"start": "22:00", "end": "06:30"}) == a_window("22:00", "06:30")
