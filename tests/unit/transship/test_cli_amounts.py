"""Amounts of time, as people write them."""

from datetime import UTC, datetime, timedelta

import pytest
import typer
from google.protobuf.duration_pb2 import Duration

from transship.cli.amounts import duration_text, parse_duration, parse_moment


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0", timedelta()),
        ("90s", timedelta(seconds=90)),
        (" 15m ", timedelta(minutes=15)),
        ("1h30m", timedelta(minutes=90)),
        ("2w", timedelta(days=14)),
    ],
)
def test_a_length_of_time(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "-1h", "1.5h", "1y", "h", "٣d", "99999999w", "1h 30m"])
def test_what_is_no_length_of_time_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="1h30m"):
        parse_duration(text)


def test_a_length_of_time_is_shown_as_it_is_written() -> None:
    assert duration_text(Duration(seconds=86400 + 5400)) == "1d1h30m"
    assert duration_text(Duration()) == ""


def test_a_moment_is_in_utc_unless_it_says_otherwise() -> None:
    assert parse_moment("2026-11-24") == datetime(2026, 11, 24, tzinfo=UTC)
    assert parse_moment("2026-11-24T10:00+01:00") == datetime(2026, 11, 24, 9, tzinfo=UTC)
    before = datetime.now(UTC)
    assert before <= parse_moment("12h") + timedelta(hours=12) <= datetime.now(UTC)
    with pytest.raises(typer.BadParameter, match="so long ago"):
        parse_moment("yesterday")
