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
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from jobservice.engine.cancellation import Cancellation
from oci_client.answers import registry_error, without_query
from oci_client.errors import RegistryError, RegistryTimeout, TlsFailure, TruncatedBody, UnexpectedAnswer, Unreachable
from oci_client.headers import Headers

CONNECT_TIMEOUT_S: Final = 10.0  # TCP and TLS together; a registry that is up answers within a few round trips
STALL_TIMEOUT_S: Final = 60.0  # without a single byte in either direction, a connection counts as dead
KEEPALIVE_S: Final = 15.0  # load balancers in front of registries close idle connections after 20 s and more
MAX_REDIRECTS: Final = 5
MAX_ERROR_BODY_BYTES: Final = 64 * 1024
MAX_DRAIN_BYTES: Final = 64 * 1024  # a small rest is read so that the connection can be used again
# A send buffer of this size lets one `sendall` of a large piece return while the kernel still sends it.
SEND_BUFFER_BYTES: Final = 1024 * 1024

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection leads."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of `url`, with the scheme's own port where the URL has none."""
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise UnexpectedAnswer(f"{without_query(url)} is no http or https URL")
        return cls(parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS[parts.scheme])


@dataclass(slots=True)
class Exchange:
    """One request and the answer to it. `finish` or `abort` it."""

    origin: Origin
    connection: http.client.HTTPConnection
    method: str
    url: str
    response: http.client.HTTPResponse | None = None
    headers: Headers = field(default_factory=Headers)

    @property
    def sock(self) -> socket.socket:
        """The connected socket."""
        sock: socket.socket = self.connection.sock
        return sock

    @property
    def status(self) -> int:
        """The answer's status."""
        assert self.response is not None
        return self.response.status

    def read_head(self) -> None:
        """Wait for the answer's head."""
        self.response = self.connection.getresponse()
        self.headers = Headers(self.response.getheaders())

    def refusal(self) -> RegistryError:
        """Return the error that the answer means."""
        assert self.response is not None
        with suppress(OSError, http.client.HTTPException):
            return registry_error(
                self.method, self.url, self.status, self.headers, self.response.read(MAX_ERROR_BODY_BYTES)
            )
        return registry_error(self.method, self.url, self.status, self.headers, b"")


class Connections:
    """Idle connections to one registry and to the hosts that it redirects to. Safe to share among threads."""

    def __init__(self, tls: ssl.SSLContext, *, stall_timeout_s: float = STALL_TIMEOUT_S) -> None:
        self._tls = tls
        self._stall_timeout_s = stall_timeout_s
        self._proxies = getproxies()
        self._idle: dict[Origin, list[tuple[float, http.client.HTTPConnection]]] = {}
        self._lock = threading.Lock()

    def send_head(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        authorization: str | None,
        cancellation: Cancellation,
    ) -> Exchange:
        """Connect and send a request's head; the caller sends the body, if there is one.

        Raises Unreachable, TlsFailure and RegistryTimeout.
        """
        cancellation.check()
        origin = Origin.of(url)
        connection = self._take(origin)
        exchange = Exchange(origin, connection, method, url)
        with mapped_errors(url):
            try:
                self._connect(connection)
                with cancellation.guarding(exchange.sock):
                    connection.putrequest(method, self._target(url), skip_accept_encoding=True)
                    # A proxy that unpacks a body on the way would break its digest.
                    for name, value in {"Accept-Encoding": "identity", "User-Agent": "transship", **headers}.items():
                        connection.putheader(name, value)
                    if authorization:
                        connection.putheader("Authorization", authorization)
                    connection.endheaders()
            except BaseException:
                connection.close()
                raise
        return exchange

    def get(
        self, url: str, headers: Mapping[str, str], *, authorization: str | None, cancellation: Cancellation
    ) -> Exchange:
        """Send a GET, follow its redirects and return the exchange with the answer's head read.

        The authorization goes to the first host only. Raises Unreachable and UnexpectedAnswer.
        """
        first = Origin.of(url)
        for _ in range(MAX_REDIRECTS + 1):
            credential = authorization if Origin.of(url) == first else None
            exchange = self.send_head("GET", url, headers, authorization=credential, cancellation=cancellation)
            self.answer(exchange, cancellation)
            if exchange.status not in _REDIRECTS:
                return exchange
            url = redirected(exchange)
            self.finish(exchange)
        raise UnexpectedAnswer(f"{without_query(url)}: more than {MAX_REDIRECTS} redirects")

    def answer(self, exchange: Exchange, cancellation: Cancellation) -> None:
        """Wait for the answer's head."""
        with mapped_errors(exchange.url):
            try:
                with cancellation.guarding(exchange.sock):
                    exchange.read_head()
            except BaseException:
                exchange.connection.close()
                raise

    def finish(self, exchange: Exchange) -> None:
        """Give the connection back when it can be used again, and close it otherwise."""
        response = exchange.response
        if response is None:
            exchange.connection.close()
            return
        with suppress(OSError, http.client.HTTPException):
            if not response.isclosed():
                response.read(MAX_DRAIN_BYTES)
        if response.isclosed() and exchange.connection.sock is not None and not response.will_close:
            with self._lock:
                self._idle.setdefault(exchange.origin, []).append((time.monotonic(), exchange.connection))
        else:
            exchange.connection.close()

    def abort(self, exchange: Exchange) -> None:
        """Close the connection in the middle of whatever it was doing."""
        exchange.connection.close()

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
            if time.monotonic() - since < KEEPALIVE_S and not _readable(connection.sock):
                return connection
            connection.close()

    def _new(self, origin: Origin) -> http.client.HTTPConnection:
        proxy = self._proxy(origin)
        via = Origin.of(proxy) if proxy else origin
        if origin.scheme == "https":
            secure = http.client.HTTPSConnection(via.host, via.port, timeout=CONNECT_TIMEOUT_S, context=self._tls)
            if proxy:
                secure.set_tunnel(origin.host, origin.port)
            return secure
        return http.client.HTTPConnection(via.host, via.port, timeout=CONNECT_TIMEOUT_S)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        if connection.sock is not None:
            return
        connection.connect()
        sock: Any = connection.sock  # connected now; its stub says None for good
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        sock.settimeout(self._stall_timeout_s)

    def _proxy(self, origin: Origin) -> str | None:
        proxy = self._proxies.get(origin.scheme) or self._proxies.get("all")
        return None if proxy is None or proxy_bypass(origin.host) else proxy

    def _target(self, url: str) -> str:
        """Return what goes into the request line: the path, or the whole URL for a proxy of plain HTTP."""
        parts = urlsplit(url)
        if parts.scheme == "http" and self._proxy(Origin.of(url)):
            return url
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


class mapped_errors:  # noqa: N801 - used like a function
    """Turns what sockets and http.client raise into the errors of oci_client."""

    def __init__(self, url: str, *, body: bool = False) -> None:
        self._url = url
        self._body = body

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        where = without_query(self._url)
        match exc:
            case ssl.SSLCertVerificationError():
                raise TlsFailure(f"{where}: {exc.verify_message}") from exc
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
                raise (TruncatedBody if self._body else Unreachable)(f"{where}: the connection broke") from exc
            case ssl.SSLError():
                raise TlsFailure(f"{where}: {exc}") from exc
            case TimeoutError():
                raise RegistryTimeout(f"{where}: no byte came in time") from exc
            case http.client.HTTPException() | OSError():
                kind_ = TruncatedBody if self._body else Unreachable
                raise kind_(f"{where}: {str(exc) or type(exc).__name__}") from exc
            case _:
                return


def _readable(sock: socket.socket | None) -> bool:
    """Tell whether there is something to read on an idle connection, which means that the peer has closed it."""
    if sock is None:
        return True
    poll = select.poll()
    poll.register(sock, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def redirected(exchange: Exchange) -> str:
    """Return where an answer sends its request on to; raises UnexpectedAnswer for a bad target."""
    target = exchange.headers.get("location")
    if not target:
        raise UnexpectedAnswer(f"{without_query(exchange.url)}: a redirect without a Location")
    url = urljoin(exchange.url, target)
    if exchange.origin.scheme == "https" and Origin.of(url).scheme != "https":
        raise UnexpectedAnswer(f"{without_query(exchange.url)}: redirects from https to http")
    return url
