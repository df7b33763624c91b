"""Certificates from files, for both ends of a connection."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import structlog

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerTls:
    """How a server proves who it is; with a client authority, callers must prove it too."""

    cert: Path
    key: Path
    client_ca: Path | None = None

    def credentials(self) -> grpc.ServerCredentials:
        """Credentials that follow the files: each handshake uses the newest certificate that can be read."""
        return grpc.dynamic_ssl_server_credentials(
            self._configuration(), self._fetcher(), require_client_authentication=self.client_ca is not None
        )

    def context(self) -> ssl.SSLContext:
        """The same for servers on Python's own sockets, but that callers need no certificate. Follows the files too."""
        context = self.fresh_context()
        context.sni_callback = _Renewal(self, context)
        return context

    def fresh_context(self) -> ssl.SSLContext:
        """With the certificate as it is now."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.cert, self.key)
        return context

    def _fetcher(self) -> Callable[[], Any]:
        def fetch() -> Any:
            try:
                return self._configuration()
            except OSError as error:
                log.warning("certificate not readable, keeping the last one", error=str(error))
                return None

        return fetch

    def _configuration(self) -> Any:
        return grpc.ssl_server_certificate_configuration(
            [(self.key.read_bytes(), self.cert.read_bytes())],
            root_certificates=self.client_ca.read_bytes() if self.client_ca else None,
        )


class _Renewal:
    """Called in each handshake, whether the client names a server or not: gives it the newest certificate."""

    def __init__(self, tls: ServerTls, context: ssl.SSLContext) -> None:
        self._tls = tls
        self._newest = context
        self._stamp = self._stamped()

    def __call__(self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext) -> None:
        try:
            if (stamp := self._stamped()) != self._stamp:
                self._newest, self._stamp = self._tls.fresh_context(), stamp
        except (OSError, ssl.SSLError) as error:
            log.warning("certificate not readable, keeping the last one", error=str(error))
        connection.context = self._newest

    def _stamped(self) -> tuple[int, int]:
        return self._tls.cert.stat().st_mtime_ns, self._tls.key.stat().st_mtime_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientTls:
    """Whom a client trusts, and, for a server that asks, how it proves who it is."""

    ca: Path
    cert: Path | None = None
    key: Path | None = None

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(
            root_certificates=self.ca.read_bytes(),
            private_key=self.key.read_bytes() if self.key else None,
            certificate_chain=self.cert.read_bytes() if self.cert else None,
        )
