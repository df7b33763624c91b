"""What belongs to the rpc being served: its request id and its deadline. Tasks that a handler starts inherit both."""

import asyncio
from contextvars import ContextVar
from typing import Final

REQUEST_ID_HEADER: Final = "x-request-id"

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def current_request_id() -> str | None:
    """The id that ties together the log lines and calls of one request; None outside of an rpc."""
    return _request_id.get()


def set_request_id(request_id: str) -> None:
    _request_id.set(request_id)


def remaining_s() -> float | None:
    """Seconds until the caller gives up, not below zero; None when there is no deadline."""
    deadline = _deadline.get()
    return None if deadline is None else max(0.0, deadline - asyncio.get_running_loop().time())


def set_deadline(seconds_from_now: float | None) -> None:
    """Bounds every call made from here on; None lifts the bound, for work that outlives its request."""
    _deadline.set(None if seconds_from_now is None else asyncio.get_running_loop().time() + seconds_from_now)
