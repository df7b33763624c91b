"""The fake registry told to misbehave: each effect is what a client meets on the wire."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from io import BytesIO

import aiohttp
import pytest
from yarl import URL

from oci_client.testing import Action, FakeRegistry, LocationForm, Match, Stall, an_image, digest_of, effects, products
from tests.integration.oci_testing.whole_replies import http_client

BLOBS = Match(action=Action.BLOB)
DATA = b"0123456789" * 100
DIGEST = digest_of(DATA)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with http_client() as session:
        yield session


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as running:
        running.push("app", an_image([DATA]), "v1")
        yield running


@pytest.fixture
def blob_url(registry: FakeRegistry) -> str:
    return f"{registry.url}/v2/app/blobs/{DIGEST}"


async def start_upload(http: aiohttp.ClientSession, registry: FakeRegistry) -> str:
    response = await http.post(f"{registry.url}/v2/app/blobs/uploads/")
    return registry.url + response.headers["Location"]


async def read_into(received: bytearray, url: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        async for piece in response.content.iter_any():
            received += piece


class TestRules:
    async def test_fail_next_ends_by_itself(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.fail_next(503, count=2, retry_after=2)
        replies = [await http.get(f"{registry.url}/v2/") for _ in range(3)]
        assert [reply.status for reply in replies] == [503, 503, 200]
        assert replies[0].headers["Retry-After"] == "2"

    async def test_a_rule_meets_only_what_it_matches(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        match = Match(method="GET", action=Action.TAGS, repository="app", path="/list$")
        rule = registry.misbehave(effects.answer_with(500), match=match)
        paths = ["/v2/", "/v2/other/tags/list", "/v2/app/tags/list"]
        assert [(await http.get(registry.url + path)).status for path in paths] == [200, 404, 500]
        assert rule.hits == 1

    async def test_skipped_requests_pass(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.misbehave(effects.answer_with(500), skip=1, times=1)
        assert [(await http.get(f"{registry.url}/v2/")).status for _ in range(3)] == [200, 500, 200]

    async def test_behave_drops_the_rules(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.misbehave(effects.answer_with(500))
        registry.behave()
        assert (await http.get(f"{registry.url}/v2/")).status == 200


class TestAnswers:
    async def test_retry_after_as_a_date(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.fail_next(429, retry_after=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC))
        response = await http.get(f"{registry.url}/v2/")
        assert response.headers["Retry-After"] == "Wed, 02 Jan 2030 03:04:05 GMT"

    async def test_a_page_in_place_of_json(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.fail_next(200, html=True)
        response = await http.get(f"{registry.url}/v2/_catalog")
        assert (response.status, response.content_type) == (200, "text/html")

    async def test_the_limiter_lets_a_burst_through(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.misbehave(effects.rate_limit(0.001, burst=2, retry_after=7))
        replies = [await http.get(f"{registry.url}/v2/") for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert replies[-1].headers["Retry-After"] == "7"

    async def test_no_head_here(self, http: aiohttp.ClientSession, registry: FakeRegistry, blob_url: str) -> None:
        registry.misbehave(effects.answer_with(405), match=Match(method="HEAD"))
        assert (await http.head(blob_url)).status == 405
        assert (await http.get(blob_url)).status == 200


class TestConnections:
    async def test_a_download_is_cut_where_it_was_told(self, registry: FakeRegistry, blob_url: str) -> None:
        registry.misbehave(effects.cut_download(after=300), match=BLOBS, times=1)
        received = bytearray()
        with pytest.raises(aiohttp.ClientPayloadError, match="1000"):
            await read_into(received, blob_url)
        assert received == DATA[:300]
        assert registry.log.bytes_out == 300

    async def test_a_cut_upload_keeps_what_came_in(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.misbehave(effects.cut_upload(after=300), match=Match(method="PATCH"), times=1)
        url = await start_upload(http, registry)
        with pytest.raises(aiohttp.ClientError):
            await http.patch(url, data=DATA)
        status = await http.get(url)
        assert (status.status, status.headers["Range"]) == (204, "0-299")

    async def test_a_lost_answer_leaves_the_work_done(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        registry.misbehave(effects.lose_answer(), match=Match(method="PUT"))
        url = await start_upload(http, registry)
        with pytest.raises(aiohttp.ClientError):
            await http.put(f"{url}&digest={digest_of(b'new')}", data=b"new")
        assert digest_of(b"new") in registry.store.repository("app").blobs

    async def test_a_hang_up_leaves_nothing_done(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.misbehave(effects.hang_up(), match=Match(method="DELETE"))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await http.delete(f"{registry.url}/v2/app/manifests/v1")
        assert "v1" in registry.store.repository("app").tags


class TestTime:
    async def test_a_stalled_request_waits_for_its_release(
        self, http: aiohttp.ClientSession, registry: FakeRegistry, blob_url: str
    ) -> None:
        stall = Stall()
        registry.misbehave(stall, match=BLOBS)
        asked = asyncio.create_task(http.get(blob_url))
        await stall.reached()
        assert (asked.done(), registry.log.in_flight(Action.BLOB)) == (False, 1)
        stall.release()
        assert (await asked).status == 200

    async def test_a_stalled_request_does_not_hold_up_the_end(self) -> None:
        stall = Stall()
        async with aiohttp.ClientSession() as http:
            async with FakeRegistry() as registry:
                registry.misbehave(stall)
                asked = asyncio.create_task(http.get(registry.url))
                await stall.reached()
            with pytest.raises(aiohttp.ClientError):
                await asked

    async def test_a_dripping_body_arrives_whole_and_in_pieces(self, registry: FakeRegistry, blob_url: str) -> None:
        registry.misbehave(effects.drip(10_000), match=BLOBS)
        async with aiohttp.ClientSession() as session, session.get(blob_url) as response:
            pieces = [piece async for piece in response.content.iter_any()]
        assert len(pieces) > 1
        assert b"".join(pieces) == DATA

    async def test_requests_at_once_are_seen(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.latency_s = 0.05
        await asyncio.gather(*(http.get(f"{registry.url}/v2/") for _ in range(4)))
        assert registry.log.peak() == registry.log.peak(Action.PING) == 4


class TestContents:
    async def test_a_flipped_byte_changes_the_digest_only(
        self, http: aiohttp.ClientSession, registry: FakeRegistry, blob_url: str
    ) -> None:
        registry.misbehave(effects.flip_byte(at=500), match=BLOBS)
        body = await (await http.get(blob_url)).read()
        assert [at for at, (sent, kept) in enumerate(zip(body, DATA, strict=True)) if sent != kept] == [500]

    async def test_a_truncated_body_ends_properly(
        self, http: aiohttp.ClientSession, registry: FakeRegistry, blob_url: str
    ) -> None:
        registry.misbehave(effects.truncate(to=999), match=BLOBS)
        assert await (await http.get(blob_url)).read() == DATA[:999]

    async def test_a_header_is_left_out_or_wrong(
        self, http: aiohttp.ClientSession, registry: FakeRegistry, blob_url: str
    ) -> None:
        registry.misbehave(effects.with_header("Docker-Content-Digest"), times=1)
        registry.misbehave(effects.with_header("Docker-Content-Digest", digest_of(b"")), skip=1)
        seen = [(await http.head(blob_url)).headers.get("Docker-Content-Digest") for _ in range(2)]
        assert seen == [None, digest_of(b"")]

    async def test_the_next_page_is_this_page(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.push("app", an_image(), "v1", "v2")
        registry.misbehave(effects.endless_paging(), match=Match(action=Action.TAGS))
        url: str = f"{registry.url}/v2/app/tags/list?n=1"
        pages = []
        for _ in range(3):
            response = await http.get(url)
            pages.append((await response.json())["tags"])
            url = str(response.links["next"]["url"])
        assert pages == [["v1"], ["v1"], ["v1"]]


class TestRedirects:
    async def test_a_blob_lies_on_another_port(
        self, http: aiohttp.ClientSession, registry: FakeRegistry, blob_url: str
    ) -> None:
        registry.misbehave(effects.redirect(), match=BLOBS)
        response = await http.get(blob_url, headers={"Range": "bytes=10-19"})
        assert (response.status, await response.read()) == (206, DATA[10:20])
        assert response.url.authority == registry.storage_host != registry.host
        assert registry.log.count(action=Action.STORAGE) == 1

    async def test_the_storage_host_refuses_credentials(
        self, http: aiohttp.ClientSession, registry: FakeRegistry, blob_url: str
    ) -> None:
        registry.misbehave(effects.redirect(), match=BLOBS)
        response = await http.get(blob_url, allow_redirects=False)
        leaked = await http.get(response.headers["Location"], headers={"Authorization": "Bearer secret"})
        assert leaked.status == 400
        assert registry.log.select(action=Action.STORAGE)[0].headers["Authorization"] == "Bearer secret"

    @pytest.mark.parametrize("form", [LocationForm.ABSOLUTE, LocationForm.EXTRA_QUERY, LocationForm.OTHER_HOST])
    async def test_an_upload_goes_on_wherever_its_location_points(
        self, http: aiohttp.ClientSession, registry: FakeRegistry, form: LocationForm
    ) -> None:
        registry.misbehave(effects.location(form), match=Match(action=Action.UPLOAD_START))
        opened = await http.post(f"{registry.url}/v2/app/blobs/uploads/")
        url = opened.url.join(URL(opened.headers["Location"], encoded=True))
        patched = await http.patch(url, data=b"abc")
        url = patched.url.join(URL(patched.headers["Location"], encoded=True))
        closed = await http.put(f"{url}&digest={digest_of(b'abc')}")
        assert (patched.status, closed.status) == (202, 201)

    async def test_a_location_is_missing(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.misbehave(effects.location(LocationForm.MISSING))
        response = await http.post(f"{registry.url}/v2/app/blobs/uploads/")
        assert (response.status, "Location" in response.headers) == (202, False)


class TestProducts:
    async def test_ecr_says_201_and_its_range_is_stuck(self, http: aiohttp.ClientSession) -> None:
        part = bytes(products.ECR_PART_BYTES)
        async with FakeRegistry.like(products.ecr()) as registry:
            url = await start_upload(http, registry)
            seen = [await http.patch(url, data=BytesIO(part)) for _ in range(2)]
            assert [reply.status for reply in seen] == [201, 201]
            assert {reply.headers["Range"] for reply in seen} == {f"0-{len(part) - 1}"}

    async def test_gar_takes_a_stream_but_no_chunk(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry.like(products.gar()) as registry:
            url = await start_upload(http, registry)
            chunk = await http.patch(url, data=b"abc", headers={"Content-Range": "0-2"})
            assert (chunk.status, (await http.patch(url, data=b"abc")).status) == (400, 202)

    async def test_ghcr_has_no_catalog(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry.like(products.ghcr()) as registry:
            assert (await http.get(f"{registry.url}/v2/_catalog")).status == 404

    async def test_quay_wants_to_know_where_to_mount_from(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry.like(products.quay()) as registry:
            response = await http.post(f"{registry.url}/v2/app/blobs/uploads/?mount={DIGEST}")
            assert response.status == 400
