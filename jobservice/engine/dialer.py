"""Opens connections: directly, or through the proxy that the environment names."""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from jobservice.engine.exchange import Origin
from jobservice.engine.proxies import Proxies, Proxy
from oci_client.network import Network

CONNECT_TIMEOUT_S: Final = 10.0  # TCP and TLS together; a registry that is up answers within a few round trips


class Dialer:
    """Opens the connections that belong to one registry, `home`. Safe to share among threads."""

    def __init__(self, tls: ssl.SSLContext, home: Origin, network: Network) -> None:
        self._tls = tls
        self._home = home
        self._network = network
        self._proxies = Proxies()

    def must_be_public(self, origin: Origin) -> bool:
        """Tell whether a public registry has named another host, which then has to be a public one too."""
        return origin != self._home and self._network.is_public_host(self._home.host)

    def open(self, origin: Origin, *, public: bool) -> http.client.HTTPConnection:
        """Return a new connection. Raises RedirectRefused when it should lead to a public host and would not."""
        proxy = self._proxies.of(origin.scheme, origin.host)
        connection = self._prepared(origin, proxy)
        if not public:
            connection.connect()
        elif proxy:
            # A proxy resolves names by itself, and may be where no registry can send us.
            self._network.check_public(origin.host)
            connection.connect()
        else:
            connection.sock = self._connected(origin)
        return connection

    def target(self, origin: Origin, url: str) -> tuple[str, dict[str, str]]:
        """Return what goes into the request line, and the headers that only a proxy of plain HTTP reads."""
        proxy = self._proxies.of(origin.scheme, origin.host) if origin.scheme == "http" else None
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if proxy is None:
            return target, {}
        return f"{parts.scheme}://{parts.netloc}{target}", dict(proxy.headers)

    def _prepared(self, origin: Origin, proxy: Proxy | None) -> http.client.HTTPConnection:
        host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
        if origin.scheme == "https":
            secure = http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT_S, context=self._tls)
            if proxy:
                secure.set_tunnel(origin.host, origin.port, proxy.headers)
            return secure
        return http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT_S)

    def _connected(self, origin: Origin) -> socket.socket:
        """Connect to one of the addresses that were looked at: the name might mean another one by now."""
        sock = _first_that_answers(self._network.resolve_public(origin.host), origin.port)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if origin.scheme == "https":
                return self._tls.wrap_socket(sock, server_hostname=origin.host)
        except BaseException:
            sock.close()
            raise
        return sock


def _first_that_answers(addresses: list[str], port: int) -> socket.socket:
    last: OSError = OSError("the name has no address")
    for address in addresses:
        try:
            return socket.create_connection((address, port), CONNECT_TIMEOUT_S)
        except OSError as error:
            last = error
    raise last
