"""The proxy over loopback: what it counts, passes on and cuts."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from benchmarks.counts import Counts
from benchmarks.proxy import Cuts, Proxy

BLOB = bytes(range(256)) * 40
BLOB_PATH = "/v2/app/blobs/sha256:00"


async def _blob(request: web.Request) -> web.Response:
    return web.Response(body=BLOB)


async def _upload(request: web.Request) -> web.Response:
    body = await request.read()
    return web.Response(status=201, headers={"X-Received": str(len(body))})


async def _start(request: web.Request) -> web.Response:
    return web.Response(status=201 if request.query.get("mount") == "sha256:known" else 202)


async def _refuse(request: web.Request) -> web.Response:
    return web.Response(status=403, text="no")


@pytest.fixture
async def upstream() -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_get(BLOB_PATH, _blob)
    app.router.add_post("/v2/app/blobs/uploads/", _start)
    app.router.add_put("/v2/app/blobs/uploads/1", _upload)
    app.router.add_put("/v2/app/manifests/v1", _refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def counts_at(session: aiohttp.ClientSession, url: str) -> Counts:
    async with session.get(f"{url}/-/counts") as answer:
        return Counts.from_json(await answer.json(content_type=None))


async def test_requests_and_bytes_are_counted_by_kind(upstream: int, session: aiohttp.ClientSession) -> None:
    async with Proxy("127.0.0.1", upstream).serving() as port:
        url = f"http://127.0.0.1:{port}"
        async with session.get(url + BLOB_PATH) as answer:
            assert await answer.read() == BLOB
        async with session.head(url + BLOB_PATH) as answer:
            assert answer.headers["Content-Length"] == str(len(BLOB))
        async with session.put(f"{url}/v2/app/blobs/uploads/1", data=BLOB) as answer:
            assert answer.headers["X-Received"] == str(len(BLOB))
        counts = await counts_at(session, url)

    assert (counts.requests, counts.blob_bytes_read, counts.blob_bytes_written) == (3, len(BLOB), len(BLOB))
    assert set(counts.tallies) == {"GET blob", "HEAD blob", "PUT upload"}


async def test_a_chunked_upload_arrives_whole(upstream: int, session: aiohttp.ClientSession) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(BLOB), 1000):
            yield BLOB[start : start + 1000]

    async with Proxy("127.0.0.1", upstream).serving() as port:
        url = f"http://127.0.0.1:{port}/v2/app/blobs/uploads/1"
        async with session.put(url, data=pieces()) as answer:
            assert answer.headers["X-Received"] == str(len(BLOB))


async def test_an_upload_that_asks_first_is_told_to_go_on(upstream: int, session: aiohttp.ClientSession) -> None:
    async with Proxy("127.0.0.1", upstream).serving() as port:
        url = f"http://127.0.0.1:{port}/v2/app/blobs/uploads/1"
        async with session.put(url, data=BLOB, expect100=True) as answer:
            assert (answer.status, answer.headers["X-Received"]) == (201, str(len(BLOB)))


async def test_a_mount_counts_as_done_or_as_refused(upstream: int, session: aiohttp.ClientSession) -> None:
    async with Proxy("127.0.0.1", upstream).serving() as port:
        url = f"http://127.0.0.1:{port}"
        for digest in ("sha256:known", "sha256:unknown"):
            async with session.post(f"{url}/v2/app/blobs/uploads/", params={"mount": digest, "from": "b"}):
                pass
        counts = await counts_at(session, url)

    assert counts.mounts == 1
    assert counts.of("POST mount refused").requests == 1


async def test_a_reset_begins_anew(upstream: int, session: aiohttp.ClientSession) -> None:
    async with Proxy("127.0.0.1", upstream).serving() as port:
        url = f"http://127.0.0.1:{port}"
        async with session.get(url + BLOB_PATH):
            pass
        async with session.post(f"{url}/-/reset"):
            pass
        assert (await counts_at(session, url)).requests == 0


async def test_downloads_are_cut_as_often_as_said(upstream: int, session: aiohttp.ClientSession) -> None:
    """The third download is whole; what was sent before the cuts is counted."""
    async with Proxy("127.0.0.1", upstream, cuts=Cuts(after=1, count=2)).serving() as port:
        url = f"http://127.0.0.1:{port}"
        for _ in range(2):
            with pytest.raises(aiohttp.ClientError):
                async with session.get(url + BLOB_PATH) as answer:
                    await answer.read()
        async with session.get(url + BLOB_PATH) as answer:
            assert await answer.read() == BLOB
        counts = await counts_at(session, url)

    assert counts.cuts == 2
    assert counts.of("GET blob").requests == 3


async def test_a_refusal_is_passed_on_and_the_next_request_answered(
    upstream: int, session: aiohttp.ClientSession
) -> None:
    async with Proxy("127.0.0.1", upstream).serving() as port:
        url = f"http://127.0.0.1:{port}"
        async with session.put(f"{url}/v2/app/manifests/v1", data=b"{}") as answer:
            assert answer.status == 403
        async with session.get(url + BLOB_PATH) as answer:
            assert await answer.read() == BLOB


async def test_tls_to_the_plain_port_is_refused_in_plain_text(upstream: int) -> None:
    """Clients that try TLS first would wait for their timeout otherwise."""
    async with Proxy("127.0.0.1", upstream).serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\x16\x03\x01")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        await writer.wait_closed()
