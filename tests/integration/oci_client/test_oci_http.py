"""The HTTP layer by itself: proxies, logs, secrets of the surroundings."""

import logging
from pathlib import Path

import pytest
from aiohttp import web

from oci_client.http import HttpClient
from tests.integration.oci_client.small_servers import serving


async def ok(request: web.BaseRequest) -> web.StreamResponse:
    return web.Response(text="ok")


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(ok) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        async with HttpClient() as http:
            answer = await http.request("GET", "http://registry.test/v2/?a=%2F")

    assert answer.body == b"ok"
    assert proxy.requests == [("GET", "http://registry.test/v2/?a=%2F")]


async def test_hosts_may_be_kept_from_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(ok) as proxy, serving(ok) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        async with HttpClient() as http:
            await http.request("GET", server.url)

    assert (len(proxy.requests), len(server.requests)) == (0, 1)


async def test_credentials_lying_around_are_not_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    async with serving(ok) as server, HttpClient() as http:
        await http.request("GET", server.url)

    assert server.authorizations == [None]


async def test_cookies_are_not_kept() -> None:
    seen: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "sid=1"})

    async with serving(handler) as server, HttpClient() as http:
        await http.request("GET", server.url)
        await http.request("GET", server.url)

    assert seen == [None, None]


async def test_urls_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(ok) as server, HttpClient() as http:
        await http.request("GET", f"{server.url}/?signature=hidden")

    # The access log is that of the test's own server.
    messages = [record.getMessage() for record in caplog.records if record.name != "aiohttp.access"]
    assert not [message for message in messages if "hidden" in message]


async def test_bodies_come_as_they_are_and_in_identity() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=b"\x1f\x8b not really gzip", headers={"Content-Encoding": "gzip"})

    async with serving(handler) as server, HttpClient() as http:
        assert (await http.request("GET", server.url)).body == b"\x1f\x8b not really gzip"


async def test_an_unread_rest_closes_the_connection_and_the_next_request_works() -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(body=b"x" * 10_000_000)

    async with serving(handler) as server, HttpClient() as http:
        for _ in range(3):
            async with http.stream("GET", server.url) as answer:
                assert await answer.read_start(10) == b"x" * 10
