"""HTTP as registries need it. The only module that knows which HTTP library is used.

httpx gives the interface and aiohttp moves the bytes: its pool stays fast with many connections. Redirects are
followed here and not in the library, since a token must not travel to another host with them, and no request from a
public registry into our network.
"""

import asyncio
import contextlib
import logging
import os
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final, Self
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport
from yarl import URL

from oci_client.answers import without_query
from oci_client.errors import (
    BodyTooLarge,
    OciError,
    RegistryTimeout,
    TlsFailure,
    TruncatedBody,
    UnexpectedAnswer,
    Unreachable,
)
from oci_client.headers import Headers, content_length
from oci_client.network import OURS, Network

CONNECT_TIMEOUT_S: Final = 15.0  # TCP and TLS together; a registry that is up answers within a few round trips
READ_TIMEOUT_S: Final = 60.0  # between two pieces of an answer: some registries hash a whole blob before they reply
KEEPALIVE_S: Final = 15.0  # load balancers in front of registries close idle connections after 20 s and more
MAX_CONNECTIONS: Final = 100  # of one client; the caller's own limits are lower
MAX_REDIRECTS: Final = 5
MAX_ERROR_BODY_BYTES: Final = 64 * 1024  # of an error's body; the rest is left unread
MAX_JSON_BYTES: Final = 16 * 1024 * 1024  # a page of a listing with long names stays far below
MAX_SSL_CONTEXTS: Final = 32  # kept; one for all registries that the system's roots are enough for
READ_BUFFER_BYTES: Final = 256 * 1024

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HEADERS_OF_ONE_HOST: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_DEFAULT_HEADERS: Final = {
    # A proxy that unpacks a body on the way would break its digest.
    "Accept-Encoding": "identity",
    "User-Agent": "transship",
}

# What the libraries raise when a request fails.
_LIBRARY_ERRORS: Final = (
    aiohttp.ClientError,
    OSError,  # time-outs and TLS too
    httpx.RemoteProtocolError,
    httpx.InvalidURL,
    httpx.UnsupportedProtocol,
)

Content = bytes | AsyncIterable[bytes]

# At INFO the library writes every URL in full, and the queries of signed URLs and upload locations are secrets.
logging.getLogger("httpx").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsOptions:
    """How a registry's certificate is checked. `ca_certificate` is PEM and adds to the system's roots."""

    insecure: bool = False
    ca_certificate: str | None = field(default=None, repr=False)


@lru_cache(maxsize=MAX_SSL_CONTEXTS)
def make_ssl_context(options: TlsOptions) -> ssl.SSLContext:
    """Return the context for `options`, or raise TlsFailure for a certificate that cannot be read.

    Equal options share one: to read the system's roots takes tens of milliseconds and a megabyte.
    """
    context = ssl.create_default_context()
    if options.ca_certificate:
        try:
            context.load_verify_locations(cadata=options.ca_certificate)
        except (ssl.SSLError, ValueError) as exc:
            raise TlsFailure("the CA certificate is not a PEM certificate") from exc
    if options.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. `url` is where it came from, after redirects."""

    status: int
    headers: Headers
    body: bytes = field(repr=False)
    url: str = field(repr=False)


class StreamedAnswer:
    """An answer whose body is still on its way."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self.status = response.status_code
        self.url = str(response.url)
        self.headers = Headers(response.headers.multi_items())

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body as it arrives; raises TruncatedBody when the connection ends before it."""
        try:
            async for chunk in self._response.aiter_raw():
                yield chunk
        except _LIBRARY_ERRORS as exc:
            raise _mapped(exc, self.url, body=True) from exc

    async def read(self, max_bytes: int) -> bytes:
        """Return the body, or raise BodyTooLarge when it exceeds `max_bytes`."""
        if self._response.request.method == "HEAD":  # its Content-Length tells of a GET
            return b""
        if (content_length(self.headers) or 0) > max_bytes:
            raise BodyTooLarge(f"{without_query(self.url)}: more than {max_bytes} bytes")
        body = await self.read_start(max_bytes + 1)
        if len(body) > max_bytes:
            raise BodyTooLarge(f"{without_query(self.url)}: more than {max_bytes} bytes")
        return body

    async def read_start(self, max_bytes: int) -> bytes:
        """Return the first `max_bytes` of the body and leave the rest."""
        body = bytearray()
        async with contextlib.aclosing(self.chunks()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) >= max_bytes:
                    break
        return bytes(body[:max_bytes])


async def read_answer(answer: StreamedAnswer, max_body: int) -> Answer:
    """Read the body. That of an error is cut at MAX_ERROR_BODY_BYTES; any other over `max_body` raises BodyTooLarge."""
    if answer.status >= 400:
        body = await answer.read_start(MAX_ERROR_BODY_BYTES)
    else:
        body = await answer.read(max_body)
    return Answer(status=answer.status, headers=answer.headers, body=body, url=answer.url)


class HttpClient:
    """A pool of connections with one set of TLS options. Use it as a context manager, or call `aclose`.

    `home` is the URL of the registry that it is for, without it that of each request. When that is a public host, what
    it sends us to must be one too; otherwise RedirectRefused is raised.
    """

    def __init__(
        self,
        tls: TlsOptions | None = None,
        *,
        home: str | None = None,
        network: Network = OURS,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        read_timeout_s: float = READ_TIMEOUT_S,
    ) -> None:
        # No total timeout: a large blob takes what it takes. No pool timeout: waiting for a connection is no failure.
        timeout = httpx.Timeout(None, connect=connect_timeout_s, read=read_timeout_s)
        self._extensions = {"timeout": timeout.as_dict()}
        # The transport alone: what a client puts around it (cookies, redirects, authentication) is not wanted here,
        # and costs more than half of a small request.
        context = make_ssl_context(tls or TlsOptions())
        self._transport = _Transport(context)
        self._public_transport = _Transport(context, _PublicResolver(network))
        self._home = home
        self._network = network

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._transport.aclose()
        await self._public_transport.aclose()

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        max_body: int = MAX_JSON_BYTES,
    ) -> Answer:
        """Send a request and return its whole answer; see `read_answer`."""
        async with self.stream(method, url, headers=headers, content=content) as answer:
            return await read_answer(answer, max_body)

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
    ) -> contextlib.AbstractAsyncContextManager[StreamedAnswer]:
        """Send a request and hand out its answer; the connection is given back when the context ends."""
        return _Sent(partial(self._send, method, url, dict(headers or {}), content))

    async def _send(self, method: str, url: str, headers: dict[str, str], content: Content | None) -> httpx.Response:
        """Send, and follow redirects of requests that have no body."""
        home = self._home or url
        for _ in range(MAX_REDIRECTS + 1):
            transport = self._transport if same_origin(url, home) else await self._transport_away(url, home)
            response = await self._send_once(transport, method, url, headers, content)
            location = response.headers.get("location")
            if method not in {"GET", "HEAD"} or response.status_code not in _REDIRECTS or not location:
                return response
            await response.aclose()
            url, headers = _redirected(url, location, headers)
        raise UnexpectedAnswer(f"{without_query(url)}: more than {MAX_REDIRECTS} redirects")

    async def _transport_away(self, url: str, home: str) -> "_Transport":
        """Return what may send a request that leads away from `home`. Raises RedirectRefused."""
        if not await asyncio.to_thread(self._network.is_public_host, urlsplit(home).hostname or ""):
            return self._transport
        await asyncio.to_thread(self._network.check_public, urlsplit(url).hostname or "")
        # A proxy resolves names by itself, and may be where no registry can send us.
        return self._transport if self._transport.proxy_for(httpx.URL(url)) else self._public_transport

    async def _send_once(
        self, transport: "_Transport", method: str, url: str, headers: dict[str, str], content: Content | None
    ) -> httpx.Response:
        body = content if content is None or isinstance(content, bytes) else _Upload(content)
        try:
            request = httpx.Request(
                method, url, headers={**_DEFAULT_HEADERS, **headers}, content=body, extensions=self._extensions
            )
            return await transport.handle_async_request(request)
        except _LIBRARY_ERRORS as exc:
            if isinstance(body, _Upload) and body.failure is not None:
                raise body.failure from exc
            raise _mapped(exc, url) from exc


class _Sent(contextlib.AbstractAsyncContextManager[StreamedAnswer]):
    """A class, because there is one for every request, and a generator costs three times as much."""

    def __init__(self, send: Callable[[], Awaitable[httpx.Response]]) -> None:
        self._send = send

    async def __aenter__(self) -> StreamedAnswer:
        self._response = await self._send()
        return StreamedAnswer(self._response)

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()


class _Upload:
    """A streamed body. When its source fails, that is remembered: the connection only tells that it broke."""

    def __init__(self, source: AsyncIterable[bytes]) -> None:
        self._source = source
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._source:
                yield chunk
        except Exception as exc:
            self.failure = exc
            raise


def same_origin(left: str, right: str) -> bool:
    """Whether both URLs have one scheme, host and port, default ports included."""
    return _origin(left) == _origin(right)


def join(url: str, location: str) -> str:
    """Resolve what a server wrote as `location`, or raise UnexpectedAnswer when that is no HTTP URL."""
    try:
        target = urljoin(url, location)
        scheme, hostname, _ = _origin(target)
    except ValueError as exc:
        raise UnexpectedAnswer(f"{without_query(url)} points to a malformed URL") from exc
    if scheme not in _DEFAULT_PORTS or not hostname:
        raise UnexpectedAnswer(f"{without_query(url)} points to {scheme or 'nothing'}, not to an HTTP URL")
    return target


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


def _redirected(url: str, location: str, headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    target = join(url, location)
    schemes = urlsplit(url).scheme, urlsplit(target).scheme
    if schemes == ("https", "http"):
        raise UnexpectedAnswer(f"{without_query(url)} redirects to a host without TLS")
    if same_origin(url, target):
        return target, headers
    return target, {name: value for name, value in headers.items() if name.lower() not in _HEADERS_OF_ONE_HOST}


class _Transport(AiohttpTransport):
    """Sends URLs byte for byte and asks the environment for proxies.

    The inherited transport lets aiohttp normalise the escapes of a URL, which changes upload locations and signed
    URLs. Proxies of the environment are looked up here because aiohttp's own switch for them also reads ~/.netrc,
    and would send the credentials found there to registries that are meant to be asked anonymously.
    """

    def __init__(self, ssl_context: ssl.SSLContext, resolver: AbstractResolver | None = None) -> None:
        super().__init__(verify=ssl_context, client=self._open_session)
        self._resolver = resolver
        self._proxies = getproxies()

    def _open_session(self) -> aiohttp.ClientSession:
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self.ssl_context, limit=MAX_CONNECTIONS, keepalive_timeout=KEEPALIVE_S, resolver=self._resolver
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=READ_BUFFER_BYTES,
        )
        # When to try again is for our callers to decide. By itself the library repeats a PUT whose connection broke,
        # uncounted, and with nothing left of a streamed body; it has no public switch for that.
        session._retry_connection = False  # noqa: SLF001
        return session

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not isinstance(self.client, aiohttp.ClientSession):
            self.client = self.get_client()
        timeout = request.extensions["timeout"]
        response = await self.client.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=_sendable(request.headers),
            data=_body(request),
            allow_redirects=False,
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(sock_connect=timeout["connect"], sock_read=timeout["read"]),
            proxy=self.proxy_for(request.url),
        )
        return httpx.Response(
            status_code=response.status,
            headers=response.raw_headers,
            stream=_ResponseStream(response),
            request=request,
        )

    def proxy_for(self, url: httpx.URL) -> str | None:
        """Return the proxy on the way to a URL, None for none."""
        proxy = self._proxies.get(url.scheme) or self._proxies.get("all")
        return None if proxy is None or proxy_bypass(url.host) else proxy


class _PublicResolver(AbstractResolver):
    """Resolves names for a connection that must not lead into our network: it goes to what was looked at."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def resolve(
        self,
        host: str,
        port: int = 0,
        family: socket.AddressFamily = socket.AF_UNSPEC,  # noqa: ARG002 - the AbstractResolver interface
    ) -> list[ResolveResult]:
        addresses = await asyncio.to_thread(self._network.resolve_public, host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        pass


def _sendable(headers: httpx.Headers) -> list[tuple[str, str]]:
    # aiohttp frames a streamed body by itself and refuses a header that does so too.
    return [(name, value) for name, value in headers.multi_items() if name != "transfer-encoding"]


def _body(request: httpx.Request) -> bytes | AsyncIterable[bytes] | None:
    try:
        return request.content or None
    except httpx.RequestNotRead:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        return request.stream


class _ResponseStream(httpx.AsyncByteStream):
    """A body in the pieces in which it arrived."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.content.iter_any():
            yield chunk

    async def aclose(self) -> None:
        # Gives a finished connection back to the pool and closes one with an unread rest.
        self._response.close()


def _in_words(error: OSError) -> str:
    """Why, which its number says: of every connection asyncio says that "Connect call failed"."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error.strerror or error)


def _mapped(error: Exception, url: str, *, body: bool = False) -> OciError:
    """Turn one of _LIBRARY_ERRORS into ours. A reset in the middle of a body is a truncated body."""
    where = without_query(url)
    match error:
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return TlsFailure(f"{where}: {error}")
        case TimeoutError():
            return RegistryTimeout(f"{where}: no answer in time")
        case aiohttp.ClientConnectorError():
            return Unreachable(f"{where}: {_in_words(error.os_error)}")
        case aiohttp.ClientError() | OSError():
            kind = TruncatedBody if body else Unreachable
            return kind(f"{where}: {str(error) or type(error).__name__}")
        case httpx.RemoteProtocolError():  # the library reads the Location of redirects too
            return UnexpectedAnswer(f"{where}: {error}")
        case _:
            return Unreachable(f"{where}: {error}")
