"""Certificates from files, for both ends of a connection."""

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
