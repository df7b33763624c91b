"""Registries that break the protocol, as small servers made for one lie each."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from oci_client import media_types
from oci_client.auth import Scope
from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.errors import (
    BodyTooLarge,
    Denied,
    DigestMismatch,
    EndlessPaging,
    ManifestInvalid,
    RegistryError,
    RegistryTimeout,
    ServerFault,
    SizeMismatch,
    TagImmutable,
    TooManyRequests,
    TruncatedBody,
    Unauthorized,
    UnexpectedAnswer,
    Unreachable,
)
from oci_client.gate import Action, Outcome
from oci_client.http import HttpClient
from oci_client.manifest import MAX_MANIFEST_BYTES, parse_manifest
from oci_client.uploads import UploadSession
from tests.integration.oci_client.small_servers import Handler, Server, serving

INDEX = b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
INDEX_DIGEST = Digest.of(INDEX)
OTHER_DIGEST = Digest.of(b"something else")
BLOB = b"x" * 300_000


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient(read_timeout_s=5.0) as client:
        yield client


class FixedAuthorizer:
    """Says always the same."""

    async def authorize(self, scopes: frozenset[Scope], *, rejected: str | None = None) -> str | None:
        return "Bearer fixed"


@asynccontextmanager
async def a_client(http: HttpClient, handler: Handler) -> AsyncIterator[tuple[RegistryClient, Server]]:
    async with serving(handler) as server:
        yield RegistryClient(server.url, http=http, authorizer=FixedAuthorizer()), server


def answering(
    body: bytes | str = b"", status: int = 200, content_type: str = media_types.OCI_INDEX, **headers: str
) -> Handler:
    text = body if isinstance(body, bytes) else body.encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(body=text, status=status, headers={"Content-Type": content_type, **named})

    return handler


def cutting_after(count: int) -> Handler:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(BLOB))})
        await response.prepare(request)
        await response.write(BLOB[:count])
        assert request.transport is not None
        request.transport.close()
        return response

    return handler


async def drain(client: RegistryClient, digest: Digest, size: int | None = None) -> int:
    return sum([len(chunk) async for chunk in client.get_blob("some/repo", digest, size=size)])


async def test_a_cut_blob_is_truncated(http: HttpClient) -> None:
    async with a_client(http, cutting_after(100_000)) as (client, _):
        with pytest.raises(TruncatedBody):
            await drain(client, Digest.of(BLOB))


async def test_a_blob_with_another_digest(http: HttpClient) -> None:
    async with a_client(http, answering(BLOB)) as (client, _):
        with pytest.raises(DigestMismatch) as caught:
            await drain(client, OTHER_DIGEST)

    assert (caught.value.expected, caught.value.actual) == (OTHER_DIGEST, Digest.of(BLOB))


@pytest.mark.parametrize("size", [len(BLOB) - 1, len(BLOB) + 1])
async def test_a_blob_of_another_size(http: HttpClient, size: int) -> None:
    async with a_client(http, answering(BLOB)) as (client, _):
        with pytest.raises(SizeMismatch):
            await drain(client, Digest.of(BLOB), size)


async def test_a_web_page_is_not_a_manifest(http: HttpClient) -> None:
    async with a_client(http, answering("<html>", content_type="text/html")) as (client, _):
        with pytest.raises(UnexpectedAnswer):
            await client.get_manifest("some/repo", "v1")


async def test_a_web_page_is_not_a_tag_list(http: HttpClient) -> None:
    async with a_client(http, answering("<html>", content_type="text/html")) as (client, _):
        with pytest.raises(UnexpectedAnswer):
            [page async for page in client.tags("some/repo")]


async def test_a_web_page_means_no_referrers_api(http: HttpClient) -> None:
    async with a_client(http, answering("<html>", content_type="text/html")) as (client, _):
        assert await client.referrers("some/repo", INDEX_DIGEST) is None


async def test_another_manifest_than_asked_for(http: HttpClient) -> None:
    async with a_client(http, answering(INDEX)) as (client, _):
        with pytest.raises(DigestMismatch):
            await client.get_manifest("some/repo", OTHER_DIGEST)


async def test_another_manifest_than_announced(http: HttpClient) -> None:
    async with a_client(http, answering(INDEX, Docker_Content_Digest=OTHER_DIGEST)) as (client, _):
        with pytest.raises(DigestMismatch):
            await client.get_manifest("some/repo", "v1")


@pytest.mark.parametrize(
    "garbled", [b"\xff" + INDEX[1:], b"[]", b"{}", INDEX[:-1]], ids=["no text", "a list", "empty", "cut"]
)
@pytest.mark.parametrize("content_type", [media_types.OCI_INDEX, media_types.JSON, media_types.DOCKER_SCHEMA1_SIGNED])
async def test_garbled_bytes_are_told_by_their_digest(http: HttpClient, garbled: bytes, content_type: str) -> None:
    """They are hashed before anybody tries to read them."""
    async with a_client(http, answering(garbled, content_type=content_type)) as (client, _):
        with pytest.raises(DigestMismatch):
            await client.get_manifest("some/repo", INDEX_DIGEST)
    async with a_client(http, answering(garbled, Docker_Content_Digest=INDEX_DIGEST)) as (client, _):
        with pytest.raises(DigestMismatch):
            await client.get_manifest("some/repo", "v1")


async def test_bytes_that_are_no_manifest_and_right_are_invalid(http: HttpClient) -> None:
    async with a_client(http, answering(b"[]")) as (client, _):
        with pytest.raises(ManifestInvalid):
            await client.get_manifest("some/repo", Digest.of(b"[]"))


async def test_a_signed_schema1_manifest_is_known_by_what_was_signed(http: HttpClient) -> None:
    protected = base64.urlsafe_b64encode(b'{"formatLength":18,"formatTail":"fQ"}').decode()
    payload = b'{"schemaVersion":1}'
    signed = payload[:-1] + f',"signatures":[{{"protected":"{protected}"}}]}}'.encode()
    async with a_client(http, answering(signed, content_type=media_types.DOCKER_SCHEMA1_SIGNED)) as (client, _):
        found = await client.get_manifest("some/repo", Digest.of(payload))

    assert (found.digest, found.raw) == (Digest.of(payload), signed)


async def test_digests_of_two_algorithms_must_both_be_right(http: HttpClient) -> None:
    other = Digest.of(b"something else", "sha512")
    async with a_client(http, answering(INDEX, Docker_Content_Digest=other)) as (client, _):
        with pytest.raises(DigestMismatch):
            await client.get_manifest("some/repo", INDEX_DIGEST)


async def test_head_of_another_digest_than_asked_for(http: HttpClient) -> None:
    async with a_client(http, answering(INDEX, Docker_Content_Digest=OTHER_DIGEST)) as (client, _):
        with pytest.raises(DigestMismatch):
            await client.head_manifest("some/repo", INDEX_DIGEST)


async def test_a_manifest_over_the_limit_is_not_read(http: HttpClient) -> None:
    async with a_client(http, answering(b" " * (MAX_MANIFEST_BYTES + 1))) as (client, _):
        with pytest.raises(BodyTooLarge):
            await client.get_manifest("some/repo", "v1")


async def test_head_without_a_digest_falls_back_to_get(http: HttpClient) -> None:
    async with a_client(http, answering(INDEX)) as (client, server):
        found = await client.head_manifest("some/repo", "v1")

    assert found is not None
    assert found.digest == INDEX_DIGEST
    assert [method for method, _ in server.requests] == ["HEAD", "GET"]


async def test_head_that_is_not_allowed_falls_back_to_get(http: HttpClient) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        if request.method == "HEAD":
            return web.Response(status=405)
        return web.Response(body=INDEX, content_type=media_types.OCI_INDEX)

    async with a_client(http, handler) as (client, _):
        found = await client.head_manifest("some/repo", "v1")

    assert found is not None
    assert found.size == len(INDEX)


async def test_an_upload_without_a_location(http: HttpClient) -> None:
    async with a_client(http, answering(status=202)) as (client, _):
        with pytest.raises(UnexpectedAnswer):
            await client.start_upload("some/repo")


async def test_an_upload_location_is_kept_byte_for_byte(http: HttpClient) -> None:
    where = "/odd/place?_state=a%2Fb%3D%7E+c&x=%2B"

    async def handler(request: web.BaseRequest) -> web.Response:
        return web.Response(status=202 if request.method == "POST" else 201, headers={"Location": where})

    async with a_client(http, handler) as (client, server):
        session = await client.start_upload("some/repo")
        await client.put_blob(session, INDEX_DIGEST, b"")

    assert server.requests[1] == ("PUT", f"{where}&digest=sha256%3A{INDEX_DIGEST.encoded}")


async def test_an_upload_location_on_another_host_does_not_get_our_token(http: HttpClient) -> None:
    async with serving(answering(status=201)) as storage:
        handler = answering(status=202, Location=f"{storage.url}/upload", OCI_Chunk_Min_Length="1000")
        async with a_client(http, handler) as (client, server):
            session = await client.start_upload("some/repo")
            await client.put_blob(session, INDEX_DIGEST, b"")

    assert session.min_chunk == 1000
    assert server.authorizations == ["Bearer fixed"]
    assert storage.authorizations == [None]


@pytest.mark.parametrize(
    ("told", "offset"), [("0-9", 10), ("bytes=0-9", 10), ("0-0", 0), ("", 0), ("5-9", 0), ("0-" + "9" * 5000, 0)]
)
async def test_how_far_an_upload_has_come(http: HttpClient, told: str, offset: int) -> None:
    async with a_client(http, answering(status=204, Range=told)) as (client, server):
        session = UploadSession(repository="some/repo", url=f"{server.url}/session")
        status = await client.upload_status(session)

    assert (status.session, status.offset) == (session, offset)


@pytest.mark.parametrize("status", [400, 404, 405])
async def test_a_mount_that_is_refused_outright_becomes_an_upload(http: HttpClient, status: int) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        if "mount" in request.query:
            return web.Response(status=status)
        return web.Response(status=202, headers={"Location": "/session"})

    async with a_client(http, handler) as (client, server):
        session = await client.mount_blob("some/repo", INDEX_DIGEST, "other/repo")

    assert isinstance(session, UploadSession)
    assert session.url == f"{server.url}/session"


async def test_a_mount_that_is_denied_stays_denied(http: HttpClient) -> None:
    async with a_client(http, answering(status=403)) as (client, _):
        with pytest.raises(Denied):
            await client.mount_blob("some/repo", INDEX_DIGEST, "other/repo")


async def test_a_failing_source_of_an_upload_is_what_the_caller_hears(http: HttpClient) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield BLOB
        raise DigestMismatch(expected=INDEX_DIGEST, actual=OTHER_DIGEST)

    async def handler(request: web.BaseRequest) -> web.Response:
        await request.read()
        return web.Response(status=201)

    async with a_client(http, handler) as (client, server):
        session = UploadSession(repository="some/repo", url=f"{server.url}/session")
        with pytest.raises(DigestMismatch):
            await client.put_blob(session, INDEX_DIGEST, broken(), size=2 * len(BLOB))


async def test_pages_that_go_in_circles(http: HttpClient) -> None:
    async with a_client(http, answering('{"tags":["a"]}', Link='</v2/some/repo/tags/list?n=1000>; rel="next"')) as (
        client,
        server,
    ):
        with pytest.raises(EndlessPaging):
            [page async for page in client.tags("some/repo")]

    assert len(server.requests) == 1


async def test_pages_that_do_not_advance(http: HttpClient) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        number = int(request.query.get("page", 0)) + 1
        return web.Response(text='{"tags":["a"]}', headers={"Link": f'<?page={number}>; rel="next"'})

    async with a_client(http, handler) as (client, server):
        with pytest.raises(EndlessPaging):
            [page async for page in client.tags("some/repo")]

    assert len(server.requests) == 2


async def test_pages_by_relative_and_absolute_links(http: HttpClient) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        match request.query.get("last"):
            case None:
                return web.Response(text='{"tags":["a"]}', headers={"Link": '<list?last=a>; rel="next"'})
            case "a":
                link = f"<http://{request.host}/v2/some/repo/tags/list?last=b>; rel=next"
                return web.Response(text='{"tags":["b"]}', headers={"Link": link})
            case _:
                return web.Response(text='{"tags":null}')

    async with a_client(http, handler) as (client, _):
        assert [page async for page in client.tags("some/repo")] == [["a"], ["b"], []]


async def test_the_next_page_is_not_sought_on_another_host(http: HttpClient) -> None:
    async with a_client(http, answering('{"tags":["a"]}', Link='<http://127.0.0.2:1/v2/>; rel="next"')) as (client, _):
        with pytest.raises(UnexpectedAnswer):
            [page async for page in client.tags("some/repo")]


async def test_referrers(http: HttpClient) -> None:
    entry = f'{{"mediaType":"{media_types.OCI_MANIFEST}","digest":"{OTHER_DIGEST}","size":3,"artifactType":"a/b"}}'
    body = f'{{"schemaVersion":2,"mediaType":"{media_types.OCI_INDEX}","manifests":[{entry}]}}'
    async with a_client(http, answering(body)) as (client, _):
        found = await client.referrers("some/repo", INDEX_DIGEST)

    assert found is not None
    assert [(item.digest, item.artifact_type) for item in found] == [(OTHER_DIGEST, "a/b")]


async def test_a_redirect_to_another_host_loses_the_token(http: HttpClient) -> None:
    async with serving(answering(BLOB)) as storage:
        handler = answering(status=307, Location=f"{storage.url}/b?sig=%2F%3D")
        async with a_client(http, handler) as (client, server):
            assert await drain(client, Digest.of(BLOB)) == len(BLOB)

    assert server.authorizations == ["Bearer fixed"]
    assert storage.authorizations == [None]
    assert storage.requests == [("GET", "/b?sig=%2F%3D")]


async def test_a_redirect_on_the_same_host_keeps_the_token(http: HttpClient) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        if request.path == "/moved":
            return web.Response(body=BLOB)
        return web.Response(status=302, headers={"Location": "/moved"})

    async with a_client(http, handler) as (client, server):
        await drain(client, Digest.of(BLOB))

    assert server.authorizations == ["Bearer fixed", "Bearer fixed"]


@pytest.mark.parametrize("location", ["/v2/again", "file:///etc/passwd", "http://host:notaport/"])
async def test_redirects_to_nowhere(http: HttpClient, location: str) -> None:
    async with a_client(http, answering(status=307, Location=location)) as (client, _):
        with pytest.raises(UnexpectedAnswer):
            await drain(client, Digest.of(BLOB))


async def test_a_put_is_not_redirected(http: HttpClient) -> None:
    async with a_client(http, answering(status=307, Location="/elsewhere")) as (client, server):
        with pytest.raises(UnexpectedAnswer):
            await client.put_manifest("some/repo", "v1", parse_manifest(INDEX))

    assert len(server.requests) == 1


async def test_a_value_that_stays_refused_is_not_sent_twice(http: HttpClient) -> None:
    async with a_client(http, answering(status=401)) as (client, server):
        with pytest.raises(Unauthorized):
            await client.get_manifest("some/repo", "v1")

    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"), [(429, TooManyRequests), (503, ServerFault), (412, TagImmutable), (413, RegistryError)]
)
async def test_refusals_of_a_push(http: HttpClient, status: int, kind: type[RegistryError]) -> None:
    async with a_client(http, answering("<html>", status, "text/html", Retry_After="7")) as (client, _):
        with pytest.raises(RegistryError) as caught:
            await client.put_manifest("some/repo", "v1", parse_manifest(INDEX))

    assert type(caught.value) is kind
    assert (caught.value.status, caught.value.retry_after, caught.value.errors) == (status, 7.0, ())


async def test_tags_set_with_the_push(http: HttpClient) -> None:
    handler = answering(status=201, OCI_Tag="a, b", OCI_Subject=OTHER_DIGEST)
    async with a_client(http, handler) as (client, server):
        result = await client.put_manifest("some/repo", INDEX_DIGEST, parse_manifest(INDEX), tags=["a", "b"])

    assert result.tags == ("a", "b")
    assert result.subject_acknowledged
    assert server.requests == [("PUT", f"/v2/some/repo/manifests/{INDEX_DIGEST}?tag=a&tag=b")]


async def test_nobody_listens(http: HttpClient) -> None:
    async with serving(answering()) as server:
        gone = server.url
    with pytest.raises(Unreachable, match=rf"^{gone}/v2/: Connection refused$"):
        await RegistryClient(gone, http=http).ping()


async def test_a_name_that_there_is_not(http: HttpClient) -> None:
    with pytest.raises(Unreachable, match=r"^http://nonesuch\.invalid/v2/: [A-Z][a-z ]+$"):
        await RegistryClient("http://nonesuch.invalid", http=http).ping()


async def test_a_server_that_hangs_up_without_an_answer(http: HttpClient) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with a_client(http, handler) as (client, _):
        with pytest.raises(Unreachable) as caught:
            await client.start_upload("some/repo")

    assert type(caught.value) is Unreachable


async def test_a_server_that_never_answers() -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        await asyncio.Event().wait()
        raise AssertionError

    async with HttpClient(read_timeout_s=0.1) as http, a_client(http, handler) as (client, _):
        with pytest.raises(RegistryTimeout):
            await client.ping()


async def test_a_path_prefix_is_kept(http: HttpClient) -> None:
    async with serving(answering(INDEX)) as server:
        await RegistryClient(f"{server.url}/prefix/", http=http).get_manifest("some/repo", "v1")

    assert server.requests == [("GET", "/prefix/v2/some/repo/manifests/v1")]


class CountingGate:
    """Remembers what passed."""

    def __init__(self) -> None:
        self.inside = 0
        self.seen: list[tuple[Action, Outcome, int]] = []

    @asynccontextmanager
    async def slot(self, action: Action) -> AsyncIterator[None]:
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    def observe(self, action: Action, outcome: Outcome) -> None:
        self.seen.append((action, outcome, self.inside))


async def test_the_gate_sees_each_request_and_what_became_of_it(http: HttpClient) -> None:
    gate = CountingGate()
    handler = answering(status=429, Retry_After="3", RateLimit_Remaining="0;w=21600", RateLimit_Limit="100;w=21600")
    async with serving(handler) as server:
        with pytest.raises(TooManyRequests):
            await RegistryClient(server.url, http=http, gate=gate).get_manifest("some/repo", "v1")
    with pytest.raises(Unreachable):
        await RegistryClient(server.url, http=http, gate=gate).ping()

    (first, outcome, inside), (second, failure, _) = gate.seen
    assert (first, outcome.status, outcome.retry_after, inside) == (Action.GET_MANIFEST, 429, 3.0, 1)
    assert outcome.rate_limit is not None
    assert (outcome.rate_limit.limit, outcome.rate_limit.remaining, outcome.rate_limit.window_s) == (100, 0, 21600)
    assert (second, failure.status, gate.inside) == (Action.PING, None, 0)


async def test_a_blob_holds_its_slot_until_its_end(http: HttpClient) -> None:
    gate = CountingGate()
    async with serving(answering(BLOB)) as server:
        client = RegistryClient(server.url, http=http, gate=gate)
        inside = [gate.inside async for _ in client.get_blob("some/repo", Digest.of(BLOB))]

    assert set(inside) == {1}
    assert gate.inside == 0
