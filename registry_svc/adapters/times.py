"""Times as registries write them."""

from datetime import UTC, datetime


def parse_time(text: object) -> datetime | None:
    """A time in the form of RFC 3339, None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
