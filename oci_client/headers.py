"""HTTP headers, and the few whose values need reading."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Self

_DELAY_SECONDS: Final = re.compile(r"\d{1,9}")
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_LINK: Final = re.compile(r"<([^>]*)>((?:\s*;\s*[^,;\s=]+\s*=\s*(?:\"[^\"]*\"|[^\",;\s]*))*)")
_REL_NEXT: Final = re.compile(r";\s*rel\s*=\s*\"?(?:[^\";]*\s)?next(?:\s[^\";]*)?\"?\s*(?:;|$)", re.IGNORECASE)
_LIMIT: Final = re.compile(r"(\d{1,12})\s*(?:;\s*w=(\d{1,9}))?")


class Headers:
    """Received headers, by name in any case."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in items:
            self._values.setdefault(name.lower(), []).append(value)

    def get(self, name: str, default: str = "") -> str:
        """Return the value; several of one name are joined by commas, as HTTP allows."""
        return ", ".join(self._values.get(name.lower(), ())) or default

    def all(self, name: str) -> tuple[str, ...]:
        """Return each value of that name on its own."""
        return tuple(self._values.get(name.lower(), ()))

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._values

    def __repr__(self) -> str:
        # Values may be secrets.
        return f"Headers({', '.join(sorted(self._values))})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimit:
    """What is left of a quota, as Docker Hub tells it: `ratelimit-limit: 100;w=21600`.

    `reset_s` is the time until the whole quota is back, for registries whose windows do not slide.
    """

    limit: int | None
    remaining: int
    window_s: int | None
    reset_s: int | None = None

    @classmethod
    def from_headers(cls, headers: Headers) -> Self | None:
        remaining = _LIMIT.match(headers.get("ratelimit-remaining"))
        if remaining is None:
            return None
        limit = _LIMIT.match(headers.get("ratelimit-limit"))
        window = remaining[2] or (limit and limit[2])
        # Seconds by the draft; some give a moment, which is too large to be a delay.
        reset = _DELAY_SECONDS.fullmatch(headers.get("ratelimit-reset").strip())
        return cls(
            limit=int(limit[1]) if limit else None,
            remaining=int(remaining[1]),
            window_s=int(window) if window else None,
            reset_s=int(reset[0]) if reset else None,
        )


def retry_after(headers: Headers, now: datetime) -> float | None:
    """Return the seconds that Retry-After asks to wait, whether it says seconds or a date.

    In its place, Docker Hub's API has X-Retry-After, in seconds since the epoch.
    """
    value = headers.get("retry-after").strip()
    if _DELAY_SECONDS.fullmatch(value):
        return float(value)
    if not value and (epoch := whole_number(headers.get("x-retry-after").strip())) is not None:
        return max(0.0, epoch - now.timestamp())
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def next_link(headers: Headers) -> str | None:
    """Return the target of `Link: <…>; rel="next"`, as written."""
    for target, parameters in _LINK.findall(headers.get("link")):
        if _REL_NEXT.search(parameters):
            return str(target)
    return None


def content_length(headers: Headers) -> int | None:
    return whole_number(headers.get("content-length"))


def whole_number(text: str) -> int | None:
    """Read a count of bytes; None for anything else, such as a number beyond all reason."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text) else None
