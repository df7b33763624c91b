"""TLS: who is trusted, and what is said when nobody is."""

import ssl
from collections.abc import AsyncIterator

import pytest
import trustme
from aiohttp import web

from oci_client.auth import Credential
from oci_client.challenge_authorizer import ChallengeAuthorizer
from oci_client.client import RegistryClient
from oci_client.errors import TlsFailure, UnexpectedAnswer
from oci_client.http import HttpClient, TlsOptions, make_ssl_context
from tests.integration.oci_client.small_servers import serving


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def url(authority: trustme.CA) -> AsyncIterator[str]:
    async def handler(request: web.BaseRequest) -> web.Response:
        match request.path:
            case "/v2/":
                return web.Response(headers={"WWW-Authenticate": 'Bearer realm="http://token.test/"'}, status=401)
            case "/v2/some/repo/tags/list":
                link = f'<http://{request.host}/v2/some/repo/more>; rel="next"'
                return web.json_response({"tags": ["a"]}, headers={"Link": link})
            case "/v2/some/repo/more":
                return web.json_response({"tags": ["b"]})
            case _:
                return web.Response(status=307, headers={"Location": f"http://{request.host}/plain"})

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    async with serving(handler, ssl_context=context) as server:
        yield server.url


def trusting(authority: trustme.CA) -> TlsOptions:
    return TlsOptions(ca_certificate=authority.cert_pem.bytes().decode())


async def test_an_unknown_authority_is_not_trusted(url: str) -> None:
    async with HttpClient() as http:
        with pytest.raises(TlsFailure):
            await http.request("GET", f"{url}/v2/")


async def test_a_given_authority_is_trusted(url: str, authority: trustme.CA) -> None:
    async with HttpClient(trusting(authority)) as http:
        assert (await http.request("GET", f"{url}/v2/")).status == 401


async def test_insecure_trusts_everybody(url: str) -> None:
    async with HttpClient(TlsOptions(insecure=True)) as http:
        assert (await http.request("GET", f"{url}/v2/")).status == 401


async def test_plain_http_where_tls_is_expected() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response()

    async with serving(handler) as server, HttpClient() as http:
        with pytest.raises(TlsFailure):
            await http.request("GET", server.url.replace("http", "https"))


async def test_redirects_do_not_leave_tls(url: str, authority: trustme.CA) -> None:
    async with HttpClient(trusting(authority)) as http:
        with pytest.raises(UnexpectedAnswer):
            await http.request("GET", f"{url}/elsewhere")


async def test_a_link_of_a_registry_that_does_not_know_of_its_own_tls(url: str, authority: trustme.CA) -> None:
    async with HttpClient(trusting(authority)) as http:
        client = RegistryClient(url, http=http)
        assert [page async for page in client.tags("some/repo")] == [["a"], ["b"]]


async def test_a_credential_does_not_go_to_a_token_service_without_tls(url: str, authority: trustme.CA) -> None:
    async with HttpClient(trusting(authority)) as http:
        authorizer = ChallengeAuthorizer(http, url, Credential(username="user", password="secret"))
        with pytest.raises(UnexpectedAnswer):
            await authorizer.authorize(frozenset())


def test_a_certificate_that_is_none() -> None:
    with pytest.raises(TlsFailure):
        make_ssl_context(TlsOptions(ca_certificate="-----BEGIN nothing"))
