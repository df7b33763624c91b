"""Amounts of time, as people write them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import typer
from google.protobuf.duration_pb2 import Duration

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DURATION: Final = re.compile(r"(?:\d+[smhdw])+", re.ASCII)
_PART: Final = re.compile(r"(\d+)([smhdw])", re.ASCII)
_MAX_DAYS: Final = 365 * 100  # Longer than anything lasts, and safe in every computation with times.


def parse_duration(text: str) -> timedelta:
    """`90s`, `15m`, `12h`, `30d`, `2w`, or several of them as in `1h30m`; `0` for none. Raises typer.BadParameter."""
    stripped = text.strip()
    parts = _PART.findall(stripped) if _DURATION.fullmatch(stripped) else []
    days = sum(int(count) * _UNITS[unit].total_seconds() for count, unit in parts) / 86400
    if (not parts and stripped != "0") or days > _MAX_DAYS:
        raise typer.BadParameter(f"{text!r} is no length of time: write it such as 90s, 15m, 12h, 30d or 1h30m.")
    return timedelta(days=days)


def parse_moment(text: str) -> datetime:
    """A date or time as ISO 8601 has it, in UTC unless it says otherwise; or so long ago. Raises typer.BadParameter."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return datetime.now(UTC) - _ago(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def duration_text(duration: Duration) -> str:
    """`1h30m`; nothing for none."""
    left, texts = duration.seconds, []
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_UNITS[unit].total_seconds()))
        texts.append(f"{count}{unit}" if count else "")
    return "".join(texts)


def _ago(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except typer.BadParameter as error:
        raise typer.BadParameter(
            f"{text!r} is no time: write it such as 2026-11-24, 2026-11-24T10:00+01:00, or 12h for so long ago."
        ) from error
