"""The endpoint over real HTTP, with PostgreSQL below."""

import asyncio
import json
import ssl
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from policy_svc.events import endpoint
from policy_svc.events.domain.event import Event
from policy_svc.events.endpoint import EventEndpoint
from policy_svc.events.postgres import PostgresEventStore, PostgresSourceStore
from policy_svc.events.service import EventService
from service_kit.clock import SystemClock
from service_kit.database import Pool
from service_kit.tls import ServerTls
from tests.integration.policy_svc_events.event_peers import FakeRegistries
from tests.unit.policy_svc_events.test_event_notifications import DELETED_TAG, PUSHED_TAG, envelope, webhook

TYPE = "application/vnd.docker.distribution.events.v1+json"


@dataclass
class Site:
    """A served endpoint with the secret of `registries/hub`."""

    http: httpx.AsyncClient
    service: EventService
    store: PostgresEventStore
    secret: str
    wakes: list[None]

    async def post(self, body: bytes, *, registry: str = "hub", authorization: str | None = None) -> httpx.Response:
        headers = {"Content-Type": TYPE, "Authorization": authorization or f"Bearer {self.secret}"}
        return await self.http.post(f"/v1/events/{registry}", content=body, headers=headers)

    async def events(self) -> list[Event]:
        return await self.store.page(before=None, limit=99)

    async def last_receive_time(self) -> datetime | None:
        [source] = await self.service.page_of_sources(after="", limit=9)
        return source.last_receive_time


def a_service(pool: Pool, wakes: list[None]) -> EventService:
    store, sources = PostgresEventStore(pool), PostgresSourceStore(pool)
    return EventService(store, sources, FakeRegistries(), SystemClock(), lambda: wakes.append(None))


@pytest.fixture
async def site(pool: Pool) -> AsyncIterator[Site]:
    wakes: list[None] = []
    service = a_service(pool, wakes)
    _, secret = await service.create_source("registries/hub")
    async with (
        EventEndpoint(service).serve("127.0.0.1:0") as address,
        httpx.AsyncClient(base_url=f"http://{address}", trust_env=False) as http,
    ):
        yield Site(http, service, PostgresEventStore(pool), secret.reveal(), wakes)


def reason_of(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["reason"]


async def test_a_notification_is_stored_when_it_is_answered(site: Site) -> None:
    answer = await site.post(envelope(PUSHED_TAG, DELETED_TAG, PUSHED_TAG | {"action": "pull"}))

    assert (answer.status_code, answer.json()) == (200, {"stored": 2, "known": 0, "ignored": 1})
    assert [each.notice.tag for each in await site.events()] == ["1.1", "1.0"]
    assert {each.registry for each in await site.events()} == {"registries/hub"}
    assert len(site.wakes) == 1
    assert await site.last_receive_time() is not None


async def test_a_repeated_notification_is_stored_once(site: Site) -> None:
    answers = await asyncio.gather(*(site.post(envelope(PUSHED_TAG)) for _ in range(10)))

    assert sorted(each.json()["stored"] for each in answers) == [0] * 9 + [1]
    assert len(await site.events()) == 1


@pytest.mark.parametrize("form", ["Bearer {}", "bearer {}", "Bearer  {}", "{}"])
async def test_the_secret_comes_as_a_bearer_or_alone(site: Site, form: str) -> None:
    answer = await site.post(webhook(), authorization=form.format(site.secret))

    assert answer.json()["stored"] == 1


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer x", "Basic {}", "Bearer {}x", "{} {}"])
async def test_a_wrong_secret_is_refused_without_a_hint(site: Site, authorization: str) -> None:
    answer = await site.post(envelope(PUSHED_TAG), authorization=authorization.replace("{}", site.secret))

    assert reason_of(answer) == (401, "UNAUTHENTICATED")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert site.secret not in answer.text
    assert await site.events() == []
    assert await site.last_receive_time() is None


async def test_a_secret_that_is_no_text_is_refused_like_another(site: Site) -> None:
    headers = {b"Authorization": b"Bearer \xff\xfe"}
    answer = await site.http.post("/v1/events/hub", content=envelope(PUSHED_TAG), headers=headers)

    assert reason_of(answer) == (401, "UNAUTHENTICATED")


async def test_no_secret_is_refused(site: Site) -> None:
    answer = await site.http.post("/v1/events/hub", content=envelope(PUSHED_TAG))

    assert reason_of(answer) == (401, "UNAUTHENTICATED")


async def test_an_unknown_source_is_not_found(site: Site) -> None:
    assert reason_of(await site.post(envelope(PUSHED_TAG), registry="backup")) == (404, "EVENT_SOURCE_NOT_FOUND")


async def test_a_deleted_source_is_not_found(site: Site) -> None:
    await site.service.delete_source("registries/hub")

    assert reason_of(await site.post(envelope(PUSHED_TAG))) == (404, "EVENT_SOURCE_NOT_FOUND")


async def test_the_secret_of_one_registry_does_not_open_another_one(site: Site) -> None:
    await site.service.create_source("registries/backup")

    assert reason_of(await site.post(envelope(PUSHED_TAG), registry="backup")) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("body", [b"", b"{", b"<html>", b"{}", b"[" * 200_000, b'{"events": ' + b'[{"a":' * 100_000])
async def test_nonsense_is_refused_with_its_reason(site: Site, body: bytes) -> None:
    answer = await site.post(body)

    assert reason_of(answer) == (400, "INVALID_REQUEST")
    assert "body" in answer.json()["message"]
    assert await site.events() == []


async def test_a_large_body_is_refused_whether_it_says_its_length_or_not(site: Site) -> None:
    body = envelope(PUSHED_TAG) + b" " * endpoint.MAX_BODY_BYTES

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    headers = {"Authorization": f"Bearer {site.secret}"}
    for content in (body, pieces()):
        answer = await site.http.post("/v1/events/hub", content=content, headers=headers)
        assert reason_of(answer) == (413, "INVALID_REQUEST")
    assert await site.events() == []


async def test_who_is_not_known_need_not_be_read(site: Site) -> None:
    """The answer comes before the body does."""
    reader, writer = await asyncio.open_connection(site.http.base_url.host, site.http.base_url.port)
    writer.write(b"POST /v1/events/hub HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")

    assert b" 401 " in await reader.readline()
    writer.close()


async def test_a_body_that_breaks_off_leaves_nothing(site: Site) -> None:
    _, writer = await asyncio.open_connection(site.http.base_url.host, site.http.base_url.port)
    writer.write(
        f"POST /v1/events/hub HTTP/1.1\r\nHost: x\r\nAuthorization: {site.secret}\r\nContent-Length: 9\r\n\r\n{{".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert (await site.post(envelope(PUSHED_TAG))).status_code == 200
    assert len(await site.events()) == 1


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/events/hub"), ("POST", "/"), ("POST", "/v1/events/A%00b")])
async def test_nothing_else_is_there(site: Site, method: str, path: str) -> None:
    answer = await site.http.request(method, path, headers={"Authorization": site.secret})

    assert answer.status_code in {404, 405}


async def test_a_database_that_is_away_asks_to_come_again(site: Site, pool: Pool) -> None:
    await pool.close()

    assert reason_of(await site.post(envelope(PUSHED_TAG)))[0] == 503


async def test_https_follows_its_certificate(pool: Pool, tmp_path: Path) -> None:
    authority = trustme.CA()
    tls = ServerTls(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem", client_ca=tmp_path / "unread.pem")
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    service = a_service(pool, [])
    _, secret = await service.create_source("registries/hub")

    def renew() -> bytes:
        found = authority.issue_cert("127.0.0.1")
        found.cert_chain_pems[0].write_to_path(str(tls.cert))
        found.private_key_pem.write_to_path(str(tls.key))
        return ssl.PEM_cert_to_DER_cert(found.cert_chain_pems[0].bytes().decode())

    async def shown(address: str) -> Any:
        host, _, port = address.partition(":")
        _, writer = await asyncio.open_connection(host, int(port), ssl=trust)
        try:
            return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()

    first = renew()
    async with EventEndpoint(service).serve("127.0.0.1:0", tls) as address:
        async with httpx.AsyncClient(verify=trust, trust_env=False) as http:
            answer = await http.post(
                f"https://{address}/v1/events/hub",
                content=envelope(PUSHED_TAG),
                headers={"Authorization": f"Bearer {secret.reveal()}"},
            )
        assert answer.json()["stored"] == 1
        assert await shown(address) == first
        second = renew()
        assert await shown(address) == second
        tls.cert.write_text("broken")
        assert await shown(address) == second


async def test_a_body_may_be_compressed_but_not_beyond_its_bound(site: Site) -> None:
    def packed(body: bytes) -> bytes:
        packer = zlib.compressobj(wbits=31)
        return packer.compress(body) + packer.flush()

    headers = {"Authorization": site.secret, "Content-Encoding": "gzip"}
    taken = await site.http.post("/v1/events/hub", content=packed(envelope(PUSHED_TAG)), headers=headers)
    bomb = await site.http.post("/v1/events/hub", content=packed(b" " * 50_000_000), headers=headers)

    assert taken.json()["stored"] == 1
    assert bomb.status_code in {400, 413}


async def test_what_is_told_in_one_request_is_stored_as_a_whole(site: Site) -> None:
    many = [PUSHED_TAG | {"id": f"id-{number}"} for number in range(900)]

    answer = await site.post(json.dumps({"events": many}).encode())

    assert answer.json() == {"stored": 900, "known": 0, "ignored": 0}
