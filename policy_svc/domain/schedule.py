"""When a schedule runs: cron expressions in a time zone.

cronsim reads the expression and walks over the readings of a wall clock that knows no summer time. Which moments those
are is decided here, alike for five fields and six: cronsim itself heeds the changes of the clock for five only.
"""

import functools
import hashlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

DEFAULT_ZONE: Final = "UTC"

_DESCRIPTORS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_FIELDS: Final = {
    "second": "second (0 to 59)",
    "minute": "minute (0 to 59)",
    "hour": "hour (0 to 23)",
    "day-of-month": "day of the month (1 to 31, and not after the end of every month given)",
    "month": "month (1 to 12, or JAN to DEC)",
    "day-of-week": "day of the week (0 to 7, or SUN to SAT)",
}
_LAST_MINUTE: Final = 59
_EVERY_HOUR: Final = set(range(24))
_SECOND: Final = timedelta(seconds=1)
_SOME_TIME: Final = datetime(2024, 1, 1)  # noqa: DTZ001  (of a wall clock)
_SAMPLE: Final = 200  # runs that show how close they come: those of three hours, if they are two minutes apart
# They depend on the machine, or are no place's.
_NO_PLACES: Final = frozenset({"localtime", "posixrules", "Factory"})


class CronInvalid(ValueError):
    """The expression cannot be read; the message says which part and what it may be."""


class ZoneUnknown(ValueError):
    """The IANA database has no such time zone."""

    def __init__(self, zone: str) -> None:
        super().__init__(f"there is no time zone {zone!r}; name one of the IANA database, such as Europe/Berlin")


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression and the time zone in which it is read.

    Where the clock is put forward, a run in the time that is left out comes right after it; where it is put back, a run
    in the time that comes twice is made the first time only. But a schedule of every hour keeps its pace: it makes up
    for no run in the time left out, and runs both times through the other.
    """

    expression: str
    zone: ZoneInfo
    keeps_pace: bool

    @classmethod
    def parse(cls, cron: str, time_zone: str = "") -> "Schedule":
        """Reads five fields, six fields, or `@daily` and the like; an empty zone is UTC.

        Raises:
            CronInvalid: the expression cannot be read, or never comes true.
            ZoneUnknown: there is no such time zone.
        """
        expression = _expression(cron)
        try:
            parsed = CronSim(expression, _SOME_TIME)
            next(parsed)
        except CronSimError as error:
            raise CronInvalid(_what_is_bad(str(error))) from error
        except StopIteration as error:
            raise CronInvalid("there is no such day in any of these months, so it would never run") from error
        return cls(expression, find_zone(time_zone), keeps_pace=parsed.hours == _EVERY_HOUR)

    def runs_after(self, moment: datetime) -> Iterator[datetime]:
        """The moments after the given one at which it runs, in UTC and in their order. They may end."""
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        start = local - _repeated(local, self.zone)  # the whole of a time that comes twice is looked at
        last = moment
        for run in self._moments(_wall_times(self.expression, start)):
            if run > last:
                last = run
                yield run

    def next_after(self, moment: datetime) -> datetime | None:
        return next(self.runs_after(moment), None)

    def runs_every_minute(self) -> bool:
        """Whether two of its runs are no more than a minute apart."""
        cron = CronSim(self.expression, _SOME_TIME)
        if len(cron.seconds) > 1:
            return True
        if any(minute + 1 in cron.minutes for minute in cron.minutes):
            return True
        over_the_hour = 0 in cron.minutes and _LAST_MINUTE in cron.minutes
        return over_the_hour and any((hour + 1) % 24 in cron.hours for hour in cron.hours)

    def shortest_gap(self) -> timedelta:
        """The shortest time between two runs that follow one another, where the clock is not changed."""
        walls = list(itertools.islice(_wall_times(self.expression, _SOME_TIME), _SAMPLE))
        return min((later - earlier for earlier, later in itertools.pairwise(walls)), default=timedelta.max)

    def _moments(self, wall_times: Iterator[datetime]) -> Iterator[datetime]:
        """The moments at which the wall clock shows the times."""
        second_time: list[datetime] = []
        for wall in wall_times:
            first, second = (_in_utc(wall, self.zone, fold=fold) for fold in (0, 1))
            if second_time and first == second:
                yield from second_time
                second_time = []
            if first <= second:
                yield first
                if self.keeps_pace and first < second:
                    second_time.append(second)
            elif not self.keeps_pace:
                yield _end_of_gap(second, first, self.zone)
        yield from second_time


def find_zone(name: str) -> ZoneInfo:
    """The time zone of that name; UTC for the empty name.

    Raises:
        ZoneUnknown: there is none.
    """
    if name and name not in _zone_names():
        raise ZoneUnknown(name)
    try:
        return ZoneInfo(name or DEFAULT_ZONE)
    except ZoneInfoNotFoundError as error:
        raise ZoneUnknown(name) from error


def put_off(run: datetime, *, jitter: timedelta, key: str) -> datetime:
    """The run, put off by up to the jitter, and always alike for one run of one key, whoever asks."""
    share = int.from_bytes(hashlib.sha256(f"{key} {run.isoformat()}".encode()).digest()[:8]) / 2**64
    return run + timedelta(seconds=int(share * jitter.total_seconds()))


def _expression(cron: str) -> str:
    text = cron.strip()
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise CronInvalid(f"there is no {text}; there are {', '.join(_DESCRIPTORS)}")
        return _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) not in {5, 6}:
        raise CronInvalid(
            f"it has {len(fields)} fields; write five (minute, hour, day of the month, month, day of the week), "
            "or six with the second before them"
        )
    return " ".join(fields)


def _what_is_bad(message: str) -> str:
    """In our words, from those of cronsim, such as `Bad minute`."""
    field = message.removeprefix("Bad ")
    return f"the {_FIELDS.get(field, field)} cannot be read; write it as 5, 1-5, 1,3,5, * or */5"


def _wall_times(expression: str, start: datetime) -> Iterator[datetime]:
    """The readings of the wall clock at which it runs, after the one given; up to the last year that there is."""
    cron = CronSim(expression, start)
    try:
        yield from cron
    except (OverflowError, ValueError):  # behind the year 9999
        return


def _in_utc(wall: datetime, zone: ZoneInfo, *, fold: int) -> datetime:
    return wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _repeated(wall: datetime, zone: ZoneInfo) -> timedelta:
    """By how much the clock is put back, if the reading is one of those that come twice; otherwise nothing."""
    return max(_in_utc(wall, zone, fold=1) - _in_utc(wall, zone, fold=0), timedelta())


def _end_of_gap(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """The first moment after the clock was put forward, between one before that and one after it, to the second."""
    offset = after.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        if middle.astimezone(zone).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after.replace(microsecond=0)


@functools.cache
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_PLACES)
