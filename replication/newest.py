"""Which tags of a repository are its newest."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from replication.rejection import Cause, Rejection
from replication.semver import Version, parse_version

MAX_COUNT: Final = 10_000

_UNITS: Final = (
    ("days", timedelta(days=1)),
    ("hours", timedelta(hours=1)),
    ("minutes", timedelta(minutes=1)),
    ("seconds", timedelta(seconds=1)),
)
_UNKNOWN: Final = datetime.min.replace(tzinfo=UTC)


class NewestInvalid(ValueError):
    """The combination is impossible; `field` is the one to change."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field
        self.why = why


class Order(StrEnum):
    """What newer means."""

    SEMVER = "semver"
    CREATE_TIME = "create_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """Keeps `count` tags (0: any number) that are not older than `max_age`, but `min_count` whatever their age."""

    order: Order
    count: int = 0
    max_age: timedelta | None = None
    min_count: int = 0

    def check(self) -> None:
        """Raises NewestInvalid when the fields contradict each other."""
        for field, value in (("count", self.count), ("min_count", self.min_count)):
            if not 0 <= value <= MAX_COUNT:
                raise NewestInvalid(field, f"must be between 0 and {MAX_COUNT}")
        if not self.count and self.max_age is None:
            raise NewestInvalid("count", "needs a count or a maximum age")
        if self.max_age is not None and self.order is Order.SEMVER:
            raise NewestInvalid("max_age", "versions have no age: order by the time of creation")
        if self.max_age is not None and self.max_age <= timedelta():
            raise NewestInvalid("max_age", "must be more than nothing")
        if self.count and self.min_count > self.count:
            raise NewestInvalid("min_count", f"is more than the {self.count} that are kept at the most")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedTag:
    """A tag, and when it was created if that is known. An artifact without a tag has its digest only."""

    tag: str
    digest: str = ""
    create_time: datetime | None = None


Rejections = list[tuple[DatedTag, Rejection]]


def keep_newest(tags: Sequence[DatedTag], newest: Newest, now: datetime) -> tuple[list[DatedTag], Rejections]:
    """The tags that are kept, the newest first, and the others with the reason.

    Of tags that are equally new, the one that sorts last by its text counts as newer. A tag whose time is not known
    counts as older than all others.
    """
    if newest.order is Order.SEMVER:
        return _highest(tags, newest.count)
    ranked = sorted(tags, key=_by_time, reverse=True)
    kept: list[DatedTag] = []
    rejections: Rejections = []
    surplus = _surplus(newest.count)
    for each in ranked:
        if newest.count and len(kept) >= newest.count:
            rejections.append((each, surplus))
        elif len(kept) < newest.min_count or not (why := _too_old(each, newest.max_age, now)):
            kept.append(each)
        else:
            rejections.append((each, _not_newest(why)))
    return kept, rejections


def _highest(tags: Sequence[DatedTag], count: int) -> tuple[list[DatedTag], Rejections]:
    # Of a hundred thousand tags, only those that are kept are remembered with their versions.
    kept = heapq.nlargest(count or len(tags), _versions(tags))
    places = {place for *_, place in kept}
    surplus = _surplus(count)
    rejections = [
        (each, surplus if parse_version(each.tag) else _NO_VERSION)
        for place, each in enumerate(tags)
        if place not in places
    ]
    return [tags[place] for *_, place in kept], rejections


def _versions(tags: Sequence[DatedTag]) -> Iterator[tuple[Version, str, str, int]]:
    """Those that are versions, in a form that can be ordered; the place in the list is unique and comes last."""
    for place, each in enumerate(tags):
        if version := parse_version(each.tag):
            yield version, each.tag, each.digest, place


def _by_time(each: DatedTag) -> tuple[datetime, str, str]:
    return each.create_time or _UNKNOWN, each.tag, each.digest


def _too_old(each: DatedTag, max_age: timedelta | None, now: datetime) -> str:
    if max_age is None:
        return ""
    if each.create_time is None:
        return "the time of its creation is not known"
    return f"it is older than {_in_words(max_age)}" if now - each.create_time > max_age else ""


def _in_words(age: timedelta) -> str:
    """In the largest unit of which it has one: `30 days`, `1.5 hours`."""
    unit, length = next((each for each in _UNITS if age >= each[1]), _UNITS[-1])
    return f"{age / length:g} {unit}"


def _surplus(count: int) -> Rejection:
    return _not_newest(f"{count} newer ones are kept")


def _not_newest(message: str) -> Rejection:
    return Rejection(cause=Cause.NOT_NEWEST, message=message)


_NO_VERSION: Final = _not_newest("it is no semantic version")
