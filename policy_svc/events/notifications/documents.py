"""Reads JSON of which nothing is known: what is not there, or is something else, is empty."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

Document = Mapping[str, Any]
_NOTHING: Final[Document] = MappingProxyType({})


def document(value: object) -> Document:
    return value if isinstance(value, dict) else _NOTHING


def documents(value: object) -> list[Document]:
    return [document(each) for each in value] if isinstance(value, list) else []


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def moment(value: object) -> datetime | None:
    """A time in RFC 3339's form or in seconds since 1970; None for anything else."""
    try:
        match value:
            case str():
                found = datetime.fromisoformat(value)
                return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
            case int() | float() if not isinstance(value, bool):
                return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None
