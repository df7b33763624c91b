"""How a service is called: with a deadline, again where that is safe, and with errors as TransshipError."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, Protocol, TypeVar

import grpc

from service_kit.errors import Kind, ServiceError
from service_kit.status import remote_errors

READ_TIMEOUT_S: Final = 15.0
# A service tries a registry before it stores it, and gives itself 30 s for a call.
CHANGE_TIMEOUT_S: Final = 35.0
# Over three seconds or more: a service needs one to find a peer again that was restarted (see service_kit.channel).
MAX_ATTEMPTS: Final = 7
# How long a stream may stay away: a service restarts in seconds, a replica takes over at once.
REOPEN_PATIENCE_S: Final = 60.0
_FIRST_DELAY_S: Final = 0.1
_MAX_DELAY_S: Final = 5.0

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class _PageRequest(Protocol):
    page_token: str


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


_PageResponse = TypeVar("_PageResponse", bound=_Page)
_Method = grpc.aio.UnaryUnaryMultiCallable


class Calls:
    """The calls to one service; `service` names it in errors."""

    def __init__(self, service: str) -> None:
        self._service = service

    async def once(
        self, method: _Method[_Request, _Response], request: _Request, *, timeout_s: float = CHANGE_TIMEOUT_S
    ) -> _Response:
        """For what must not happen twice."""
        async with remote_errors(self._service):
            return await method(request, timeout=timeout_s)

    async def repeatable(
        self, method: _Method[_Request, _Response], request: _Request, *, timeout_s: float = READ_TIMEOUT_S
    ) -> _Response:
        """For what may happen twice: asks again while the service is unavailable, within one deadline."""
        deadline = _now() + timeout_s
        for delay_s in _delays(MAX_ATTEMPTS - 1):
            try:
                return await self.once(method, request, timeout_s=deadline - _now())
            except ServiceError as error:
                wait_s = max(delay_s, error.retry_after_s or 0.0)
                if error.kind is not Kind.UNAVAILABLE or _now() + wait_s >= deadline:
                    raise
            await asyncio.sleep(wait_s)
        return await self.once(method, request, timeout_s=deadline - _now())

    async def pages(self, method: _Method[Any, _PageResponse], request: _PageRequest) -> AsyncIterator[_PageResponse]:
        """Every page of a list; request.page_token moves along."""
        while True:
            page = await self.repeatable(method, request)
            yield page
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def messages(
        self, open_stream: Callable[[], "grpc.aio.UnaryStreamCall[Any, _Response]"]
    ) -> AsyncIterator[_Response]:
        """The messages of a stream, opened again whenever its service goes away.

        Raises the service's error when it has been away for REOPEN_PATIENCE_S.
        """
        delays, away_since = _delays(), None
        while True:
            try:
                async for message in self.stream(open_stream()):
                    delays, away_since = _delays(), None
                    yield message
            except ServiceError as error:
                away_since = away_since or _now()
                if error.kind is not Kind.UNAVAILABLE or _now() - away_since >= REOPEN_PATIENCE_S:
                    raise
            else:
                return
            await asyncio.sleep(next(delays))

    async def stream(self, call: "grpc.aio.UnaryStreamCall[Any, _Response]") -> AsyncIterator[_Response]:
        """The messages of a stream that says everything anew when it is opened again, and so is not."""
        try:
            async with remote_errors(self._service):
                async for message in call:
                    yield message
        finally:
            call.cancel()  # A reader that has left must not keep the server at work.


def _delays(count: int | None = None) -> Iterator[float]:
    """Twice as long each time, less a random part, so that many clients do not come back in step."""
    ceiling_s = _FIRST_DELAY_S
    while count is None or count > 0:
        yield ceiling_s * random.uniform(0.5, 1.0)  # noqa: S311 - not a secret
        ceiling_s = min(ceiling_s * 2, _MAX_DELAY_S)
        count = None if count is None else count - 1


def _now() -> float:
    return asyncio.get_running_loop().time()
