"""Between us and a registry: TLS, redirects, proxies."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
import trustme

from jobservice.transfer import Outcome, Side
from oci_client.auth import Credential
from oci_client.http import TlsOptions
from oci_client.testing import Action, BasicAuth, FakeRegistry, Match, effects
from tests.engine_kit import MIB, Worker, content, failure

BLOB = Match(action=Action.BLOB)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@pytest.mark.parametrize("how", ["authority", "insecure"])
async def test_tls_on_both_sides(authority: trustme.CA, server_tls: ssl.SSLContext, how: str) -> None:
    tls = TlsOptions(ca_certificate=pem(authority)) if how == "authority" else TlsOptions(insecure=True)
    async with FakeRegistry(tls=server_tls) as source, FakeRegistry(tls=server_tls) as destination:
        source.push_image("library/app", "1", [3 * MIB, 900_000])
        async with Worker(source, destination, source_tls=tls, destination_tls=tls) as worker:
            [result] = await worker.copy("1")

        assert result.outcome is Outcome.COPIED
        assert content(destination, "library/app") == content(source, "library/app")


async def test_an_unknown_authority_is_told(source: FakeRegistry, server_tls: ssl.SSLContext) -> None:
    source.push_image("library/app", "1")
    async with FakeRegistry(tls=server_tls) as destination, Worker(source, destination) as worker:
        found = failure(await worker.copy("1"))

    assert (found.reason, found.side, found.retryable) == ("REGISTRY_UNREACHABLE", Side.DESTINATION, False)


async def test_an_authority_of_one_registry_is_none_of_another(
    authority: trustme.CA, server_tls: ssl.SSLContext
) -> None:
    async with FakeRegistry(tls=server_tls) as source, FakeRegistry(tls=server_tls) as destination:
        source.push_image("library/app", "1")
        trusting = TlsOptions(ca_certificate=pem(authority))
        async with Worker(source, destination, source_tls=trusting) as worker:
            assert failure(await worker.copy("1")).side is Side.DESTINATION


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirected_download_leaves_the_authorization_behind(destination: FakeRegistry, status: int) -> None:
    """The storage host refuses whatever comes with one."""
    async with FakeRegistry(auth=BasicAuth(username="u", password="p")) as source:
        source.push_image("library/app", "1", [900_000])
        source.misbehave(effects.redirect(status), match=BLOB)
        async with Worker(source, destination, credential=Credential(username="u", password="p")) as worker:
            [result] = await worker.copy("1")

        assert result.outcome is Outcome.COPIED
        assert source.log.count(action=Action.STORAGE, status=200) == 2


async def test_a_cut_download_goes_back_to_the_registry(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    """The address that it was sent to may have expired."""
    source.push_image("library/app", "1", [900_000])
    source.misbehave(effects.redirect(), match=BLOB)
    source.misbehave(effects.cut_download(500_000), match=Match(action=Action.STORAGE), times=2)

    await worker.copy("1")

    assert content(destination, "library/app") == content(source, "library/app")
    assert source.log.count(action=Action.BLOB) == source.log.count(action=Action.STORAGE)


async def test_no_redirect_leads_out_of_tls(authority: trustme.CA, server_tls: ssl.SSLContext) -> None:
    tls = TlsOptions(ca_certificate=pem(authority))
    async with FakeRegistry(tls=server_tls) as source, FakeRegistry() as destination:
        source.push_image("library/app", "1")
        plain = {"Location": f"{destination.url}/v2/library/app/blobs/x"}
        source.misbehave(effects.answer_with(307, headers=plain), match=BLOB)
        async with Worker(source, destination, source_tls=tls) as worker:
            found = failure(await worker.copy("1"))

        assert (found.reason, found.side) == ("UNEXPECTED_ANSWER", Side.SOURCE)
        assert destination.log.count(action=Action.BLOB) == 0


async def test_redirects_in_a_circle_end(worker: Worker, source: FakeRegistry) -> None:
    source.push_image("library/app", "1", [900_000])
    source.misbehave(effects.answer_with(307, headers={"Location": "."}), match=BLOB)

    assert failure(await worker.copy("1")).reason in {"UNEXPECTED_ANSWER", "REQUEST_REFUSED", "BLOB_UNKNOWN"}


class Proxy:
    """Forwards plain requests and tunnels; counts them, and wants a password."""

    def __init__(self) -> None:
        self.plain = 0
        self.tunnels = 0
        self.refused = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b" ", 2)
        if b"proxy-authorization: basic dtpw" not in head.lower():
            self.refused += 1
            writer.write(b"HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            writer.close()
            return
        is_tunnel = method == b"CONNECT"
        address = urlsplit(f"http://{target.decode()}" if is_tunnel else target.decode())
        there, back = await asyncio.open_connection(address.hostname, address.port)
        if is_tunnel:
            self.tunnels += 1
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            self.plain += 1
            # A proxy that keeps no connection: what follows on it goes to the same registry all the same.
            back.write(head)
        await asyncio.gather(_pump(reader, back), _pump(there, writer), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def a_proxy() -> AsyncIterator[Proxy]:
    proxy = Proxy()
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.url = f"http://u:p@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()


async def test_proxies_of_the_environment(
    authority: trustme.CA, server_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = TlsOptions(ca_certificate=pem(authority))
    async with a_proxy() as proxy, FakeRegistry() as source, FakeRegistry(tls=server_tls) as destination:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, proxy.url)
        monkeypatch.setenv("no_proxy", "")
        source.push_image("library/app", "1", [900_000])
        async with Worker(source, destination, destination_tls=tls) as worker:
            [result] = await worker.copy("1")

        assert result.outcome is Outcome.COPIED, result.failure
        assert content(destination, "library/app") == content(source, "library/app")
    assert proxy.plain > 1
    assert proxy.tunnels > 1
    assert proxy.refused == 0


async def test_no_proxy_is_heard(
    source: FakeRegistry, destination: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_proxy() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        source.push_image("library/app", "1")
        async with Worker(source, destination) as worker:
            [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert proxy.plain == 0
