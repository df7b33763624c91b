"""Repository names as the distribution specification allows them."""

import re
from typing import Final

MAX_REPOSITORY_CHARS: Final = 255

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")


def is_repository_name(text: str) -> bool:
    return len(text) <= MAX_REPOSITORY_CHARS and _REPOSITORY.fullmatch(text) is not None
