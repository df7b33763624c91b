"""Upload sessions, line by line of what registries are known to do with them."""

import asyncio
from dataclasses import replace

import pytest

from jobservice.transfer import Outcome
from oci_client.auth import Credential
from oci_client.testing import (
    Action,
    BasicAuth,
    Behaviour,
    FakeRegistry,
    LocationForm,
    Match,
    effects,
    products,
)
from oci_client.testing.messages import ConnectionCutError, Handler, Reply, Request
from oci_client.testing.products import Product
from tests.engine_kit import MIB, SMALL, Memory, Worker, content, until

PATCH = Match(method="PATCH", action=Action.UPLOAD)
PUT = Match(method="PUT", action=Action.UPLOAD)
LARGE = 4 * MIB + 5


@pytest.fixture
def large(source: FakeRegistry) -> FakeRegistry:
    """A source of one image with one large layer."""
    source.push_image("library/app", "1", [LARGE])
    return source


async def copied(source: FakeRegistry, destination: FakeRegistry, **options: object) -> Worker:
    """Copy the image and check that all of it arrived."""
    async with Worker(source, destination, **options) as worker:  # type: ignore[arg-type]
        [result] = await worker.copy("1")
    assert result.outcome is Outcome.COPIED, result.failure
    assert content(destination, "library/app") == content(source, "library/app")
    assert destination.store.open_uploads == []
    return worker


async def test_a_large_blob_goes_in_chunks(large: FakeRegistry, destination: FakeRegistry) -> None:
    await copied(large, destination)

    chunks = destination.log.select(method="PATCH")
    assert [each.bytes_in for each in chunks] == [MIB] * 4 + [5]
    # Unlike in HTTP proper the unit is not written.
    assert chunks[1].headers["Content-Range"] == f"{MIB}-{2 * MIB - 1}"
    assert {each.headers["Content-Type"] for each in chunks} == {"application/octet-stream"}
    assert large.log.count(action=Action.BLOB) == 2


@pytest.mark.parametrize("product", [products.distribution_2, products.distribution_3, products.ecr, products.quay])
async def test_products_take_what_they_are_sent(large: FakeRegistry, product: Product) -> None:
    async with FakeRegistry.like(product()) as destination:  # type: ignore[operator]
        await copied(large, destination)


async def test_the_shortest_chunk_is_kept(large: FakeRegistry) -> None:
    async with FakeRegistry(behaviour=Behaviour(min_chunk_bytes=3 * MIB)) as destination:
        await copied(large, destination)
        assert [each.bytes_in for each in destination.log.select(method="PATCH")] == [3 * MIB, MIB + 5]


async def test_a_chunk_that_is_too_large_is_made_smaller_and_that_is_remembered(source: FakeRegistry) -> None:
    limits = replace(SMALL, chunk=6 * MIB)
    async with FakeRegistry.like(products.ghcr()) as destination, Worker(source, destination, limits=limits) as worker:
        for tag, seed in (("1", 1), ("2", 2)):
            source.push_image("library/app", tag, [9 * MIB], seed=seed)
            [result] = await worker.copy(tag)
            assert result.outcome is Outcome.COPIED

        assert destination.log.count(method="PATCH", status=416) == 1
        assert destination.log.count(method="PATCH", status=202) == 6
        assert content(destination, "library/app") == content(source, "library/app")


async def test_a_registry_that_refuses_chunks_gets_whole_blobs_and_that_is_remembered(source: FakeRegistry) -> None:
    async with FakeRegistry.like(products.gar()) as destination, Worker(source, destination) as worker:
        for tag, seed in (("1", 1), ("2", 2)):
            source.push_image("library/app", tag, [3 * MIB], seed=seed)
            [result] = await worker.copy(tag)
            assert result.outcome is Outcome.COPIED

        assert destination.log.count(method="PATCH") == 1
        assert content(destination, "library/app") == content(source, "library/app")


@pytest.mark.parametrize("status", [405, 411, 501])
async def test_other_ways_to_refuse_chunks(large: FakeRegistry, destination: FakeRegistry, status: int) -> None:
    destination.misbehave(effects.answer_with(status), match=PATCH)

    await copied(large, destination)

    assert destination.log.count(method="PATCH") == 1


@pytest.mark.parametrize("form", [LocationForm.ABSOLUTE, LocationForm.EXTRA_QUERY, LocationForm.OTHER_HOST])
async def test_any_form_of_location(large: FakeRegistry, destination: FakeRegistry, form: LocationForm) -> None:
    for match in (Match(action=Action.UPLOAD_START), PATCH):
        destination.misbehave(effects.location(form), match=match)

    await copied(large, destination)

    closing = [each for each in destination.requests if each.method == "PUT" and "blobs/uploads" in each.path]
    assert all("digest" in each.query for each in closing)
    if form is LocationForm.EXTRA_QUERY:
        assert all(each.query["token"] == ("a/b==",) for each in closing)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_a_redirected_upload_is_followed_without_the_authorization(large: FakeRegistry, method: str) -> None:
    """The storage host refuses whatever comes with one."""
    user = Credential(username="u", password="p")
    async with FakeRegistry(auth=BasicAuth(username="u", password="p")) as destination:
        destination.misbehave(effects.redirect(), match=Match(method=method, action=Action.UPLOAD), times=1)
        async with Worker(large, destination, credential=user) as worker:
            [result] = await worker.copy("1")

        assert result.outcome is Outcome.COPIED
        assert destination.log.count(action=Action.STORAGE, method=method) >= 1


@pytest.mark.parametrize("product", [products.distribution_2, products.distribution_3, products.ecr])
@pytest.mark.parametrize("after", [0, 1, MIB // 2, MIB])
@pytest.mark.parametrize("skip", [0, 2])
async def test_a_chunk_that_is_cut(large: FakeRegistry, product: Product, after: int, skip: int) -> None:
    async with FakeRegistry.like(product()) as destination:  # type: ignore[operator]
        destination.misbehave(effects.cut_upload(after), match=PATCH, times=1, skip=skip)
        await copied(large, destination)


async def test_an_upload_goes_on_at_the_byte_where_it_was_cut(large: FakeRegistry, destination: FakeRegistry) -> None:
    destination.misbehave(effects.cut_upload(MIB // 2), match=PATCH, times=1, skip=2)

    await copied(large, destination)

    assert destination.log.count(action=Action.UPLOAD_START) == 2
    starts = [int(each.headers["Content-Range"].partition("-")[0]) for each in destination.log.select(method="PATCH")]
    assert MIB * 2 < starts[3] <= MIB * 2 + MIB // 2


async def test_a_lost_answer_to_a_chunk_sends_nothing_twice(large: FakeRegistry, destination: FakeRegistry) -> None:
    destination.misbehave(effects.lose_answer(), match=PATCH, times=1, skip=1)

    await copied(large, destination)

    assert sum(each.bytes_in for each in destination.log.select(method="PATCH")) == LARGE


async def test_a_failed_closing_does_not_send_the_blob_again(large: FakeRegistry, destination: FakeRegistry) -> None:
    destination.fail_next(503, match=replace(PUT, where=lambda request: request.content_length == 0))

    await copied(large, destination)

    assert sum(each.bytes_in for each in destination.log.select(method="PATCH")) == LARGE


@pytest.mark.parametrize("code", ["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"])
async def test_a_session_that_is_gone_starts_anew(large: FakeRegistry, destination: FakeRegistry, code: str) -> None:
    async def lose(request, handler):  # type: ignore[no-untyped-def]
        for upload in destination.store.open_uploads:
            destination.store.cancel_upload(upload)
        status = 404 if code == "BLOB_UPLOAD_UNKNOWN" else 400
        return await effects.answer_with(status, code=code)(request, handler)

    destination.misbehave(lose, match=PATCH, times=1, skip=2)

    await copied(large, destination)


async def test_a_blob_that_the_destination_spoils_is_sent_again(large: FakeRegistry, destination: FakeRegistry) -> None:
    destination.fail_next(400, match=PUT, code="DIGEST_INVALID")

    await copied(large, destination)


async def test_an_early_refusal_saves_the_rest_of_the_body(source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push_image("library/app", "1", [64 * MIB])
    destination.misbehave(effects.answer_with(403), match=PUT)
    limits = replace(SMALL, chunked_above=128 * MIB)
    async with Worker(source, destination, limits=limits) as worker:
        [result] = await worker.copy("1")

    assert result.outcome is Outcome.FAILED
    assert source.log.bytes_out < 48 * MIB


async def test_a_download_that_is_cut_ten_times_goes_on(source: FakeRegistry, destination: FakeRegistry) -> None:
    size = 16 * MIB
    source.push_image("library/app", "1", [size])
    source.misbehave(effects.cut_download(size // 11), match=Match(action=Action.BLOB), times=11)

    await copied(source, destination, limits=replace(SMALL, chunked_above=size))

    assert destination.log.count(method="PUT", action=Action.UPLOAD) == 2
    assert source.log.bytes_out < 1.2 * size


async def test_a_source_that_ignores_ranges_begins_anew(source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push_image("library/app", "1", [3 * MIB])
    source.misbehave(effects.cut_download(MIB), match=Match(action=Action.BLOB), times=2)

    async def ignore(request: Request, handler: Handler) -> Reply:
        return await handler(replace(request, headers={}))

    source.misbehave(ignore, match=Match(action=Action.BLOB))

    await copied(source, destination)

    assert destination.log.count(action=Action.UPLOAD_START) == 2


async def killed_at(stalled: Match, skip: int, source: FakeRegistry, destination: FakeRegistry, memory: Memory) -> None:
    """Run a worker that is lost while a request waits."""
    reached, lost = asyncio.Event(), asyncio.Event()

    async def hold(_request: Request, _handler: Handler) -> Reply:
        reached.set()
        await lost.wait()
        raise ConnectionCutError

    destination.misbehave(hold, match=stalled, skip=skip)
    async with Worker(source, destination, memory=memory) as worker:
        task = asyncio.create_task(worker.copy("1"))
        await reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    lost.set()
    destination.behave()
    await until(lambda: not destination.log.in_flight())


@pytest.mark.parametrize("product", [products.distribution_2, products.distribution_3])
@pytest.mark.parametrize("chunks", [1, 2, 3, 4, 5])
async def test_a_successor_goes_on_at_each_chunk(large: FakeRegistry, product: Product, chunks: int) -> None:
    memory = Memory()
    last = replace(PUT, where=lambda request: request.content_length == 0)
    async with FakeRegistry.like(product()) as destination:  # type: ignore[operator]
        await killed_at(PATCH if chunks < 5 else last, chunks % 5, large, destination, memory)
        assert memory.uploads.saved[-1] == min(chunks * MIB, LARGE)

        await copied(large, destination, memory=memory)

        assert destination.log.count(method="PATCH", status=202) == 5
        assert memory.uploads.kept == {}


async def test_a_successor_of_a_lost_session_starts_anew(large: FakeRegistry, destination: FakeRegistry) -> None:
    memory = Memory()
    await killed_at(PATCH, 2, large, destination, memory)
    for upload in destination.store.open_uploads:
        destination.store.cancel_upload(upload)

    await copied(large, destination, memory=memory)

    assert memory.uploads.kept == {}


async def test_a_successor_stores_nothing_wrong(large: FakeRegistry, destination: FakeRegistry) -> None:
    """The first bytes were other ones, which only the registry can know."""
    memory = Memory()
    await killed_at(PATCH, 2, large, destination, memory)
    [upload] = destination.store.open_uploads
    upload._sha256.update(b"other")

    await copied(large, destination, memory=memory)


async def test_an_error_of_the_source_cancels_the_session(large: FakeRegistry, destination: FakeRegistry) -> None:
    memory = Memory()
    large.misbehave(effects.flip_byte(LARGE - 1), match=Match(action=Action.BLOB))
    async with Worker(large, destination, memory=memory) as worker:
        [result] = await worker.copy("1")

    assert result.failure is not None
    assert result.failure.reason == "DIGEST_MISMATCH"
    assert memory.uploads.kept == {}
    assert destination.store.open_uploads == []
