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

from jobservice.engine.cancellation import Cancellation
from jobservice.engine.dialer import Dialer
from jobservice.engine.exchange import Exchange, Origin, mapped_errors, redirected
from jobservice.engine.thread_gate import TransferGate
from oci_client.answers import registry_error, without_query
from oci_client.errors import RegistryError, UnexpectedAnswer
from oci_client.network import OURS, Network

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
    """Idle connections to one registry, `home`, and to the hosts that it sends us to. Safe to share among threads."""

    def __init__(
        self, tls: ssl.SSLContext, home: Origin, *, network: Network = OURS, stall_timeout_s: float = STALL_TIMEOUT_S
    ) -> None:
        self._dialer = Dialer(tls, home, network)
        self._stall_timeout_s = stall_timeout_s
        # By where they lead, and whether that was looked at.
        self._idle: dict[tuple[Origin, bool], list[tuple[float, http.client.HTTPConnection]]] = {}
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

        Raises Unreachable, TlsFailure and RegistryTimeout, and RedirectRefused when a public registry has named a host
        that only we can reach.
        """
        cancellation.check()
        gate.wait_for_release(cancellation)
        began_at = time.monotonic()
        origin = Origin.of(url)
        target, own_headers = self._dialer.target(origin, url)
        if authorization:
            own_headers["Authorization"] = authorization
        with mapped_errors(url):
            public = self._dialer.must_be_public(origin)
            connection = self._take(origin, public=public)
            try:
                sock = self._set_up(connection)
                with cancellation.guarding(sock):
                    connection.putrequest(method, target, skip_accept_encoding=True)
                    for name, value in {**_DEFAULT_HEADERS, **headers, **own_headers}.items():
                        connection.putheader(name, value)
                    connection.endheaders()
            except BaseException:
                connection.close()
                raise
        return Exchange(
            origin=origin,
            public=public,
            connection=connection,
            sock=sock,
            method=method,
            url=url,
            gate=gate,
            began_at=began_at,
        )

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
            self._idle.setdefault((exchange.origin, exchange.public), []).append(
                (time.monotonic(), exchange.connection)
            )

    def close(self) -> None:
        """Close what is idle."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for _, connection in connections:
                connection.close()

    def _take(self, origin: Origin, *, public: bool) -> http.client.HTTPConnection:
        """Return an idle connection that is still good, the most recently used first, or a new one."""
        while True:
            with self._lock:
                idle = self._idle.get((origin, public))
                if not idle:
                    break
                since, connection = idle.pop()
            if time.monotonic() - since < KEEPALIVE_S and not is_readable(connection.sock):
                return connection
            connection.close()
        return self._dialer.open(origin, public=public)

    def _set_up(self, connection: http.client.HTTPConnection) -> socket.socket:
        sock: Any = connection.sock  # connected; its stub says None for good
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.settimeout(self._stall_timeout_s)
        connected: socket.socket = sock
        return connected


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
