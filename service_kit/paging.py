"""Pages of a list: how many items, and where the next page begins."""

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Final, Self

from service_kit.errors import FieldViolation, InvalidPageToken, InvalidRequest

DEFAULT_PAGE_SIZE: Final = 50
MAXIMUM_PAGE_SIZE: Final = 1000
_FINGERPRINT_HEX_DIGITS: Final = 16  # tells filters apart; it guards against mistakes, not against attackers


def page_size(requested: int, *, default: int = DEFAULT_PAGE_SIZE, maximum: int = MAXIMUM_PAGE_SIZE) -> int:
    """The number of items for a page; 0 asks for the default.

    Raises:
        InvalidRequest: the size is negative or over the maximum.
    """
    if 0 <= requested <= maximum:
        return requested or default
    description = f"must be between 0 (for the default of {default}) and {maximum}, not {requested}"
    raise InvalidRequest(violations=[FieldViolation("page_size", description, "PAGE_SIZE_OUT_OF_RANGE")])


@dataclass(frozen=True, slots=True)
class PageToken:
    """The sort key of the last item that the caller has seen; opaque to the caller."""

    cursor: tuple[str | int, ...]

    def encode(self, *filters: object) -> str:
        """The token as text, bound to the filters of the list."""
        text = json.dumps([_fingerprint(filters), *self.cursor], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, *filters: object) -> Self | None:
        """The token that `encode` wrote for the same filters; None for the first page, which has none.

        Raises:
            InvalidPageToken: not written by us, or for other filters.
        """
        if not text:
            return None
        try:
            padded = text + "=" * (-len(text) % 4)
            fingerprint, *cursor = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (ValueError, TypeError) as error:
            raise InvalidPageToken from error
        if fingerprint != _fingerprint(filters) or not all(isinstance(part, str | int) for part in cursor):
            raise InvalidPageToken
        return cls(tuple(cursor))


def _fingerprint(filters: tuple[object, ...]) -> str:
    return hashlib.sha256(repr(filters).encode()).hexdigest()[:_FINGERPRINT_HEX_DIGITS]
