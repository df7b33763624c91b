"""Why something that a source has is not replicated."""

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """What decided."""

    EXCLUDED = "excluded"
    NOT_INCLUDED = "not_included"
    NOT_NEWEST = "not_newest"
    NOT_REPLICATED = "not_replicated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """What decided, and the place of the deciding filter in the policy's own list; None when no single one decided."""

    cause: Cause
    filter_index: int | None = None
    message: str
