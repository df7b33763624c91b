"""The HTTP endpoint that registries send their notifications to: `POST /v1/events/{registry}`."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web
from structlog.contextvars import bound_contextvars

from policy_svc.events.service import EventService
from service_kit.errors import InternalError, InvalidRequest, Kind, ServiceError, Unauthenticated
from service_kit.status import as_service_error
from service_kit.tls import ServerTls

MAX_BODY_BYTES: Final = 1024 * 1024  # a thousand events; registries send a few at a time
BODY_TIMEOUT_S: Final = 10.0  # who sends slower holds a connection for nothing
CLOSE_TIMEOUT_S: Final = 2.0  # what a registry could not tell before the end it sends again

_PATH: Final = "/v1/events/{registry:[a-z0-9][a-z0-9._-]{0,63}}"
_STATUSES: Final = {
    Kind.INVALID_ARGUMENT: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.NOT_FOUND: 404,
    Kind.UNAVAILABLE: 503,
    Kind.DEADLINE_EXCEEDED: 503,
}

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class EventEndpoint:
    """Takes notifications; a sender gets its answer after they are stored."""

    def __init__(self, events: EventService) -> None:
        self._events = events

    @asynccontextmanager
    async def serve(self, listen: str, tls: ServerTls | None = None) -> AsyncIterator[str]:
        """Serves on `host:port`, where port 0 takes a free one, and gives the address as bound.

        Raises:
            OSError: the address cannot be bound.
        """
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.router.add_post(_PATH, self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=CLOSE_TIMEOUT_S)
        await runner.setup()
        try:
            host, _, port = listen.rpartition(":")
            # A supervisor may keep the port reserved with a socket of its own while the service restarts.
            context = tls.context() if tls else None
            await web.TCPSite(runner, host.strip("[]"), int(port), ssl_context=context, reuse_port=True).start()
            yield f"{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        """Answers as the registries understand it: by the status. The body is for people."""
        with bound_contextvars(request_id=uuid.uuid4().hex, registry=f"registries/{request.match_info['registry']}"):
            try:
                return await self._take(request)
            except web.HTTPRequestEntityTooLarge:
                log.warning("notification refused", status=413)
                return _error(413, InvalidRequest(), f"The body is larger than {MAX_BODY_BYTES} bytes.")
            except TimeoutError:
                log.warning("notification refused", status=408)
                return _error(408, InvalidRequest(), f"The body did not come within {BODY_TIMEOUT_S:.0f} s.")
            except (web.RequestPayloadError, ConnectionError):
                log.warning("notification refused", status=400)
                return _error(400, InvalidRequest(), "The body broke off.")
            except Exception as error:
                known = as_service_error(error)
                status = _STATUSES.get(known.kind, 500)
                if isinstance(known, InternalError):
                    log.exception("notification failed", exc_info=error)
                else:
                    log.warning("notification refused", status=status, reason=known.reason)
                return _error(status, known, _message(known))

    async def _take(self, request: web.Request) -> web.Response:
        source = await self._events.authenticate(f"registries/{request.match_info['registry']}", _secret(request))
        async with asyncio.timeout(BODY_TIMEOUT_S):
            body = await request.read()
        receipt = await self._events.receive(source, body)
        log.debug("notification taken", stored=receipt.stored, known=receipt.known, ignored=receipt.ignored)
        return web.json_response({"stored": receipt.stored, "known": receipt.known, "ignored": receipt.ignored})


def _secret(request: web.Request) -> str:
    """What the sender proves itself with: as a bearer, or, from Harbor, all of the header.

    Raises:
        Unauthenticated: there is nothing.
    """
    header = request.headers.get("Authorization", "")
    scheme, _, rest = header.partition(" ")
    if secret := (rest if scheme.lower() == "bearer" else header).strip():
        return secret
    raise Unauthenticated


def _message(error: ServiceError) -> str:
    details = "".join(f" The {each.field} {each.description}." for each in error.violations)
    return f"{error.message}{details}"


def _error(status: int, error: ServiceError, message: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    body = json.dumps({"reason": error.reason, "message": message})
    return web.Response(status=status, text=body, content_type="application/json", headers=headers)
