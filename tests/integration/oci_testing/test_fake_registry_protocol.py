"""The fake registry over real sockets: it keeps to the distribution specification."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from oci_client.testing import (
    Action,
    Behaviour,
    FakeRegistry,
    SyntheticBlob,
    an_artifact,
    an_image,
    an_index,
    digest_of,
    products,
)
from oci_client.testing.content import OCI_INDEX, OCI_MANIFEST
from tests.integration.oci_testing.whole_replies import http_client


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with http_client() as session:
        yield session


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as running:
        yield running


async def error_of(response: aiohttp.ClientResponse) -> tuple[int, str]:
    return response.status, (await response.json())["errors"][0]["code"]


async def start_upload(http: aiohttp.ClientSession, registry: FakeRegistry, repository: str = "app") -> str:
    response = await http.post(f"{registry.url}/v2/{repository}/blobs/uploads/")
    assert response.status == 202
    return registry.url + response.headers["Location"]


async def send_chunk(http: aiohttp.ClientSession, url: str, start: int, data: bytes) -> aiohttp.ClientResponse:
    headers = {"Content-Range": f"{start}-{start + len(data) - 1}"}
    return await http.patch(url, data=data, headers=headers)


class TestManifests:
    async def test_get_gives_the_bytes_that_were_pushed(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        image = an_image()
        digest = registry.push("app", image, "v1")
        response = await http.get(f"{registry.url}/v2/app/manifests/v1", headers={"Accept": OCI_MANIFEST})
        assert await response.read() == image.manifest
        assert response.headers["Docker-Content-Digest"] == digest
        assert response.headers["Content-Type"] == OCI_MANIFEST

    async def test_head_says_the_size_and_sends_nothing(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        image = an_image()
        registry.push("app", image, "v1")
        response = await http.head(f"{registry.url}/v2/app/manifests/v1", headers={"Accept": OCI_MANIFEST})
        assert response.headers["Content-Length"] == str(len(image.manifest))
        assert registry.requests[0].bytes_out == 0

    async def test_a_type_that_is_not_accepted_is_unknown(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        registry.push_image("app", "v1")
        response = await http.get(f"{registry.url}/v2/app/manifests/v1", headers={"Accept": OCI_INDEX})
        assert await error_of(response) == (404, "MANIFEST_UNKNOWN")

    async def test_a_manifest_without_its_blobs_is_refused(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        body, headers = an_image().manifest, {"Content-Type": OCI_MANIFEST}
        response = await http.put(f"{registry.url}/v2/app/manifests/v1", data=body, headers=headers)
        assert await error_of(response) == (400, "MANIFEST_BLOB_UNKNOWN")
        assert registry.store.names == []

    async def test_an_index_without_its_children_is_refused(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        body, headers = an_index().manifest, {"Content-Type": OCI_INDEX}
        response = await http.put(f"{registry.url}/v2/app/manifests/v1", data=body, headers=headers)
        assert await error_of(response) == (400, "MANIFEST_UNKNOWN")

    async def test_a_name_in_capitals_is_refused(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        response = await http.post(f"{registry.url}/v2/App/blobs/uploads/")
        assert await error_of(response) == (400, "NAME_INVALID")

    async def test_a_wrong_digest_is_refused(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        url, headers = f"{registry.url}/v2/app/manifests/{digest_of(b'other')}", {"Content-Type": OCI_MANIFEST}
        response = await http.put(url, data=an_image().manifest, headers=headers)
        assert await error_of(response) == (400, "DIGEST_INVALID")

    async def test_one_put_sets_many_tags(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        image = an_image()
        registry.push("app", image)
        url = f"{registry.url}/v2/app/manifests/{image.digest}?tag=a&tag=b"
        response = await http.put(url, data=image.manifest, headers={"Content-Type": OCI_MANIFEST})
        assert response.headers.getall("OCI-Tag") == ["a", "b"]
        assert registry.store.repository("app").tags == {"a": image.digest, "b": image.digest}

    async def test_delete_by_digest_takes_all_tags_along(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        digest = registry.push("app", an_image(), "a", "b")
        assert (await http.delete(f"{registry.url}/v2/app/manifests/{digest}")).status == 202
        response = await http.get(f"{registry.url}/v2/app/tags/list")
        assert await response.json() == {"name": "app", "tags": None}

    async def test_distribution_2_does_not_delete_by_tag(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry.like(products.distribution_2()) as registry:
            registry.push_image("app", "v1")
            response = await http.delete(f"{registry.url}/v2/app/manifests/v1")
            assert await error_of(response) == (400, "UNSUPPORTED")


class TestBlobs:
    async def test_a_range_is_206(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        blob = SyntheticBlob(3_000_000, seed=9)
        registry.push("app", an_image([blob]), "v1")
        url = f"{registry.url}/v2/app/blobs/{blob.digest}"
        whole = await (await http.get(url)).read()
        part = await http.get(url, headers={"Range": "bytes=2000000-2500000"})
        assert (part.status, part.headers["Content-Range"]) == (206, "bytes 2000000-2500000/3000000")
        assert await part.read() == whole[2_000_000:2_500_001]

    async def test_a_range_beyond_the_end_is_416(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        image = an_image([b"abc"])
        registry.push("app", image, "v1")
        url = f"{registry.url}/v2/app/blobs/{image.layers[0]}"
        response = await http.get(url, headers={"Range": "bytes=3-"})
        assert (response.status, response.headers["Content-Range"]) == (416, "bytes */3")

    async def test_another_repositorys_blob_is_unknown(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        image = an_image()
        registry.push("app", image, "v1")
        registry.push_image("other", "v1", seed=1)
        response = await http.get(f"{registry.url}/v2/other/blobs/{image.layers[0]}")
        assert await error_of(response) == (404, "BLOB_UNKNOWN")


class TestUploads:
    async def test_a_whole_blob_in_a_put(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        data = b"layer" * 1000
        url = await start_upload(http, registry)
        response = await http.put(f"{url}&digest={digest_of(data)}", data=data)
        assert response.status == 201
        assert registry.log.select(method="PUT")[0].bytes_in == len(data)
        assert await (await http.get(registry.url + response.headers["Location"])).read() == data

    async def test_another_digest_is_refused_and_ends_the_upload(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        url = await start_upload(http, registry)
        response = await http.put(f"{url}&digest={digest_of(b'right')}", data=b"wrong")
        assert await error_of(response) == (400, "DIGEST_INVALID")
        assert registry.store.open_uploads == []

    async def test_chunks_and_status(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        url = await start_upload(http, registry)
        first = await send_chunk(http, url, 0, b"abc")
        assert (first.status, first.headers["Range"]) == (202, "0-2")
        out_of_order = await send_chunk(http, url, 7, b"hij")
        assert (out_of_order.status, out_of_order.headers["Range"]) == (416, "0-2")
        status = await http.get(url)
        assert (status.status, status.headers["Range"]) == (204, "0-2")
        closed = await http.put(
            f"{registry.url}{status.headers['Location']}&digest={digest_of(b'abcdef')}", data=b"def"
        )
        assert closed.status == 201

    async def test_a_sha512_digest(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        url = await start_upload(http, registry)
        response = await http.put(f"{url}&digest={digest_of(b'abc', 'sha512')}", data=b"abc")
        assert response.status == 201

    async def test_a_mount_moves_no_bytes(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        image = an_image()
        registry.push("app", image, "v1")
        url = f"{registry.url}/v2/other/blobs/uploads/?mount={image.layers[0]}&from=app"
        assert (await http.post(url)).status == 201
        assert registry.requests[0].bytes_in == 0

    async def test_a_mount_of_what_is_not_there_opens_an_upload(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        response = await http.post(f"{registry.url}/v2/app/blobs/uploads/?mount={digest_of(b'')}&from=nowhere")
        assert response.status == 202
        assert len(registry.store.open_uploads) == 1

    async def test_a_stale_state_ends_the_upload_on_distribution_2(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry.like(products.distribution_2()) as registry:
            url = await start_upload(http, registry)
            await http.patch(url, data=b"abc")
            assert await error_of(await http.get(url)) == (400, "BLOB_UPLOAD_INVALID")
            assert await error_of(await http.get(url)) == (404, "BLOB_UPLOAD_UNKNOWN")

    async def test_no_chunk_follows_a_short_one(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry(behaviour=Behaviour(min_chunk_bytes=4)) as registry:
            url = await start_upload(http, registry)
            assert (await send_chunk(http, url, 0, b"abc")).status == 202
            assert await error_of(await send_chunk(http, url, 3, b"defg")) == (400, "SIZE_INVALID")

    async def test_a_chunk_over_the_limit_is_416(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry(behaviour=Behaviour(max_chunk_bytes=4)) as registry:
            url = await start_upload(http, registry)
            assert (await send_chunk(http, url, 0, b"abcde")).status == 416
            assert (await send_chunk(http, url, 0, b"abcd")).status == 202

    async def test_a_cancelled_upload_is_unknown(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        url = await start_upload(http, registry)
        assert (await http.delete(url)).status == 204
        assert await error_of(await http.get(url)) == (404, "BLOB_UPLOAD_UNKNOWN")


class TestLists:
    async def test_tags_come_in_pages(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        registry.push("app", an_image(), "a", "b", "c")
        first = await http.get(f"{registry.url}/v2/app/tags/list?n=2")
        assert (await first.json())["tags"] == ["a", "b"]
        rest = await http.get(first.links["next"]["url"])
        assert (await rest.json())["tags"] == ["c"]
        assert "Link" not in rest.headers

    async def test_distribution_2_sends_all_tags_whatever_is_asked(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry.like(products.distribution_2()) as registry:
            registry.push("app", an_image(), "a", "b", "c")
            response = await http.get(f"{registry.url}/v2/app/tags/list?n=1&last=b")
            assert (await response.json())["tags"] == ["a", "b", "c"]

    async def test_too_long_a_page_is_refused(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        response = await http.get(f"{registry.url}/v2/_catalog?n=1001")
        assert await error_of(response) == (400, "PAGINATION_NUMBER_INVALID")

    async def test_referrers_are_filtered_and_it_says_so(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        image = an_image()
        registry.push("app", image, "v1")
        registry.push("app", an_artifact("application/x.sbom", subject=image))
        signature = registry.push("app", an_artifact("application/x.signature", subject=image))
        url = f"{registry.url}/v2/app/referrers/{image.digest}?artifactType=application/x.signature"
        response = await http.get(url)
        listed = await response.json(content_type=OCI_INDEX)
        assert [descriptor["digest"] for descriptor in listed["manifests"]] == [signature]
        assert response.headers["OCI-Filters-Applied"] == "artifactType"

    async def test_referrers_come_in_pages(self, http: aiohttp.ClientSession) -> None:
        image = an_image()
        async with FakeRegistry(behaviour=Behaviour(referrers_page_size=2)) as registry:
            for seed in range(3):
                registry.push("app", an_artifact(subject=image, seed=seed))
            first = await http.get(f"{registry.url}/v2/app/referrers/{image.digest}")
            rest = await http.get(first.links["next"]["url"])
            sizes = [len((await page.json(content_type=OCI_INDEX))["manifests"]) for page in (first, rest)]
            assert sizes == [2, 1]

    async def test_without_the_api_there_is_no_oci_subject(self, http: aiohttp.ClientSession) -> None:
        async with FakeRegistry(behaviour=Behaviour(referrers_api=False)) as registry:
            signature = an_artifact(subject=an_image())
            registry.push("app", signature)
            url, headers = f"{registry.url}/v2/app/manifests/{signature.digest}", {"Content-Type": OCI_MANIFEST}
            response = await http.put(url, data=signature.manifest, headers=headers)
            assert (response.status, "OCI-Subject" in response.headers) == (201, False)
            assert (await http.get(f"{registry.url}/v2/app/referrers/{signature.digest}")).status == 404


class TestLog:
    async def test_requests_are_counted_by_what_they_are(
        self, http: aiohttp.ClientSession, registry: FakeRegistry
    ) -> None:
        registry.push_image("app", "v1")
        await http.get(f"{registry.url}/v2/")
        await http.get(f"{registry.url}/v2/app/tags/list")
        await http.get(f"{registry.url}/v2/none/tags/list")
        assert registry.log.count(action=Action.TAGS) == 2
        assert registry.log.count(action=Action.TAGS, repository="none", status=404) == 1
        assert registry.log.peak() == 1

    async def test_reset_forgets(self, http: aiohttp.ClientSession, registry: FakeRegistry) -> None:
        await http.get(f"{registry.url}/v2/")
        registry.log.reset()
        assert (registry.requests, registry.log.peak(), registry.log.bytes_out) == ([], 0, 0)
