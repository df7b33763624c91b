"""Repository names and tags as the distribution specification allows them."""

import re
from typing import Final

MAX_REPOSITORY_CHARS: Final = 255
MAX_TAG_CHARS: Final = 128

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(rf"[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,{MAX_TAG_CHARS - 1}}}")


def is_repository_name(text: str) -> bool:
    return len(text) <= MAX_REPOSITORY_CHARS and _REPOSITORY.fullmatch(text) is not None


def is_tag(text: str) -> bool:
    return _TAG.fullmatch(text) is not None
