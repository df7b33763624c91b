"""When the tasks of a policy may start."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import IntEnum
from typing import Any, Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ONE_DAY: Final = timedelta(days=1)


class Day(IntEnum):
    """Days of the week as Python counts them; the names are those of `google.type.DayOfWeek`."""

    MONDAY = 0
    TUESDAY = 1
    WEDNESDAY = 2
    THURSDAY = 3
    FRIDAY = 4
    SATURDAY = 5
    SUNDAY = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeWindow:
    """A time of the day, from `start` on and before `end`, on the next day when that is not after the start.

    It is what a clock on the wall shows: where the clock is put back, the hour that comes twice counts twice, and where
    it is put forward, the hour that is left out is in no window.
    """

    start: time
    end: time
    days: frozenset[Day] = frozenset()  # on which it begins; empty for every day
    zone: str = "UTC"

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads the JSON form of `transship.policy.v1.TimeWindow`."""
        return cls(
            start=time.fromisoformat(document["start"]),
            end=time.fromisoformat(document["end"]),
            days=frozenset(Day[name] for name in document.get("days", ())),
            zone=document.get("time_zone") or "UTC",
        )

    def holds(self, now: datetime) -> bool:
        """Whether it is open. In a zone that this machine does not know, never: better than at a wrong time."""
        try:
            local = now.astimezone(ZoneInfo(self.zone))
        except (ZoneInfoNotFoundError, ValueError):
            return False
        clock, today = local.time(), Day(local.weekday())
        if self.start < self.end:
            return self.start <= clock < self.end and self._begins_on(today)
        yesterday = Day((local - _ONE_DAY).weekday())
        return (clock >= self.start and self._begins_on(today)) or (clock < self.end and self._begins_on(yesterday))

    def _begins_on(self, day: Day) -> bool:
        return not self.days or day in self.days


def is_open(windows: Iterable[TimeWindow], now: datetime) -> bool:
    """Whether tasks may start: always when there are no windows."""
    windows = tuple(windows)
    return not windows or any(window.holds(now) for window in windows)
