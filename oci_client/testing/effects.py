"""What can go wrong with one request. Each function makes an effect for a rule."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email.utils import format_datetime
from enum import StrEnum

from oci_client.testing.faults import Effect
from oci_client.testing.messages import ConnectionCutError, Handler, RegistryError, Reply, Request
from oci_client.testing.routes import STORAGE_PREFIX

DRIP_INTERVAL_S = 0.05
_CODES = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NOT_FOUND", 405: "UNSUPPORTED", 429: "TOOMANYREQUESTS"}
_PAGE = b"<!DOCTYPE html><html><head><title>Proxy</title></head><body>Please come back later.</body></html>"


# Answers in place of the registry's


def answer_with(
    status: int,
    *,
    code: str | None = None,
    retry_after: int | datetime | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    html: bool = False,
) -> Effect:
    """Answers at once: a JSON error, the given body, or the HTML page of some proxy."""
    if html or body is not None:
        reply = Reply.of(status, _PAGE if body is None else body, content_type="text/html" if html else "text/plain")
    else:
        reply = RegistryError(status, code or _CODES.get(status, "UNKNOWN"), "told to misbehave").reply()
    for name, value in (headers or {}).items():
        reply = reply.with_header(name, value)
    if retry_after is not None:
        reply = reply.with_header("Retry-After", _spell_delay(retry_after))

    async def effect(_request: Request, _handler: Handler) -> Reply:
        return reply

    return effect


def redirect(status: int = 307) -> Effect:
    """Sends the client to the second port, with an address that is its own permission."""

    async def effect(request: Request, _handler: Handler) -> Reply:
        query = "&".join(f"{name}={value}" for name, values in request.query.items() for value in values)
        target = f"{request.storage_url}{STORAGE_PREFIX}{request.path}?{query}&signature=valid".replace("?&", "?")
        return Reply.of(status, location=target)

    return effect


def rate_limit(per_second: float, *, burst: int = 1, retry_after: int | datetime | None = 1) -> Effect:
    """429 to whatever exceeds `burst` requests at once and `per_second` in the long run."""
    refuse = answer_with(429, retry_after=retry_after)
    left, then = float(burst), time.monotonic()

    async def effect(request: Request, handler: Handler) -> Reply:
        nonlocal left, then
        now = time.monotonic()
        left, then = min(float(burst), left + (now - then) * per_second), now
        if left < 1:
            return await refuse(request, handler)
        left -= 1
        return await handler(request)

    return effect


# Connections


def hang_up() -> Effect:
    """Cuts the connection before the request is carried out."""

    async def effect(_request: Request, _handler: Handler) -> Reply:
        raise ConnectionCutError

    return effect


def lose_answer() -> Effect:
    """Carries the request out and cuts the connection in place of an answer."""

    async def effect(request: Request, handler: Handler) -> Reply:
        await handler(request)
        raise ConnectionCutError

    return effect


def cut_download(after: int) -> Effect:
    """Cuts the connection when `after` bytes of the body have gone out; Content-Length has promised more."""

    async def effect(request: Request, handler: Handler) -> Reply:
        return replace(await handler(request), cut_after=after)

    return effect


def cut_upload(after: int) -> Effect:
    """Cuts the connection when `after` bytes of the request's body have come in; the upload keeps these."""

    async def effect(request: Request, handler: Handler) -> Reply:
        return await handler(replace(request, body=_cut_body(request.body, after)))

    return effect


# Time


def drip(bytes_per_s: float) -> Effect:
    """Lets the bodies of both directions through slowly."""
    step = max(1, int(bytes_per_s * DRIP_INTERVAL_S))

    async def effect(request: Request, handler: Handler) -> Reply:
        reply = await handler(replace(request, body=_slow_body(request.body, bytes_per_s)))
        return replace(reply, body=_sliced(reply.body, step), bytes_per_s=bytes_per_s)

    return effect


@dataclass(slots=True)
class Stall:
    """Holds requests back until they are released, which may be said from any thread.

    The body is taken in meanwhile: a server that stops reading does not see that its client has left.
    """

    _waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)
    _reached: asyncio.Event = field(default_factory=asyncio.Event)
    _released: bool = False

    async def __call__(self, request: Request, handler: Handler) -> Reply:
        event = asyncio.Event()
        self._waiting.append((asyncio.get_running_loop(), event))
        self._reached.set()
        if not self._released:
            body = asyncio.ensure_future(_taken_in(request.body))
            # When the client has left, nobody asks how its body ended.
            body.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
            try:
                await event.wait()
                request = replace(request, body=_given_back(await body))
            finally:
                body.cancel()
        return await handler(request)

    async def reached(self) -> None:
        """Returns when a request is being held; for callers on the registry's own loop."""
        await self._reached.wait()

    def release(self) -> None:
        """Lets all go on, those held and those to come."""
        self._released = True
        for loop, event in self._waiting:
            loop.call_soon_threadsafe(event.set)


# Replies that are not what they should be


def with_status(status: int) -> Effect:
    """Carries the request out, and answers with another status."""

    async def effect(request: Request, handler: Handler) -> Reply:
        return replace(await handler(request), status=status)

    return effect


def with_header(name: str, *values: str) -> Effect:
    """Sets a header of the reply; without values, leaves the header out."""

    async def effect(request: Request, handler: Handler) -> Reply:
        return (await handler(request)).with_header(name, *values)

    return effect


def truncate(to: int) -> Effect:
    """Sends the first `to` bytes of the body as if they were all."""

    async def effect(request: Request, handler: Handler) -> Reply:
        reply = await handler(request)
        return replace(reply, size=min(to, reply.size))

    return effect


def flip_byte(at: int = 0) -> Effect:
    """Changes one byte of the body; size and headers stay right."""

    async def effect(request: Request, handler: Handler) -> Reply:
        reply = await handler(request)
        return replace(reply, body=_flipped(reply.body, at))

    return effect


def endless_paging() -> Effect:
    """The next page of a list is always the same page."""

    async def effect(request: Request, handler: Handler) -> Reply:
        return (await handler(request)).with_header("Link", f'<{request.path}?n=1&last=>; rel="next"')

    return effect


class LocationForm(StrEnum):
    """How a Location is written; the registry's own is a path."""

    ABSOLUTE = "absolute"
    EXTRA_QUERY = "extra-query"
    OTHER_HOST = "other-host"
    MISSING = "missing"


def location(form: LocationForm) -> Effect:
    """Writes the Location of the reply in another form."""

    async def effect(request: Request, handler: Handler) -> Reply:
        reply = await handler(request)
        path = reply.header("Location")
        if path is None:
            return reply
        forms = {
            LocationForm.ABSOLUTE: (request.registry_url + path,),
            LocationForm.EXTRA_QUERY: (f"{path}{'&' if '?' in path else '?'}token=a%2Fb%3D%3D&empty=",),
            LocationForm.OTHER_HOST: (request.storage_url + STORAGE_PREFIX + path,),
            LocationForm.MISSING: (),
        }
        return reply.with_header("Location", *forms[form])

    return effect


def stuck_range() -> Effect:
    """The Range of an upload stays where its first chunk ended, as has been seen on ECR."""
    first: dict[str, str] = {}

    async def effect(request: Request, handler: Handler) -> Reply:
        reply = await handler(request)
        stands = reply.header("Range")
        return reply.with_header("Range", first.setdefault(request.reference, stands)) if stands else reply

    return effect


async def _cut_body(body: AsyncIterator[bytes], after: int) -> AsyncIterator[bytes]:
    left = after
    async for piece in body:
        if len(piece) > left:
            yield piece[:left]
            raise ConnectionCutError
        left -= len(piece)
        yield piece


async def _taken_in(body: AsyncIterator[bytes]) -> list[bytes]:
    return [piece async for piece in body]


async def _given_back(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def _slow_body(body: AsyncIterator[bytes], bytes_per_s: float) -> AsyncIterator[bytes]:
    async for piece in body:
        await asyncio.sleep(len(piece) / bytes_per_s)
        yield piece


def _sliced(body: Iterable[bytes], step: int) -> Iterator[bytes]:
    for piece in body:
        for at in range(0, len(piece), step):
            yield piece[at : at + step]


def _flipped(body: Iterable[bytes], at: int) -> Iterator[bytes]:
    position = 0
    for piece in body:
        within = at - position
        position += len(piece)
        if 0 <= within < len(piece):
            yield piece[:within] + bytes([piece[within] ^ 0xFF]) + piece[within + 1 :]
        else:
            yield piece


def _spell_delay(retry_after: int | datetime) -> str:
    return str(retry_after) if isinstance(retry_after, int) else format_datetime(retry_after, usegmt=True)
