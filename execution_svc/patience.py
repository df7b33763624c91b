"""How long to go on trying when something that is needed does not answer."""

import random
from collections.abc import Iterator
from typing import Final

from service_kit.errors import Kind, ServiceError

# A restart of another service, or of its database, must not fail an execution.
SERVICE_PATIENCE_S: Final = 600.0
# A registry that is down for longer is told to the user, who may know why.
REGISTRY_PATIENCE_S: Final = 60.0
FIRST_WAIT_S: Final = 0.2
LONGEST_WAIT_S: Final = 15.0

_TRANSIENT_KINDS: Final = frozenset({Kind.UNAVAILABLE, Kind.DEADLINE_EXCEEDED, Kind.RESOURCE_EXHAUSTED, Kind.CANCELLED})


def patience_s(error: ServiceError) -> float:
    """How many seconds from the first failure on it makes sense to try again; 0 when the answer is final."""
    if error.reason == "REGISTRY_UNREACHABLE":
        return REGISTRY_PATIENCE_S
    return SERVICE_PATIENCE_S if error.kind in _TRANSIENT_KINDS else 0.0


def waits_s(longest: float = LONGEST_WAIT_S) -> Iterator[float]:
    """Seconds to wait before each next try: twice as long each time, less a random part."""
    wait = FIRST_WAIT_S
    while True:
        yield wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, guards nothing
        wait = min(wait * 2, longest)
