"""How long a duration may be."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from service_kit.errors import FieldViolation

# Longer than anything is kept, and short enough to be taken from any date.
MAX_DURATION: Final = timedelta(days=36_500)


def too_long(field: str, duration: timedelta | None) -> Iterator[FieldViolation]:
    if duration is not None and duration > MAX_DURATION:
        yield FieldViolation(field, f"must be at most {MAX_DURATION.days} days", "DURATION_TOO_LONG")
