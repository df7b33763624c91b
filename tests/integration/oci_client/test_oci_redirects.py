"""A registry that anybody can reach does not make us talk to hosts that only we can reach."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.errors import RedirectRefused, Unreachable
from oci_client.http import HttpClient
from oci_client.testing import PretendedNetwork
from tests.integration.oci_client.small_servers import Handler, serving

# Where the registries of these tests listen, and where nobody may be sent by a public one.
OUTSIDE = "127.0.0.1"
INSIDE = "127.0.0.2"
NAMES = {
    "store.test": [[OUTSIDE]],
    "inside.test": [[INSIDE]],
    "both.test": [[OUTSIDE, INSIDE]],
    "rebound.test": [[OUTSIDE], [INSIDE]],
}


class Inside:
    """A host that must not be talked to; counts who does."""

    def __init__(self) -> None:
        self.port = 0
        self.connections = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        writer.close()


@pytest.fixture
async def inside() -> AsyncIterator[Inside]:
    host = Inside()
    server = await asyncio.start_server(host.serve, INSIDE, 0)
    host.port = server.sockets[0].getsockname()[1]
    yield host
    server.close()


def sending_to(target: str) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        if request.path == "/there":
            return web.Response(text="ok")
        return web.Response(status=307, headers={"Location": target.replace("PORT", str(_port_of(request)))})

    return handler


def _port_of(request: web.BaseRequest) -> int:
    return int(request.host.rpartition(":")[2])


@asynccontextmanager
async def a_public_registry(
    target: str, network: PretendedNetwork | None = None
) -> AsyncIterator[tuple[HttpClient, str]]:
    network = network or PretendedNetwork(public=[OUTSIDE], names=NAMES)
    async with serving(sending_to(target)) as server, HttpClient(network=network) as http:
        yield http, server.url


@pytest.mark.parametrize(
    "host",
    [INSIDE, "127.2", "2130706434", "[::ffff:127.0.0.2]", "[::1]", "inside.test", "both.test", "169.254.169.254"],
)
async def test_no_redirect_leads_into_the_network(inside: Inside, host: str) -> None:
    async with a_public_registry(f"http://{host}:{inside.port}/latest") as (http, url):
        with pytest.raises(RedirectRefused) as caught:
            await http.request("GET", url)

    assert inside.connections == 0
    # What our names lead to is not for those to know who make registries send us somewhere.
    assert host.strip("[]") in str(caught.value)
    assert INSIDE in host or INSIDE not in str(caught.value)


async def test_what_a_name_means_does_not_change_between_the_look_and_the_request(inside: Inside) -> None:
    async with a_public_registry(f"http://rebound.test:{inside.port}/latest") as (http, url):
        with pytest.raises(RedirectRefused):
            await http.request("GET", url)

    assert inside.connections == 0


async def test_no_chain_of_redirects_leads_there(inside: Inside) -> None:
    """What counts is the registry, and not who was asked last."""
    async with (
        serving(sending_to(f"http://{INSIDE}:{inside.port}/latest")) as store,
        a_public_registry(store.url) as (http, url),
    ):
        with pytest.raises(RedirectRefused):
            await http.request("GET", url)

    assert (len(store.requests), inside.connections) == (1, 0)


async def test_public_stores_are_followed_to() -> None:
    async with a_public_registry("http://store.test:PORT/there") as (http, url):
        for _ in range(2):
            assert (await http.request("GET", url)).body == b"ok"


async def test_a_private_registry_may_have_its_store_beside_it(inside: Inside) -> None:
    network = PretendedNetwork(public=["8.8.8.8"], names=NAMES)
    async with a_public_registry(f"http://{INSIDE}:{inside.port}/latest", network) as (http, url):
        assert (await http.request("GET", url)).body == b"secret"


async def test_a_store_that_is_gone_is_unreachable() -> None:
    async with serving(sending_to("/")) as server:
        gone = server.url
    async with a_public_registry(gone.replace(OUTSIDE, "store.test")) as (http, url):
        with pytest.raises(Unreachable):
            await http.request("GET", url)


async def test_a_proxy_is_not_asked_for_it_either(monkeypatch: pytest.MonkeyPatch, inside: Inside) -> None:
    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        if "registry.test" in request.raw_path:
            return web.Response(status=307, headers={"Location": f"http://inside.test:{inside.port}/latest"})
        return web.Response(text="forwarded")

    network = PretendedNetwork(public=["8.8.8.8"], names=NAMES | {"registry.test": [["8.8.8.8"]]})
    async with serving(forward) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with HttpClient(network=network) as http:
            with pytest.raises(RedirectRefused):
                await http.request("GET", "http://registry.test/v2/")

    assert len(proxy.requests) == 1


async def test_a_proxy_may_be_private_and_know_more_names(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forward(request: web.BaseRequest) -> web.StreamResponse:
        if "registry.test" in request.raw_path:
            return web.Response(status=307, headers={"Location": "http://store.invalid/there"})
        return web.Response(text="forwarded")

    network = PretendedNetwork(public=["8.8.8.8"], names={"registry.test": [["8.8.8.8"]]})
    async with serving(forward) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with HttpClient(network=network) as http:
            assert (await http.request("GET", "http://registry.test/v2/")).body == b"forwarded"


async def test_a_location_of_a_known_registry_is_like_a_redirect(inside: Inside) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=202, headers={"Location": f"http://{INSIDE}:{inside.port}/upload"})

    network = PretendedNetwork(public=[OUTSIDE], names=NAMES)
    async with serving(handler) as server, HttpClient(home=server.url, network=network) as http:
        client = RegistryClient(server.url, http=http)
        session = await client.start_upload("some/repo")
        with pytest.raises(RedirectRefused):
            await client.put_blob(session, Digest.of(b"x"), b"x")

    assert inside.connections == 0
