"""Which ended executions are kept."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

_BEGINNING: Final = datetime.min.replace(tzinfo=UTC)  # no time is before it


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """One is deleted when either limit is passed."""

    max_count: int = 0  # the newest of a policy; 0 for any number
    max_age: timedelta | None = None  # since their end; None for any time

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads the JSON form of `transship.policy.v1.Retention`."""
        age = document.get("max_age")
        return cls(
            max_count=document.get("max_count", 0),
            max_age=timedelta(seconds=float(age.removesuffix("s"))) if age else None,
        )

    def ended_before(self, now: datetime) -> datetime | None:
        """Those that ended before this time are too old; None when none is."""
        if self.max_age is None or self.max_age >= now - _BEGINNING:
            return None
        return now - self.max_age
