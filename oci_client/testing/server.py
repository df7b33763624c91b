"""The sockets of the fake registry: HTTP requests become `Request`, `Reply` becomes bytes on the wire."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from urllib.parse import parse_qs
from weakref import WeakSet

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from oci_client.testing.messages import ConnectionCutError, Handler, Reply, Request
from oci_client.testing.record import Recorded, RequestLog
from oci_client.testing.routes import route

SHUTDOWN_TIMEOUT_S = 0.2  # a stalled request does not hold up the end of a test
LAST_TURNS = 5  # of the loop, in which connections that were being made or closed at the end come to theirs


class _HttpServer(web.Server):
    """Knows its connections, so that none outlives it: aiohttp lets one go that is still sending its last bytes."""

    def __init__(self, handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> None:
        super().__init__(handler, access_log=None, handler_cancellation=True)
        self._transports: WeakSet[asyncio.Transport] = WeakSet()

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        self._transports.add(transport)
        super().connection_made(handler, transport)

    async def abort(self) -> None:
        """Ends what is left of any connection."""
        for _ in range(LAST_TURNS):
            for transport in list(self._transports):
                transport.abort()
            await asyncio.sleep(0)


class Server:
    """Two ports of one registry: the second plays the storage host that requests are redirected to."""

    def __init__(self, answer: Handler, log: RequestLog, tls: ssl.SSLContext | None) -> None:
        self._answer = answer
        self._log = log
        self._tls = tls
        self._running = AsyncExitStack()
        self.url = ""
        self.storage_url = ""

    async def start(self, host: str, port: int) -> None:
        server = _HttpServer(self._serve)
        self._running.push_async_callback(server.abort)
        self._running.push_async_callback(server.shutdown, SHUTDOWN_TIMEOUT_S)
        self.url = await self._listen(server, host, port)
        self.storage_url = await self._listen(server, host, 0)

    async def stop(self) -> None:
        await self._running.aclose()

    async def _listen(self, server: _HttpServer, host: str, port: int) -> str:
        listener = await asyncio.get_running_loop().create_server(server, host, port, ssl=self._tls)
        self._running.push_async_callback(_close, listener)
        bound = listener.sockets[0].getsockname()[1]
        return f"{'https' if self._tls else 'http'}://{host}:{bound}"

    async def _serve(self, incoming: web.BaseRequest) -> web.StreamResponse:
        request, entry = self._receive(incoming)
        try:
            return await _send(incoming, await self._answer(request), entry, self._log)
        except ConnectionCutError:
            return _cut(incoming)
        finally:
            self._log.close(entry)

    def _receive(self, incoming: web.BaseRequest) -> tuple[Request, Recorded]:
        action, repository, reference = route(incoming.path)
        body = _CountedBody(incoming)
        query = parse_qs(incoming.query_string, keep_blank_values=True)
        request = Request(
            method=incoming.method,
            path=incoming.path,
            action=action,
            repository=repository,
            reference=reference,
            query={name: tuple(values) for name, values in query.items()},
            headers=_joined(incoming.headers),
            body=body.pieces(),
            registry_url=self.url,
            storage_url=self.storage_url,
        )
        body.entry = self._log.open(request)
        return request, body.entry


async def _close(listener: asyncio.Server) -> None:
    """Takes no more connections; those that it has begun to take are finished first.

    A listener that is closed between the two loses the socket of such a connection, and nobody closes that.
    """
    for each in listener.sockets:
        asyncio.get_running_loop().remove_reader(each.fileno())
    await asyncio.sleep(0)
    listener.close()


class _CountedBody:
    """The body of a request; what is read of it is counted."""

    entry: Recorded

    def __init__(self, incoming: web.BaseRequest) -> None:
        self._incoming = incoming

    async def pieces(self) -> AsyncIterator[bytes]:
        while piece := await self._incoming.content.readany():
            self.entry.bytes_in += len(piece)
            yield piece


def _joined(headers: CIMultiDictProxy[str]) -> Mapping[str, str]:
    """One value for each name: Go clients send a header line for each media type that they accept."""
    return CIMultiDict((name, ", ".join(headers.getall(name))) for name in set(headers))


async def _send(incoming: web.BaseRequest, reply: Reply, entry: Recorded, log: RequestLog) -> web.StreamResponse:
    entry.status = reply.status
    response = web.StreamResponse(status=reply.status)
    for name, value in reply.headers:
        response.headers.add(name, value)
    response.content_length = reply.size
    empty = incoming.method == "HEAD" or reply.size == 0
    if empty:
        # Closed before the client can know, so that its next request does not look like a second one in flight.
        log.close(entry)
    await response.prepare(incoming)
    if not empty and await _send_body(response, reply, entry, log):
        return _cut(incoming, orderly=True)
    await response.write_eof()
    return response


async def _send_body(response: web.StreamResponse, reply: Reply, entry: Recorded, log: RequestLog) -> bool:
    """Sends the body, or the first part of it; says whether the connection is to be cut now."""
    left = reply.size if reply.cut_after is None else min(reply.cut_after, reply.size)
    cut = left < reply.size
    for whole in reply.body:
        piece = whole[:left]
        left -= len(piece)
        entry.bytes_out += len(piece)
        if left == 0:
            log.close(entry)
        await response.write(piece)
        if reply.bytes_per_s is not None:
            await asyncio.sleep(len(piece) / reply.bytes_per_s)
        if left == 0:
            break
    return cut


def _cut(incoming: web.BaseRequest, *, orderly: bool = False) -> web.StreamResponse:
    """Ends the connection; in an orderly way, so that what was sent still arrives, or at once."""
    if incoming.transport is not None:
        (incoming.transport.close if orderly else incoming.transport.abort)()
    return web.Response()
