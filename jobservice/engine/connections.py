"""Blocking HTTP/1.1 connections for blob bytes, kept alive between blobs.

Threads with blocking sockets move bytes at a third of the processor time that an event loop needs: one buffer, no
copies between layers, and the interpreter's lock is free while the kernel, TLS and sha256 are at work.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from jobservice.engine.cancellation import Cancellation
from jobservice.engine.exchange import Exchange, Origin, mapped_errors, redirected
from jobservice.engine.proxies import Proxies
from jobservice.engine.thread_gate import TransferGate
from oci_client.answers import registry_error, without_query
from oci_client.errors import RegistryError, UnexpectedAnswer

CONNECT_TIMEOUT_S: Final = 10.0  # TCP and TLS together; a registry that is up answers within a few round trips
STALL_TIMEOUT_S: Final = 60.0  # without a single byte in either direction, a connection counts as dead
DRAIN_TIMEOUT_S: Final = 1.0  # for the rest of an answer; a new connection would take no longer
KEEPALIVE_S: Final = 15.0  # load balancers in front of registries close idle connections after 20 s and more
MAX_REDIRECTS: Final = 5
MAX_ERROR_BODY_BYTES: Final = 64 * 1024
MAX_DRAIN_BYTES: Final = 64 * 1024  # a small rest is read so that the connection can be used again
# A send buffer of this size lets one `sendall` of a large piece return while the kernel still sends it.
SEND_BUFFER_BYTES: Final = 1024 * 1024

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# A proxy that unpacks a body on the way would break its digest.
_DEFAULT_HEADERS: Final = {"Accept-Encoding": "identity", "User-Agent": "transship"}


class Connections:
    """Idle connections to one registry and to the hosts that it redirects to. Safe to share among threads."""

    def __init__(self, tls: ssl.SSLContext, *, stall_timeout_s: float = STALL_TIMEOUT_S) -> None:
        self._tls = tls
        self._stall_timeout_s = stall_timeout_s
        self._proxies = Proxies()
        self._idle: dict[Origin, list[tuple[float, http.client.HTTPConnection]]] = {}
        self._lock = threading.Lock()

    def send_head(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        authorization: str | None,
        gate: TransferGate,
        cancellation: Cancellation,
    ) -> Exchange:
        """Connect and send a request's head, unless the registry is held; the caller sends the body, if there is one.

        Raises Unreachable, TlsFailure and RegistryTimeout.
        """
        cancellation.check()
        gate.wait_for_release(cancellation)
        began_at = time.monotonic()
        origin = Origin.of(url)
        connection = self._take(origin)
        target, own_headers = self._target(origin, url)
        if authorization:
            own_headers["Authorization"] = authorization
        with mapped_errors(url):
            try:
                sock = self._connect(connection)
                with cancellation.guarding(sock):
                    connection.putrequest(method, target, skip_accept_encoding=True)
                    for name, value in {**_DEFAULT_HEADERS, **headers, **own_headers}.items():
                        connection.putheader(name, value)
                    connection.endheaders()
            except BaseException:
                connection.close()
                raise
        return Exchange(origin, connection, sock, method, url, gate, began_at)

    def get(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        authorization: str | None,
        gate: TransferGate,
        cancellation: Cancellation,
    ) -> Exchange:
        """Send a GET, follow its redirects and return the exchange with the answer's head read.

        The authorization goes to the first host only. Raises Unreachable and UnexpectedAnswer.
        """
        first = Origin.of(url)
        for _ in range(MAX_REDIRECTS + 1):
            credential = authorization if Origin.of(url) == first else None
            exchange = self.send_head(
                "GET", url, headers, authorization=credential, gate=gate, cancellation=cancellation
            )
            self.answer(exchange, cancellation)
            if exchange.status not in _REDIRECTS:
                return exchange
            try:
                url = redirected(exchange)
            finally:
                self.finish(exchange)
        raise UnexpectedAnswer(f"{without_query(url)}: more than {MAX_REDIRECTS} redirects")

    def answer(self, exchange: Exchange, cancellation: Cancellation) -> None:
        """Wait for the answer's head."""
        with mapped_errors(exchange.url):
            try:
                with cancellation.guarding(exchange.sock):
                    exchange.read_head()
            except BaseException:
                exchange.close()
                raise

    def refusal(self, exchange: Exchange, cancellation: Cancellation) -> RegistryError:
        """Read what the registry says in a refusal, give the connection back, and return the error that it means."""
        assert exchange.response is not None
        body = b""
        try:
            with suppress(OSError, http.client.HTTPException), cancellation.guarding(exchange.sock):
                body = exchange.response.read(MAX_ERROR_BODY_BYTES)
        finally:
            self.finish(exchange)
        return registry_error(exchange.method, exchange.url, exchange.status, exchange.headers, body)

    def finish(self, exchange: Exchange) -> None:
        """Give the connection back when it can be used again, and close it otherwise."""
        if not _is_reusable(exchange):
            exchange.close()
            return
        with self._lock:
            self._idle.setdefault(exchange.origin, []).append((time.monotonic(), exchange.connection))

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for _, connection in connections:
                connection.close()

    def _take(self, origin: Origin) -> http.client.HTTPConnection:
        """Return an idle connection that is still good, the most recently used first, or a new one."""
        while True:
            with self._lock:
                idle = self._idle.get(origin)
                if not idle:
                    return self._new(origin)
                since, connection = idle.pop()
            if time.monotonic() - since < KEEPALIVE_S and not is_readable(connection.sock):
                return connection
            connection.close()

    def _new(self, origin: Origin) -> http.client.HTTPConnection:
        proxy = self._proxies.of(origin.scheme, origin.host)
        host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
        if origin.scheme == "https":
            secure = http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT_S, context=self._tls)
            if proxy:
                secure.set_tunnel(origin.host, origin.port, proxy.headers)
            return secure
        return http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT_S)

    def _connect(self, connection: http.client.HTTPConnection) -> socket.socket:
        if connection.sock is None:
            connection.connect()
        sock: Any = connection.sock  # connected now; its stub says None for good
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.settimeout(self._stall_timeout_s)
        connected: socket.socket = sock
        return connected

    def _target(self, origin: Origin, url: str) -> tuple[str, dict[str, str]]:
        """Return what goes into the request line, and the headers that only a proxy of plain HTTP reads."""
        proxy = self._proxies.of(origin.scheme, origin.host) if origin.scheme == "http" else None
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if proxy is None:
            return target, {}
        return f"{parts.scheme}://{parts.netloc}{target}", dict(proxy.headers)


def is_readable(sock: socket.socket | None) -> bool:
    """Tell whether the peer has said something, or closed the connection."""
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _is_reusable(exchange: Exchange) -> bool:
    """Read a small rest of the answer and tell whether the connection takes another request."""
    response = exchange.response
    if response is None or response.will_close or exchange.connection.sock is None:
        return False
    if not response.isclosed() and (response.length or 0) <= MAX_DRAIN_BYTES:
        with suppress(OSError, http.client.HTTPException):
            exchange.sock.settimeout(DRAIN_TIMEOUT_S)
            response.read(MAX_DRAIN_BYTES)
    return response.isclosed()
