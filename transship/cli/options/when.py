"""When a policy runs: its trigger, what overlaps, its windows."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, Final

import typer

from transship.cli.amounts import parse_duration
from transship.cli.connect import Said
from transship.policy.v1.policy_pb2 import Policy, ScheduledTrigger, TimeWindow
from transship.sdk import manual, on_event

_PANEL: Final = "When"
DAYS: Final = ("MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY")
_WINDOW: Final = re.compile(
    r"(?:(?P<days>[a-z]{3}(?:[-,][a-z]{3})*) )?(?P<start>\d\d:\d\d)-(?P<end>\d\d:\d\d)(?: (?P<zone>\S+))?",
    re.ASCII | re.IGNORECASE,
)


class MissedRuns(StrEnum):
    """What becomes of runs whose time went by."""

    SKIP = "skip"
    RUN_ONCE = "run-once"


class Overlap(StrEnum):
    """What becomes of a run while another one has not ended."""

    QUEUE = "queue"
    SKIP = "skip"
    REPLACE = "replace"


_MISSED: Final = {
    MissedRuns.SKIP: ScheduledTrigger.MISSED_RUNS_SKIP,
    MissedRuns.RUN_ONCE: ScheduledTrigger.MISSED_RUNS_RUN_ONCE,
}
_OVERLAPS: Final = {
    Overlap.QUEUE: Policy.OVERLAP_QUEUE,
    Overlap.SKIP: Policy.OVERLAP_SKIP,
    Overlap.REPLACE: Policy.OVERLAP_REPLACE,
}


def parse_window(text: str) -> TimeWindow:
    """`22:00-06:00`, `mon-fri 22:00-06:00 Europe/Berlin`. Raises typer.BadParameter."""
    found = _WINDOW.fullmatch(" ".join(text.split()))
    days = _days(found["days"]) if found else None
    if found is None or days is None:
        raise typer.BadParameter(
            f"{text!r} is no time of the day: write it such as 22:00-06:00 or `mon-fri,sun 22:00-06:00 Europe/Berlin`."
        )
    return TimeWindow(start=found["start"], end=found["end"], days=days, time_zone=found["zone"] or "")


def _option(flag: str, metavar: str | None, described: str, **beside: Any) -> Any:
    return typer.Option(flag, metavar=metavar, help=described, show_default=False, rich_help_panel=_PANEL, **beside)


Cron = Annotated[
    str | None,
    _option("--cron", "FIELDS", "On a schedule: `0 2 * * *`, six fields with the second first, or `@daily`."),
]
TimeZone = Annotated[
    str | None, _option("--time-zone", "ZONE", "Time zone of `--cron`, such as `Europe/Berlin`. Default: UTC.")
]


@dataclass(frozen=True)
class When:
    """Options of --help's panel."""

    manual: Annotated[bool, _option("--manual", None, "Only when somebody starts it. The default.")] = False
    cron: Cron = None
    time_zone: TimeZone = None
    jitter: Annotated[
        timedelta | None,
        _option("--jitter", "TIME", "Start each run up to so much later, by chance: `10m`.", parser=parse_duration),
    ] = None
    missed_runs: Annotated[
        MissedRuns | None,
        _option("--missed-runs", None, "Runs that nothing was there to start. Default: skip."),
    ] = None
    on_event: Annotated[
        bool, _option("--on-event", None, "When the source tells that something was pushed or deleted.")
    ] = False
    overlap: Annotated[
        Overlap | None,
        _option("--overlap", None, "A run while another one has not ended. Default: queue."),
    ] = None
    window: Annotated[
        list[TimeWindow] | None,
        _option(
            "--window",
            "WINDOW",
            "Start tasks only then: `22:00-06:00` (UTC), `sat,sun 00:00-00:00 Asia/Shanghai`, or both.",
            parser=parse_window,
        ),
    ] = None
    max_parallel_tasks: Annotated[
        int | None, _option("--max-parallel-tasks", "N", "At most so many tasks at once. 0: any number.", min=0)
    ] = None

    def change(self, policy: Policy, _: Said) -> Iterator[str]:
        """Writes what was given into the policy, and tells which fields that changed."""
        yield from self._change_trigger(policy)
        if self.overlap is not None:
            policy.overlap = _OVERLAPS[self.overlap]
            yield "overlap"
        if self.window:
            del policy.windows[:]
            policy.windows.extend(self.window)
            yield "windows"
        if self.max_parallel_tasks is not None:
            policy.max_parallel_tasks = self.max_parallel_tasks
            yield "max_parallel_tasks"

    def _change_trigger(self, policy: Policy) -> Iterator[str]:
        is_scheduled = any(each is not None for each in (self.cron, self.time_zone, self.jitter, self.missed_runs))
        if self.manual + self.on_event + is_scheduled > 1:
            raise typer.BadParameter("--manual, --on-event and --cron with its options exclude each other.")
        if self.manual:
            policy.trigger.CopyFrom(manual())
        elif self.on_event:
            policy.trigger.CopyFrom(on_event())
        elif is_scheduled:
            self._change_schedule(policy.trigger.scheduled)
        else:
            return
        yield "trigger"

    def _change_schedule(self, schedule: ScheduledTrigger) -> None:
        if self.cron is not None:
            schedule.cron = self.cron
        if self.time_zone is not None:
            schedule.time_zone = self.time_zone
        if self.jitter is not None:
            schedule.jitter.FromTimedelta(self.jitter)
        if self.missed_runs is not None:
            schedule.missed_runs = _MISSED[self.missed_runs]


def _days(text: str | None) -> list[str] | None:
    """The days of `mon-fri,sun`, also over the end of a week; None when one of them is no day."""
    days: list[str] = []
    for part in (text or "").lower().split(",") if text else ():
        first, _, last = part.partition("-")
        begin, end = _day(first), _day(last or first)
        if begin is None or end is None:
            return None
        days += [DAYS[(begin + step) % 7] for step in range((end - begin) % 7 + 1)]
    return list(dict.fromkeys(days))


def _day(text: str) -> int | None:
    return next((place for place, day in enumerate(DAYS) if day[:3].lower() == text), None)
