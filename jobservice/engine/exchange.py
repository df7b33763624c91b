"""One blocking HTTP exchange, where it leads, and what can go wrong with it."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

from jobservice.engine.thread_gate import TransferGate
from oci_client.answers import without_query
from oci_client.errors import RegistryTimeout, TlsFailure, TruncatedBody, UnexpectedAnswer, Unreachable
from oci_client.gate import Outcome
from oci_client.headers import Headers

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a connection leads."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """Return the origin of `url`, with the scheme's own port where the URL has none. Raises UnexpectedAnswer."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as exc:
            raise UnexpectedAnswer("a malformed URL") from exc
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise UnexpectedAnswer(f"{without_query(url)} is no http or https URL")
        return cls(parts.scheme, parts.hostname, port or _DEFAULT_PORTS[parts.scheme])


@dataclass(slots=True, kw_only=True)
class Exchange:
    """One request and the answer to it. Belongs to the Connections that made it, which `finish` or `abort` it."""

    origin: Origin
    # The host had to be a public one, and is.
    public: bool
    connection: http.client.HTTPConnection
    # The connection itself forgets it when the answer is the last one.
    sock: socket.socket
    method: str
    url: str
    gate: TransferGate
    began_at: float
    response: http.client.HTTPResponse | None = None
    headers: Headers = field(default_factory=Headers)

    @property
    def status(self) -> int:
        """The answer's status."""
        assert self.response is not None
        return self.response.status

    def read_head(self) -> None:
        """Wait for the answer's head, and tell the gate what it says."""
        self.response = self.connection.getresponse()
        self.headers = Headers(self.response.getheaders())
        self.gate.observe(Outcome.of_answer(self.status, self.headers, time.monotonic() - self.began_at))

    def close(self) -> None:
        """Close the connection in the middle of whatever it was doing."""
        self.connection.close()
        if self.response is not None:
            self.response.close()


class mapped_errors:  # noqa: N801 - used like a function
    """Turns what sockets and http.client raise into the errors of oci_client."""

    def __init__(self, url: str, *, body: bool = False) -> None:
        self._where = without_query(url)
        self._broken = TruncatedBody if body else Unreachable

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, exc: BaseException | None, trace: object) -> None:
        match exc:
            case ssl.SSLCertVerificationError():
                raise TlsFailure(f"{self._where}: {exc.verify_message}") from exc
            case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
                raise self._broken(f"{self._where}: the connection broke") from exc
            case ssl.SSLError():
                raise TlsFailure(f"{self._where}: {exc}") from exc
            case TimeoutError():
                raise RegistryTimeout(f"{self._where}: no byte came in time") from exc
            case http.client.HTTPException() | OSError():
                raise self._broken(f"{self._where}: {str(exc) or type(exc).__name__}") from exc
            case _:
                return


def redirected(exchange: Exchange) -> str:
    """Return where an answer sends its request on to; raises UnexpectedAnswer for a bad target."""
    target = exchange.headers.get("location")
    if not target:
        raise UnexpectedAnswer(f"{without_query(exchange.url)}: a redirect without a Location")
    url = urljoin(exchange.url, target)
    if exchange.origin.scheme == "https" and Origin.of(url).scheme != "https":
        raise UnexpectedAnswer(f"{without_query(exchange.url)}: redirects from https to http")
    return url
