"""How many tasks of a policy may be handed out, and when."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from execution_svc.domain.windows import TimeWindow, is_open

OUTSIDE_OF_WINDOWS: Final = "waits for a time window of its policy"

# What is handed out comes to its end, even if the window closes meanwhile: so with windows it is never very much.
TASKS_WITH_WINDOWS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a policy says of it."""

    max_parallel_tasks: int = 0  # 0 for any number
    windows: tuple[TimeWindow, ...] = ()

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Reads the JSON form of `transship.policy.v1.Policy`."""
        return cls(
            max_parallel_tasks=document.get("max_parallel_tasks") or 0,
            windows=tuple(TimeWindow.of_document(each) for each in document.get("windows") or ()),
        )

    def allowed(self, now: datetime) -> int | None:
        """How many tasks may be in flight; none outside of the windows, and None for any number."""
        if not is_open(self.windows, now):
            return 0
        if not self.windows:
            return self.max_parallel_tasks or None
        return min(self.max_parallel_tasks or TASKS_WITH_WINDOWS, TASKS_WITH_WINDOWS)
